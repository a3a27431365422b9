"""A name is a name, and a file is only itself: no other file and no host is touched, whatever a name or a file says."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deflicker.core.errors import DeflickerError, InputError, WeightsError
from deflicker.core.files import TemporaryFolder, fitting
from deflicker.core.settings import Settings
from deflicker.media.demux import open_input
from deflicker.media.file_access import access, playlist
from deflicker.media.image_pattern import image_sequence
from deflicker.media.probe import probe
from deflicker.media.reader import Reader
from deflicker.media.remux import remux
from deflicker.pipeline.video import deflicker
from tests.media.making import make, transcode

NAMES = [
    "with space.mp4", " leading space.mp4", "quo'te.mp4", 'dou"ble.mp4', "new\nline.mp4", "tab\there.mp4",
    "emo\U0001f600ji.mp4", "de\u0301compose\u0301.mp4", os.fsdecode(b"invalid\xff\xfe.mp4"), "-dash.mp4", "--help.mp4",
    "100%d done.mp4", "50%05d.mp4", "%s%n%%.mp4", "12:30 take.mp4", "name:colon.mp4", "file:plain.mp4",
    "concat:a|b.mp4", "pipe:0.mp4", "data:,x.mp4", "http:x.mp4", "what?.mp4", "ha#sh.mp4", "[br]{ac}(ket)*.mp4",
    "back\\slash.mp4", "semi;colon&and`tick`$HOME.mp4", "x" * 236 + ".mp4", "\u00e9" * 118 + ".mp4", "no extension",
]  # fmt: skip
COPY = Settings(strength=0, overwrite=True)
ENCODE = Settings(strength=0, encoder_preset="ultrafast", overwrite=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("plain") / "plain.mp4", pts=range(3)).read_bytes()


def every_use(source: Path, target: Path, *, encode: bool) -> None:
    """Read, copied or encoded, and read again."""
    if encode:
        frames, _, _ = transcode(source, target)
        assert len(frames) == 3
    else:
        copied = remux(probe(source), target)
        assert copied
        assert copied.frames == 3
    with Reader(target) as reader:
        assert len(list(reader.frames())) == 3
        assert "mp4" in reader.info.container


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names(name: str, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As IN and OUT, relative by packets and absolute by encoding."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    (tmp_path / "in" / "plain.mp4").write_bytes(b"another file, which is not asked for")
    (tmp_path / "in" / name).write_bytes(plain)
    every_use(Path(name), Path("..", "out", name), encode=False)
    assert os.listdir(tmp_path / "out") == [name]
    (tmp_path / "out" / name).unlink()
    every_use(tmp_path / "in" / name, tmp_path / "out" / name, encode=True)
    assert os.listdir(tmp_path / "out") == [name]


@pytest.mark.parametrize(
    "name", [*NAMES[18:20], *(pytest.param(each, marks=pytest.mark.slow) for each in NAMES)], ids=ascii
)
def test_names_through_the_whole_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As IN and OUT, relative and absolute, by packets and by encoding."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    make(tmp_path / "plain.mp4", pts=range(3))
    (tmp_path / "in" / "plain.mp4").write_bytes(b"another file, which is not asked for")
    (tmp_path / "in" / name).write_bytes((tmp_path / "plain.mp4").read_bytes())
    for source, target in (
        (Path(name), Path("..", "out", name)),
        (tmp_path / "in" / name, tmp_path / "out" / name),
    ):
        for settings in (COPY, ENCODE):
            assert deflicker(source, target, settings).frames == 3
            with Reader(target) as reader:
                assert len(list(reader.frames())) == 3
                assert "mp4" in reader.info.container
    assert os.listdir(tmp_path / "out") == [name]


def test_names_as_a_shell_gives_them(tmp_path: Path) -> None:
    """One command for a name with everything, and one line where it is not there."""
    name = "-12:30 100%d [a] 'b' \u00e9.mp4"
    make(tmp_path / name, pts=range(3))
    command = [sys.executable, "-m", "deflicker", "--strength", "0", "--"]
    done = subprocess.run([*command, name, f"{name}.mkv"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(InputError, match="does not exist") as caught:
        deflicker("concat:a|b.mp4", tmp_path / "out.mp4", COPY)
    assert "\n" not in str(caught.value)


def test_pattern_in_a_folder_with_percent(tmp_path: Path) -> None:
    folder = tmp_path / "100%d"
    folder.mkdir()
    make(tmp_path / "in.mp4", pts=range(3))
    deflicker(tmp_path / "in.mp4", folder / "%03d.png", Settings(strength=0))
    assert sorted(os.listdir(folder)) == ["001.png", "002.png", "003.png"]
    with Reader(folder / "%03d.png") as reader:
        assert len(list(reader.frames())) == 3


def test_only_images_are_patterns() -> None:
    assert image_sequence(Path("frames/%05d.png"))
    assert not image_sequence(Path("50%05d.mp4"))
    assert not image_sequence(Path("50%05d"))


def test_names_of_temporary_folders_fit(tmp_path: Path) -> None:
    for name in ("a.mp4", "x" * 251 + ".mp4", "\u00e9" * 120 + ".mkv", "a." + "y" * 250):
        with closing(TemporaryFolder.beside(tmp_path / name)) as folder:
            assert len(os.fsencode(folder.path.name)) <= 255
            (folder.path / name).touch()
    assert fitting("x" * 250, 20) != fitting("x" * 251, 20)


# --- Hostile content --------------------------------------------------------------------------------------------------

_HOSTILE = {
    "ffconcat": "ffconcat version 1.0\nfile '{canary}'\n",
    "ffconcat relative": "ffconcat version 1.0\nfile canary.mp4\n",
    "ffconcat to a host": "ffconcat version 1.0\nfile '{url}'\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
    "HLS of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ncanary.mp4\n#EXT-X-ENDLIST\n",
    "HLS key": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:9,\ncanary.mp4\n',
    "DASH": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><BaseURL>{url}'
    "</BaseURL></Period></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "IMF": '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><Id>{url}</Id></AssetMap>',
    "XSPF": "<?xml version='1.0'?><playlist><trackList><track><location>{url}</location></track></trackList>",
    "PLS": "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    "address": "{url}\n",
    "SVG": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{url}"/></svg>',
}


@contextmanager
def watching() -> Iterator[tuple[int, list[Any]]]:
    """A listening socket, and who came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        seen: list[Any] = []
        stop = threading.Event()

        def wait() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                seen.append(address)
                connection.close()

        thread = threading.Thread(target=wait)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            stop.set()
            thread.join()


