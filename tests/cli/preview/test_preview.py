"""`deflicker preview`: excerpts, the server that shows them to this machine only, and the page in a real browser."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deflicker import Cancelled, DeflickerError, Settings, SettingsError, deflicker
from deflicker.cli.preview.renderer import ExcerptRenderer
from deflicker.cli.preview.server import PreviewServer
from tests.assets import SAMPLES
from tests.cli.preview.browser import CHROMIUM, Browser
from tests.media.making import frames_of


@pytest.fixture
def renderer(clip: Path) -> Iterator[ExcerptRenderer]:
    made = ExcerptRenderer(clip, Settings(preset="fast", device="cpu"))
    yield made
    made.close()


@pytest.fixture
def server(renderer: ExcerptRenderer) -> Iterator[PreviewServer]:
    with PreviewServer(renderer, port=0, start="0", seconds="0.4") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(60)
        assert not thread.is_alive()


def ask(server: PreviewServer, path: str, *, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.request("POST" if body is not None else "GET", path, body, headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


# --- Excerpts ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("raft")
def test_an_excerpt(renderer: ExcerptRenderer, clip: Path) -> None:
    found = renderer.render({"start": "0.08", "seconds": "0.24", "strength": "0.5"})
    assert [len(frames_of(renderer.folder / name)) for name in (found.before, found.after)] == [6, 6]
    assert "<svg" in found.plot
    assert "flicker" in found.summary
    assert found.command == f"deflicker {clip} in_steady.mp4 --strength 0.5 --preset fast"
    other = renderer.render({"start": "0.08", "seconds": "0.24", "strength": "0"})
    assert (other.before, other.after, other.plot) == (found.before, found.before, "")
    assert len(os.listdir(renderer.folder)) == 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"seconds": "0"}, "up to 30"),
        ({"seconds": "31"}, "up to 30"),
        ({"start": "soon"}, "soon"),
        ({"start": "4f"}, "give seconds"),
        ({"strength": "2"}, "strength"),
        ({"strength": "x"}, "strength"),
        ({"anchor": "much"}, "anchor"),
        ({"preset": "best"}, "fast, balanced, quality"),
        ({"start": "99"}, "no frame lies"),
    ],
)
def test_what_cannot_be_rendered(renderer: ExcerptRenderer, wanted: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        renderer.render({"start": "0", "seconds": "1", "strength": "0"} | wanted)


@pytest.mark.usefixtures("raft")
def test_preset_and_anchor_are_chosen_on_the_page(renderer: ExcerptRenderer, clip: Path) -> None:
    wanted = {"start": "0.08", "seconds": "0.2", "strength": "1"}
    drifting = renderer.render(wanted | {"anchor": "0"})
    held = renderer.render(wanted | {"anchor": "1"})
    assert held.before == drifting.before
    assert held.after != drifting.after
    assert held.command == f"deflicker {clip} in_steady.mp4 --preset fast --anchor 1"
    copied = renderer.render(wanted | {"strength": "0", "preset": "balanced"})
    assert copied.command == f"deflicker {clip} in_steady.mp4 --strength 0"
    assert copied.after == held.before  # whatever the preset, nothing is changed


def test_nothing_is_left(clip: Path) -> None:
    renderer = ExcerptRenderer(clip, Settings())
    renderer.render({"start": "0", "seconds": "0.2", "strength": "0"})
    renderer.close()
    assert not renderer.folder.exists()


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


def test_a_port_that_is_taken(server: PreviewServer, renderer: ExcerptRenderer) -> None:
    with pytest.raises(SettingsError, match="give another one"):
        PreviewServer(renderer, port=server.server_address[1], start="0", seconds="1")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_command_says_where_and_ends_with_ctrl_c(clip: Path, tmp_path: Path) -> None:
    with previewed("in.mp4", folder=tmp_path) as (process, address):
        with urllib.request.urlopen(address, timeout=60) as page:  # it answers, so it serves
            assert b"in.mp4" in page.read()
        interrupt(process)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@contextmanager
def previewed(*words: str, folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command while it runs, and where it serves. However a test ends, the command does."""
    command = [sys.executable, "-m", "deflicker", "preview", *words]
    command += [] if environment else ["--no-browser"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 120)[0], "it says nothing"
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            yield process, address
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT if signal.getsignal(signal.SIGINT) != signal.SIG_IGN else signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.usefixtures("raft")
def test_it_ends_in_the_middle_of_an_excerpt(tmp_path: Path) -> None:
    """Also while a browser keeps its connections open."""
    with previewed(
        str(SAMPLES / "bunny.mp4"), "--preset", "quality", "--device", "cpu", folder=tmp_path
    ) as (process, address):  # fmt: skip
        host, port = "127.0.0.1", int(address.split(":")[2].split("/")[0])
        with socket.create_connection((host, port), timeout=60), socket.create_connection((host, port)) as asking:
            body = b'{"start": "0", "seconds": "3", "strength": "1"}'
            head = (
                f"POST /{address.split('/')[3]}/render HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}"
            )
            asking.sendall(head.encode() + b"\r\n\r\n" + body)
            time.sleep(1)
            interrupt(process)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_documented_command_and_a_browser_that_does_not_return(clip: Path, tmp_path: Path) -> None:
    """As those in a terminal do not until they are closed."""
    guide = (SAMPLES.parent / "docs" / "guide.md").read_text(encoding="utf-8")
    documented = re.findall(r"<!-- run: preview -->\n```bash\ndeflicker preview (.*)\n", guide)[0].split()
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\ntouch opened\nexec sleep 30\n")
    browser.chmod(0o755)
    with previewed(*documented, folder=tmp_path, BROWSER=f"{browser} %s") as (process, address):
        with urllib.request.urlopen(address, timeout=60) as page:
            text = page.read().decode()
        assert "in.mp4" in text
        assert 'value="0.08"' in text
        until(lambda: (tmp_path / "opened").exists())
        interrupt(process)
        assert process.wait(timeout=60) == 0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- Waits have bounds ------------------------------------------------------------------------------------------------


