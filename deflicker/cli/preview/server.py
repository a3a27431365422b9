"""The preview's server: for this machine only, and only for whoever knows its secret address."""

from __future__ import annotations

import json
import logging
import re
import secrets
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deflicker.cli.preview.page import page
from deflicker.cli.preview.renderer import ExcerptRenderer
from deflicker.core.errors import DeflickerError, SettingsError

log = logging.getLogger("deflicker")

_POLICY = (
    "default-src 'none'; media-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_MAX_BYTES = 10_000
IDLE_S = 60.0
"""How long a connection may keep its thread waiting, for a request or for the player to take what it asked for."""


class PreviewServer(ThreadingHTTPServer):
    """Serves one renderer's excerpts on the loopback address, on a free port if `port` is 0.

    Connections that stay silent for `idle_s` seconds are closed. Raises SettingsError if the port is taken.
    """

    daemon_threads = True

    def __init__(
        self, renderer: ExcerptRenderer, *, port: int, start: str, seconds: str, idle_s: float = IDLE_S
    ) -> None:
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise SettingsError(
                f"port {port} is not available ({error.strerror or error}): give another one"
            ) from error
        self.renderer = renderer
        self.controls = {"start": start, "seconds": seconds}
        self.idle_s = idle_s
        # Other pages in the same browser can reach this port too, but cannot guess this.
        self.secret = secrets.token_urlsafe(16)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the failure of one connection; it concerns neither the others nor the terminal."""
        log.debug("preview: a connection failed", exc_info=True)

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: PreviewServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Bound the waits of this connection."""
        super().setup()
        self.connection.settimeout(self.server.idle_s)

    def do_GET(self) -> None:
        """The page, or a file of an excerpt."""
        name = self._path()
        renderer = self.server.renderer
        if name == "":
            text = page(renderer.source.name, renderer.settings, **self.server.controls)
            self._answer(text.encode(), "text/html; charset=utf-8")
        elif name and re.fullmatch(r"\d+\.mp4", name) and (renderer.folder / name).is_file():
            self._send_part((renderer.folder / name).read_bytes())
        else:
            self._answer(b"not here", "text/plain", HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Render an excerpt."""
        size = int(self.headers.get("Content-Length") or 0)
        if self._path() != "render" or not 0 < size <= _MAX_BYTES:
            self.close_connection = True
            self._answer(b"not here", "text/plain", HTTPStatus.NOT_FOUND)
            return
        try:
            request = {str(key): str(value) for key, value in dict(json.loads(self.rfile.read(size))).items()}
            answer = asdict(self.server.renderer.render(request))
        except DeflickerError as error:
            answer = {"error": str(error)}
        except (ValueError, KeyError, TypeError) as error:
            answer = {"error": f"not a request: {error}"}
        self._answer(json.dumps(answer).encode(), "application/json")

    def _path(self) -> str | None:
        """The path below the secret address; None for any other."""
        start = f"/{self.server.secret}/"
        path = self.path.split("?")[0]
        known = (f"127.0.0.1:{self.server.server_address[1]}", f"localhost:{self.server.server_address[1]}")
        return path.removeprefix(start) if path.startswith(start) and self.headers.get("Host") in known else None

    def _send_part(self, data: bytes) -> None:
        """A file, or the range of it that the player asks for when it seeks (RFC 9110, section 14)."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if match is None or int(match[1]) >= len(data):
            self._answer(data, "video/mp4")
            return
        first, last = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
        extent = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self._answer(data[first : last + 1], "video/mp4", HTTPStatus.PARTIAL_CONTENT, extent)

    def _answer(
        self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), "Accept-Ranges": "bytes"} | (more or {})
        headers |= {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(data)
        except (ConnectionError, TimeoutError):  # the player has what it wanted, for now
            self.close_connection = True

    def log_message(self, form: str, *values: object) -> None:
        log.debug("preview: " + form, *values)  # noqa: G003  # the form is the standard library's