def uses(folder: Path, hostile: Path) -> dict[str, Callable[[], object]]:
    """Every place in the product where a user's file is opened."""
    from deflicker.pipeline.fvd import fvd
    from deflicker.pipeline.measure import measure
    from deflicker.pipeline.plan import plan

    good, out = folder / "good.mp4", folder / "out.mp4"
    reference = Settings(reference=hostile, anchor=1.0, device="cpu")
    return {
        "input": lambda: deflicker(hostile, out, COPY),
        "plan": lambda: plan(hostile, out, COPY),
        "guide": lambda: deflicker(good, out, Settings(guide=hostile)),
        "reference": lambda: _reference(reference, good),
        "measure": lambda: measure(hostile, lpips=False),
        "measure, second": lambda: measure(good, hostile, lpips=False),
        "fvd": lambda: fvd(hostile, good),
        "preview": lambda: _preview(hostile),
    }


def _preview(hostile: Path) -> object:
    from deflicker.cli.console import Console
    from deflicker.cli.preview.preview_command import PreviewCommand

    command = PreviewCommand(source=hostile, settings=Settings(), start="0", seconds="1", port=0, browser=False)
    return command.run(Console())


def _reference(settings: Settings, good: Path) -> object:
    import torch

    from deflicker.media.probe import probe
    from deflicker.pipeline.guide import reference_proxy

    return reference_proxy(settings, probe(good), (24, 32), torch.device("cpu"))


@pytest.mark.parametrize("kind", _HOSTILE)
@pytest.mark.parametrize("suffix", [".mp4", pytest.param(".m3u8", marks=pytest.mark.slow), ".png"])
def test_a_file_is_only_itself(kind: str, suffix: str, tmp_path: Path) -> None:
    make(tmp_path / "canary.mp4", pts=range(3))
    hostile = tmp_path / f"a{suffix}"
    with watching() as (port, seen):
        words = _HOSTILE[kind].format(canary=tmp_path / "canary.mp4", url=f"http://127.0.0.1:{port}/a.ts", port=port)
        hostile.write_text(words, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            Reader(hostile).close()
        assert "\n" not in str(caught.value)
    assert not seen


@pytest.mark.parametrize("kind", ["ffconcat relative", "HLS"])
def test_wherever_a_file_is_opened(kind: str, tmp_path: Path) -> None:
    make(tmp_path / "canary.mp4", pts=range(3))
    make(tmp_path / "good.mp4", pts=range(3))
    hostile = tmp_path / "a.mp4"
    with watching() as (port, seen):
        hostile.write_text(_HOSTILE[kind].format(canary="", url=f"http://127.0.0.1:{port}/a.ts", port=port))
        for name, use in uses(tmp_path, hostile).items():
            with pytest.raises(DeflickerError) as caught:
                use()
            # FVD asks for its network first, which need not be here.
            assert isinstance(caught.value, InputError | WeightsError), name
            assert not (tmp_path / "out.mp4").exists()
    assert not seen


def test_the_list_of_demuxers_holds_without_the_check_of_the_first_bytes(tmp_path: Path) -> None:
    """Even a playlist whose first bytes nobody knows cannot be opened."""
    make(tmp_path / "canary.mp4", pts=range(3))
    path = tmp_path / "a.mp4"
    path.write_text("# a comment first\nffconcat version 1.0\nfile canary.mp4\n")
    assert playlist(path.read_bytes()) is None
    with pytest.raises(InputError):
        open_input(path).close()
    assert access(None)["protocol_whitelist"] == "file"
    for outside in ("concat", "hls", "dash", "sdp", "rtsp", "lavfi", "image2", "imf", "vobsub", "mlv", "svg_pipe"):
        assert outside not in access(None)["format_whitelist"].split(",")


def test_movies_that_name_other_files(tmp_path: Path) -> None:
    """A QuickTime data reference to a file beside it is not followed."""
    make(tmp_path / "canary.mp4", pts=range(3))
    data = make(tmp_path / "a.mov", pts=range(3)).read_bytes()
    url = b"\0\0\0\x0curl \0\0\0\x01"
    assert data.count(url) == 1
    path = tmp_path / "b.mov"
    path.write_bytes(data.replace(url, b"\0\0\0\x0calis\0\0\0\0"))
    with Reader(path) as reader:
        assert len(list(reader.frames())) == 3  # its own


def test_the_node_opens_no_names() -> None:
    """ComfyUI's nodes take tensors: none of their inputs is a path."""
    from integrations.comfyui.nodes import NODE_CLASS_MAPPINGS

    kinds = {
        name: kind[0] for node in NODE_CLASS_MAPPINGS.values() for name, kind in node.INPUT_TYPES()["required"].items()
    }
    assert {name for name, kind in kinds.items() if kind == "STRING"} == {"filename_prefix"}