def test_a_silent_connection_is_closed(server: PreviewServer) -> None:
    """One that asks nothing, and one that promises more than it sends."""
    server.idle_s = 0.2
    head = f"POST /{server.secret}/render HTTP/1.1\r\nHost: 127.0.0.1:{server.server_address[1]}\r\n"
    for sent in (b"", f"{head}Content-Length: 500\r\n\r\n{{".encode()):
        with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=60) as connection:
            connection.sendall(sent)
            assert connection.recv(1) == b""


class Stuck:
    """Renders files, but for the first: that one waits until it is cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self, source: Path, target: Path, *_: Any, cancel: threading.Event, **options: Any) -> Any:
        if not self.begun.is_set():
            self.begun.set()
            assert cancel.wait(60)
            raise Cancelled("stopped")
        return deflicker(source, target, *_, cancel=cancel, **options)


def asked_in_a_thread(renderer: ExcerptRenderer, errors: list[str]) -> threading.Thread:
    def ask_for_one() -> None:
        with pytest.raises(Cancelled) as error:
            renderer.render({"start": "0", "seconds": "0.2", "strength": "0"})
        errors.append(str(error.value))

    thread = threading.Thread(target=ask_for_one)
    thread.start()
    return thread


def test_the_last_to_ask_is_served(clip: Path) -> None:
    run, errors = Stuck(), list[str]()
    renderer = ExcerptRenderer(clip, Settings(preset="fast", device="cpu"), run)
    thread = asked_in_a_thread(renderer, errors)
    assert run.begun.wait(60)
    found = renderer.render({"start": "0.2", "seconds": "0.2", "strength": "0"})
    thread.join(60)
    assert (errors, (renderer.folder / found.before).exists()) == (["stopped"], True)
    renderer.close()


def test_leaving_gives_up_what_is_rendered(clip: Path) -> None:
    run, errors = Stuck(), list[str]()
    renderer = ExcerptRenderer(clip, Settings(), run)
    thread = asked_in_a_thread(renderer, errors)
    assert run.begun.wait(60)
    renderer.close()
    thread.join(60)
    assert not thread.is_alive()
    assert (errors, renderer.folder.exists()) == (["stopped"], False)
    with pytest.raises(DeflickerError):  # and nothing begins after it
        renderer.render({"start": "0", "seconds": "0.2", "strength": "0"})


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.usefixtures("raft")
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    renderer = ExcerptRenderer(SAMPLES / "synthetic.mp4", Settings(preset="fast", device="cpu"))
    server = PreviewServer(renderer, port=0, start="0", seconds="0.5")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ready = "document.body?.dataset.ready && document.body.dataset.before && document.body.dataset.after"
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
            second = page.run("after.src")
            page.run("$('anchor').value = 1; $('anchor').dispatchEvent(new Event('change'))")
            page.until(f"after.src !== {json.dumps(second)}")
            assert "--anchor 1" in page.run("$('command').textContent")
            page.run("$('seconds').value = '99'; $('seconds').dispatchEvent(new Event('change'))")
            page.until("$('summary').textContent.includes('up to 30')")
            page.screenshot(tmp_path / "page.png")
            assert (tmp_path / "page.png").stat().st_size > 50_000  # pictures in it, not black
    finally:
        server.shutdown()
        server.server_close()
        renderer.close()


def test_a_file_that_is_no_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from deflicker.cli import main as cli

    (tmp_path / "in.mp4").write_text("This is no video.")
    with pytest.raises(SystemExit) as exit:
        cli.main(["preview", str(tmp_path / "in.mp4"), "--no-browser"])
    assert exit.value.code == 3
    assert capsys.readouterr().err.count("\n") == 1
