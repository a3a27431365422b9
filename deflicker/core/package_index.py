"""Source archives from the package index, without running what is in them.

`pip download` builds an archive to learn its metadata, which runs the package's own code. Here only the archive is
fetched, from the index, through the proxy and with the certificates that pip is set up to use.
"""

from __future__ import annotations

import ast
import base64
import html
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

_LINK = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_TIMEOUT_S = 30.0


def fetch_archive(project: str, filename: str, folder: Path) -> Path:
    """Put the file of this name into `folder` and return its path; nothing is checked or unpacked.

    Raises OSError, the last index's error, where none of the user's indexes has it.
    """
    settings = _pip_settings()
    opener = _opener(settings)
    failure = OSError("no package index is set up")
    for index in _indexes(settings):
        page = f"{index.rstrip('/')}/{project}/"
        try:
            with _open(opener, page) as answer:
                links = _LINK.findall(answer.read().decode("utf-8", "replace"))
            address = _address(page, links, filename)
            with _open(opener, address) as answer, (folder / filename).open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            return folder / filename
        except urllib.error.HTTPError as error:
            failure = OSError(f"the index says {error.code} {error.reason}")
            error.close()
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else OSError(str(error))
    raise failure


def _address(page: str, links: list[str], filename: str) -> str:
    for link in links:
        address = urllib.parse.urljoin(page, html.unescape(link)).partition("#")[0]
        if urllib.parse.unquote(address.rsplit("/", 1)[-1]) == filename:
            return address
    raise OSError(f"the index has no {filename}")


def _pip_settings() -> dict[str, str]:
    """What pip's files and environment set for every command and for `download`, the latter last and so stronger."""
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        try:
            found.setdefault(section, {})[name] = str(ast.literal_eval(value))
        except (ValueError, SyntaxError):
            continue
    # pip's own order: the file's general section, the command's, the environment.
    return {**found.get("global", {}), **found.get("download", {}), **found.get(":env:", {})}


def _indexes(settings: dict[str, str]) -> list[str]:
    first = settings.get("index-url") or _public_index()
    return [*([first] if first else []), *settings.get("extra-index-url", "").split()]


def _public_index() -> str | None:
    """The index that pip asks where none is set up, by pip's own word; None where this pip does not say."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        return None
    return str(PyPI.simple_url)


def _opener(settings: dict[str, str]) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = []
    if proxy := settings.get("proxy"):
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    if certificates := settings.get("cert"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificates)))
    return urllib.request.build_opener(*handlers)


def _open(opener: urllib.request.OpenerDirector, address: str) -> Any:
    """Open an address; a name and password in it are sent as a header, as urllib does not."""
    parts = urllib.parse.urlsplit(address)
    headers = {"Accept": "text/html, */*;q=0.1"}
    if parts.username is not None:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return opener.open(urllib.request.Request(parts.geturl(), headers=headers), timeout=_TIMEOUT_S)
