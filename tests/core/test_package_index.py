"""Source archives: found on a page of links as pip finds them, with the user's own settings, never built."""

import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from deflicker.core import package_index
from deflicker.core.download import Archive, Unusable
from deflicker.core.package_index import _pip_settings, fetch_archive


class Shelf(BaseHTTPRequestHandler):
    """`/simple/toy/` lists two archives of the project; the second hides behind escapes and a hash."""

    seen: ClassVar[list[str | None]] = []

    def do_GET(self):
        self.seen.append(self.headers.get("Authorization"))
        page = b'<a href="/files/toy-1.tar.gz">1</a> <A x\n HREF="../../files/toy%2B2.tar.gz#sha256=ab&amp;c">2</A>'
        content = {"/simple/toy/": page, "/files/toy-1.tar.gz": b"one", "/files/toy%2B2.tar.gz": b"two"}.get(self.path)
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def address(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    Thread(target=server.serve_forever, daemon=True).start()
    Shelf.seen = []
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def set_up(monkeypatch, **settings):
    monkeypatch.setattr(package_index, "_pip_settings", lambda: {k.replace("_", "-"): v for k, v in settings.items()})


@pytest.mark.parametrize(("name", "content"), [("toy-1.tar.gz", b"one"), ("toy+2.tar.gz", b"two")])
def test_found_and_fetched(address, name, content, tmp_path: Path, monkeypatch):
    set_up(monkeypatch, index_url=f"http://{address}/simple/")
    assert fetch_archive("toy", name, tmp_path).read_bytes() == content


def test_name_and_password_go_along(address, tmp_path: Path, monkeypatch):
    set_up(monkeypatch, index_url=f"http://me:s%40cret@{address}/simple")
    fetch_archive("toy", "toy-1.tar.gz", tmp_path)
    assert Shelf.seen[0] == "Basic bWU6c0BjcmV0"


def test_further_indexes_are_asked_in_turn(address, tmp_path: Path, monkeypatch):
    set_up(monkeypatch, index_url=f"http://{address}/none", extra_index_url=f"http://{address}/simple")
    assert fetch_archive("toy", "toy-1.tar.gz", tmp_path).exists()


def test_not_there(address, tmp_path: Path, monkeypatch):
    set_up(monkeypatch, index_url=f"http://{address}/simple")
    with pytest.raises(OSError, match=r"no toy-3\.tar\.gz"):
        fetch_archive("toy", "toy-3.tar.gz", tmp_path)


def test_pip_s_settings_and_their_order(monkeypatch):
    lines = "global.index-url='https://a/simple'\nglobal.proxy='http://p'\ndownload.proxy='http://q'\n:env:.index-url='b'\nx\n"
    done = subprocess.CompletedProcess([], 0, lines, "")
    monkeypatch.setattr(package_index.subprocess, "run", lambda *_, **__: done)
    assert _pip_settings() == {"index-url": "b", "proxy": "http://q"}


def test_an_altered_archive_is_refused(address, tmp_path: Path, monkeypatch):
    set_up(monkeypatch, index_url=f"http://{address}/simple")
    with pytest.raises(Unusable, match="altered"):
        Archive("toy", "toy-1.tar.gz", "00" * 32, "toy/weights.ckpt").fetch(tmp_path)


def test_a_member_of_an_archive(tmp_path: Path, monkeypatch):
    import hashlib
    import tarfile

    (tmp_path / "weights.ckpt").write_bytes(b"numbers")
    made = tmp_path / "toy-1.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        archive.add(tmp_path / "weights.ckpt", "toy-1/toy/weights.ckpt")
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    monkeypatch.setattr("deflicker.core.download.fetch_archive", lambda *_: made)
    (tmp_path / "out").mkdir()
    source = Archive("toy", made.name, digest, "toy-1/toy/weights.ckpt")
    assert source.fetch(tmp_path / "out").read_bytes() == b"numbers"
    assert source.filename == "weights.ckpt"
    assert "toy-1.tar.gz" in source.label
