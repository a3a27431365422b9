"""Hostile headers meet a limit before memory is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest

from deflicker.core import memory
from deflicker.core.errors import InputError, SettingsError
from deflicker.core.options import MAX_PIXELS, Limits, ReadOptions
from deflicker.core.presets import PRESETS
from deflicker.media.demux import MAX_STREAMS, open_input
from deflicker.media.probe import open_decoder, probe
from deflicker.media.reader import Reader
from tests.media.making import make


def many_streams(path: Path, count: int) -> Path:
    """A video with `count` streams in all."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        for _ in range(count - 1):
            out.add_mux_stream("subrip" if path.suffix == ".mkv" else "mov_text")
        out.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(video.encode())
    return path


def test_as_many_streams_as_any_recording_has(tmp_path: Path) -> None:
    with open_input(many_streams(tmp_path / "in.mkv", MAX_STREAMS)) as container:
        assert len(container.streams) == MAX_STREAMS


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
@pytest.mark.parametrize("count", [MAX_STREAMS + 1, 2 * MAX_STREAMS])
def test_more_streams_than_any_recording_has(tmp_path: Path, suffix: str, count: int) -> None:
    with pytest.raises(InputError, match="streams") as caught:
        probe(many_streams(tmp_path / f"in{suffix}", count))
    assert "\n" not in str(caught.value)


def test_a_picture_larger_than_memory_allows_is_not_decoded(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4", size=(320, 240))
    with pytest.raises(SettingsError, match="max_memory is too small for the 320x240 pixels"):
        probe(path, Limits(pixels=320 * 240 - 1))
    assert probe(path, Limits(pixels=320 * 240)).width == 320


def test_the_decoder_itself_refuses_what_the_header_hid(tmp_path: Path) -> None:
    """Headers may say little and the pictures be large: FFmpeg must not ask for their memory either."""
    path = make(tmp_path / "in.mp4", size=(320, 240))
    with open_input(path) as container:
        decoder = open_decoder(container.streams.video[0], Limits(pixels=320 * 240 - 1))
        packet = next(packet for packet in container.demux() if packet.size)
        with pytest.raises(av.FFmpegError):
            _ = [decoder.decode(each) for each in (packet, packet, packet)]


def test_pictures_that_grow_beyond_the_limit_are_damage(tmp_path: Path) -> None:
    parts = [make(tmp_path / f"{i}.ts", codec="mpeg2video", size=s) for i, s in enumerate([(64, 48), (640, 480)])]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with Reader(path, ReadOptions(limits=Limits(pixels=64 * 48))) as reader:
        assert 8 <= sum(1 for _ in reader.frames()) <= 10
        assert reader.damage


def test_most_pixels_are_what_the_smallest_run_takes() -> None:
    """The early bound lets through whatever the later, exact one does."""
    for size in (1 << 30, 3 << 30, 8 << 30):
        pixels = memory.most_pixels(size)
        side = int(pixels**0.5)
        with pytest.raises(SettingsError):
            memory.fit(side + 2, side + 2, (side + 2) ** 2, PRESETS["fast"], size)
    assert memory.most_pixels(1) == 0
    assert memory.most_pixels(1 << 50) > MAX_PIXELS


PEAK = """
import pathlib, re, sys
from deflicker.core.options import Limits
from deflicker.media.probe import probe
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
probe(sys.argv[1])
before = peak()
try:
    probe(sys.argv[2], Limits(pixels=int(sys.argv[3])))
except Exception as error:
    print(type(error).__name__, peak() - before)
else:
    print("none", peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told by Linux only")
@pytest.mark.parametrize(
    ("limit", "ends"), [(1 << 20, "SettingsError"), (MAX_PIXELS, "none")], ids=["bounded", "what it would take"]
)
def test_a_hostile_header_gets_no_memory(tmp_path: Path, limit: int, ends: str) -> None:
    """A picture of 6000 x 6000, which few bytes can ask for, takes 51 MiB; under a bound, nothing."""
    honest, hostile = make(tmp_path / "in.mkv"), tmp_path / "hostile.mkv"
    make(hostile, size=(6000, 6000), pts=range(1))
    command = [sys.executable, "-c", PEAK, str(honest), str(hostile), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kind, grown_mib = done.stdout.split()
    assert kind == ends
    assert (float(grown_mib) < 40) == (ends != "none")
