"""Files of the package index: found on a page of links as pip finds them, with the user's own settings."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deflicker.core.package_index import PUBLIC_INDEX, _pages, fetch_file, user_settings


class Shelf(BaseHTTPRequestHandler):
    """`/simple/toy/` lists two files of the project; the second hides behind escapes and a hash. It is a proxy, too."""

    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        page = b'<a href="/files/toy-1.tar.gz">1</a> <A x\n HREF="../../files/toy%2B2.tar.gz#sha256=ab&amp;c">2</A>'
        known = {"/simple/toy/": page, "/files/toy-1.tar.gz": b"one", "/files/toy%2B2.tar.gz": b"two"}
        content = known.get(self.path.removeprefix("http://index.invalid"))
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Shelf.seen = []
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with no settings in it nor in the environment."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "shared"))
    return tmp_path


@pytest.mark.parametrize(("name", "content"), [("toy-1.tar.gz", b"one"), ("toy+2.tar.gz", b"two")])
def test_found_and_fetched(host: str, name: str, content: bytes, tmp_path: Path) -> None:
    assert fetch_file("toy", name, tmp_path, {"index-url": f"http://{host}/simple/"}).read_bytes() == content


def test_further_indexes_are_asked_in_turn(host: str, tmp_path: Path) -> None:
    settings = {"index-url": f"http://{host}/none", "extra-index-url": f"http://{host}/no http://{host}/simple"}
    assert fetch_file("toy", "toy-1.tar.gz", tmp_path, settings).read_bytes() == b"one"


def test_name_and_password_go_along(host: str, home: Path) -> None:
    fetch_file("toy", "toy-1.tar.gz", home, {"index-url": f"http://me:s%40cret@{host}/simple"})
    assert {given for _, given in Shelf.seen} == {"Basic bWU6c0BjcmV0"}


def test_name_and_password_of_netrc(host: str, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password s@cret\n")
    (home / ".netrc").chmod(0o600)
    fetch_file("toy", "toy-1.tar.gz", home, {"index-url": f"http://{host}/simple"})
    assert {given for _, given in Shelf.seen} == {"Basic bWU6c0BjcmV0"}


def test_through_a_proxy(host: str, tmp_path: Path) -> None:
    settings = {"index-url": "http://index.invalid/simple", "proxy": f"http://{host}"}
    assert fetch_file("toy", "toy-1.tar.gz", tmp_path, settings).read_bytes() == b"one"
    assert Shelf.seen[0][0] == "http://index.invalid/simple/toy/"


@pytest.mark.parametrize("spelling", ["path", "file URL"])
def test_a_folder_of_packages_and_no_index(spelling: str, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "toy-1.tar.gz").write_bytes(b"mine")
    settings = {"no-index": "1", "find-links": str(shelf) if spelling == "path" else shelf.as_uri()}
    assert fetch_file("toy", "toy-1.tar.gz", tmp_path, settings).read_bytes() == b"mine"
    with pytest.raises(OSError, match="No such file"):
        fetch_file("toy", "toy-2.tar.gz", tmp_path, settings)


def test_an_index_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "simple" / "toy").mkdir(parents=True)
    (tmp_path / "simple" / "toy" / "index.html").write_text('<a href="../../toy-1.tar.gz#sha256=00">toy</a>')
    (tmp_path / "toy-1.tar.gz").write_bytes(b"one")
    (tmp_path / "out").mkdir()
    settings = {"index-url": (tmp_path / "simple").as_uri()}
    assert fetch_file("toy", "toy-1.tar.gz", tmp_path / "out", settings).read_bytes() == b"one"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"index-url": "http://HOST/simple"}, r"no toy-3\.tar\.gz"),
        ({"index-url": "http://HOST/none"}, "404"),
        ({"no-index": "true"}, "no package index"),
        ({"index-url": "http://HOST/simple", "cert": "/nowhere/ca.pem"}, "No such file"),
    ],
)
def test_not_there(host: str, settings: dict[str, str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=reason):
        fetch_file(
            "toy", "toy-3.tar.gz", tmp_path, {name: text.replace("HOST", host) for name, text in settings.items()}
        )


@pytest.mark.skipif(os.name != "posix", reason="where these systems have their settings")
def test_pip_s_settings_and_their_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in {
        "shared/pip": "[global]\nproxy = shared\ntimeout = 9\n[download]\ncert = shared\n",
        "config/pip": "[global]\nindex_url = user\nproxy = user\ncert = user\nfind-links = a\n b\n",
    }.items():
        (home / folder).mkdir(parents=True)
        (home / folder / "pip.conf").write_text(text)
    (home / "own.conf").write_text("[install]\nproxy = other command\n[global]\nproxy = own\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / "own.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "environment")
    monkeypatch.setenv("PIP_PROXY", "")
    found = user_settings()
    assert {name: found[name] for name in ("index-url", "proxy", "cert", "timeout")} == {
        "index-url": "environment", "proxy": "own", "cert": "shared", "timeout": "9",
    }  # fmt: skip
    assert found["find-links"].split() == ["a", "b"]


def test_no_file_and_damaged_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "own.conf").write_bytes(b"\xff\xfe no section")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(home / "own.conf"))
    assert "index-url" not in user_settings()
    (home / "own.conf").write_text("[global]\nindex-url = mine\n")
    assert user_settings()["index-url"] == "mine"
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert user_settings() == {"config-file": os.devnull}


def test_uv_s_variables_where_pip_has_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _pages("toy", {}) == [f"{PUBLIC_INDEX}toy/"]
    monkeypatch.setenv("UV_INDEX", "inner=https://inner.invalid/simple")
    monkeypatch.setenv("UV_INDEX_URL", "https://outer.invalid/simple/")
    assert _pages("toy", {}) == ["https://outer.invalid/simple/toy/", "https://inner.invalid/simple/toy/"]
    assert _pages("toy", {"index-url": "https://a.invalid"})[0] == "https://a.invalid/toy/"
