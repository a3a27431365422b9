"""`deflicker preview`: excerpts, the server that shows them to this machine only, and the page in a real browser."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deflicker import Settings, SettingsError
from deflicker.preview.excerpt import Workshop
from deflicker.preview.server import PreviewServer
from tests.assets import SAMPLES
from tests.media.making import frames_of
from tests.preview.browser import CHROMIUM, Browser


@pytest.fixture
def workshop(clip: Path) -> Iterator[Workshop]:
    made = Workshop(clip, Settings(preset="fast", device="cpu"))
    yield made
    made.close()


@pytest.fixture
def server(workshop: Workshop) -> Iterator[PreviewServer]:
    with PreviewServer(workshop, port=0, start="0", seconds="0.4") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: PreviewServer, path: str, *, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.request("POST" if body is not None else "GET", path, body, headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


# --- Excerpts ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("raft")
def test_an_excerpt(workshop: Workshop, clip: Path) -> None:
    found = workshop.render({"start": "0.08", "seconds": "0.24", "strength": "0.5"})
    assert [len(frames_of(workshop.folder / name)) for name in (found.before, found.after)] == [6, 6]
    assert "<svg" in found.plot
    assert "flicker" in found.summary
    assert found.command == f"deflicker {clip} in_steady.mp4 --strength 0.5 --preset fast"
    other = workshop.render({"start": "0.08", "seconds": "0.24", "strength": "0"})
    assert (other.before, other.after, other.plot) == (found.before, found.before, "")
    assert len(os.listdir(workshop.folder)) == 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"seconds": "0"}, "up to 30"),
        ({"seconds": "31"}, "up to 30"),
        ({"start": "soon"}, "no time"),
        ({"start": "4f"}, "give seconds"),
        ({"strength": "2"}, "0 to 1"),
        ({"strength": "x"}, "0 to 1"),
        ({"start": "99"}, "no frame lies"),
    ],
)
def test_what_cannot_be_rendered(workshop: Workshop, wanted: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        workshop.render({"start": "0", "seconds": "1", "strength": "0"} | wanted)


def test_nothing_is_left(clip: Path) -> None:
    workshop = Workshop(clip, Settings())
    workshop.render({"start": "0", "seconds": "0.2", "strength": "0"})
    workshop.close()
    assert not workshop.folder.exists()


# --- The server -------------------------------------------------------------------------------------------------------


def test_the_page_and_its_videos(server: PreviewServer) -> None:
    status, headers, text = ask(server, f"/{server.secret}/")
    assert (status, b"<title>deflicker: in.mp4</title>" in text) == (200, True)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    wanted = json.dumps({"start": "0", "seconds": "0.4", "strength": "0"})
    status, _, made = ask(server, f"/{server.secret}/render", body=wanted)
    name = json.loads(made)["before"]
    status, _, whole = ask(server, f"/{server.secret}/{name}")
    assert (status, whole[4:8]) == (200, b"ftyp")
    status, headers, part = ask(server, f"/{server.secret}/{name}", Range="bytes=4-7")
    assert (status, headers["Content-Range"], part) == (206, f"bytes 4-7/{len(whole)}", b"ftyp")
    assert ask(server, f"/{server.secret}/{name}", Range="bytes=8-")[2] == whole[8:]


def test_a_mistake_is_an_answer(server: PreviewServer) -> None:
    for body in ('{"start": "soon", "seconds": "1", "strength": "0"}', "[1]", "no json", "{}"):
        status, _, answer = ask(server, f"/{server.secret}/render", body=body)
        assert (status, list(json.loads(answer))) == (200, ["error"])


def test_who_does_not_know_the_address_gets_nothing(server: PreviewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    secret = server.secret
    for path in ("/", "/wrong/", f"/{secret}", f"/{secret}/../in.mp4", f"/{secret}/in.mp4", f"/{secret}/9.mp4"):
        assert ask(server, path)[0] == 404, path
    assert ask(server, f"/{secret}/", Host="evil.example")[0] == 404
    assert ask(server, "/wrong/render", body="{}")[0] == 404
    assert ask(server, f"/{secret}/render", body="x" * 20_000)[0] == 404


def test_a_port_that_is_taken(server: PreviewServer, workshop: Workshop) -> None:
    with pytest.raises(SettingsError, match="give another one"):
        PreviewServer(workshop, port=server.server_address[1], start="0", seconds="1")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_command_says_where_and_ends_with_ctrl_c(clip: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "deflicker", "preview", "in.mp4", "--no-browser"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=60) as page:  # it answers, so it serves
            assert b"in.mp4" in page.read()
        process.send_signal(signal.SIGINT if signal.getsignal(signal.SIGINT) != signal.SIG_IGN else signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.usefixtures("raft")
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    workshop = Workshop(SAMPLES / "synthetic.mp4", Settings(preset="fast", device="cpu"))
    server = PreviewServer(workshop, port=0, start="0", seconds="0.5")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ready = "document.body.dataset.ready && document.body.dataset.before && document.body.dataset.after"
    try:
        with Browser(server.address) as page:
            page.until(ready)
            assert page.run("document.body.dataset.after") == "320x180"
            assert page.run("document.querySelectorAll('#plot svg path').length") == 2
            page.run("document.getElementById('play').click()")
            page.until("before.currentTime > 0.05 && after.currentTime > 0.05")
            page.run("document.getElementById('play').click()")
            page.until("before.paused && after.paused && after.currentTime === before.currentTime")
            page.until("+document.getElementById('now').getAttribute('x1') > 44")
            page.run("$('divider').value = 20; $('divider').dispatchEvent(new Event('input'))")
            assert page.run("$('stage').style.getPropertyValue('--at')") == "20%"
            first = page.run("after.src")
            page.run("$('strength').value = 0.5; $('strength').dispatchEvent(new Event('change'))")
            page.until(f"after.src !== {json.dumps(first)}")
            assert "--strength 0.5" in page.run("$('command').textContent")
            page.run("$('seconds').value = '99'; $('seconds').dispatchEvent(new Event('change'))")
            page.until("$('summary').textContent.includes('up to 30')")
            page.screenshot(tmp_path / "page.png")
            assert (tmp_path / "page.png").stat().st_size > 50_000  # pictures in it, not black
    finally:
        server.shutdown()
        server.server_close()
        workshop.close()


def test_a_file_that_is_no_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from deflicker import cli

    (tmp_path / "in.mp4").write_text("This is no video.")
    with pytest.raises(SystemExit) as exit:
        cli.main(["preview", str(tmp_path / "in.mp4"), "--no-browser"])
    assert exit.value.code == 3
    assert capsys.readouterr().err.count("\n") == 1
