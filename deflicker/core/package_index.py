"""Files on the package index that the user's pip or uv is set up with. Nothing is installed, built or run.

pip's own files and environment variables are read for the index, further indexes, folders of packages, proxy and
certificates, so that a mirror serves this tool as it serves pip, which need not be installed. Of uv, its variables are.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import html
import http.client
import netrc
import os
import re
import shutil
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.response import addinfourl

PUBLIC_INDEX = "https://pypi.org/simple/"
"""Asked where none is set up."""
TIMEOUT_S = 30.0
_LINK = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*["']([^"']+)["']""", re.IGNORECASE)


def fetch_file(project: str, filename: str, folder: Path, settings: Mapping[str, str] | None = None) -> Path:
    """Put a project's file of this name into `folder` and return its path; its hash is not checked.

    settings: pip's, by their names in its files; read where not given. Raises OSError, with the last place's reason,
    where no place has the file.
    """
    settings = user_settings() if settings is None else settings
    failure = OSError("no package index is set up")
    for page in _pages(project, settings):
        try:
            with _open(_address(page, filename, settings), settings) as answer, (folder / filename).open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            return folder / filename
        except urllib.error.HTTPError as error:
            failure = OSError(f"the index says {error.code} {error.reason}")
            error.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure = error if isinstance(error, OSError) else OSError(str(error) or type(error).__name__)
    raise failure


def user_settings() -> dict[str, str]:
    """What pip's files and environment set for every command and for `download`; the environment is the strongest."""
    sections: dict[str, dict[str, str]] = {"global": {}, "download": {}}
    for path in _config_files():
        parser = configparser.RawConfigParser()
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read(path, encoding="utf-8")
            for name, found in sections.items():
                found |= parser.items(name) if parser.has_section(name) else {}
    given = {name[4:].lower(): text for name, text in os.environ.items() if name.startswith("PIP_") and text}
    return {
        name.replace("_", "-"): text
        for name, text in (*sections["global"].items(), *sections["download"].items(), *given.items())
    }


def _config_files() -> list[Path]:
    """Where pip looks for settings, the strongest last."""
    import platformdirs

    own = os.environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:  # pip's way to have none of them read
        return []
    places = platformdirs.PlatformDirs("pip", appauthor=False, roaming=True, multipath=True)
    shared = reversed(places.site_config_dir.split(os.pathsep))
    folders = [*shared, "/etc", "~/.pip", "~/.config/pip", places.user_config_dir, sys.prefix]
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    return [Path(folder).expanduser() / name for folder in folders] + ([Path(own)] if own else [])


def _pages(project: str, settings: Mapping[str, str]) -> list[str]:
    """Folders and pages that may have the project's files."""
    pages = settings.get("find-links", "").split()
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        return pages
    uv = {name: os.environ.get(f"UV_{name}", "") for name in ("DEFAULT_INDEX", "INDEX_URL", "INDEX", "EXTRA_INDEX_URL")}
    first = settings.get("index-url") or uv["DEFAULT_INDEX"] or uv["INDEX_URL"] or PUBLIC_INDEX
    more = f"{settings.get('extra-index-url', '')} {uv['INDEX']} {uv['EXTRA_INDEX_URL']}".split()
    without_names = (re.sub(r"^[\w.-]+=", "", index) for index in (first, *more))  # uv lets an index have one
    return pages + [f"{index.rstrip('/')}/{project}/" for index in without_names]


def _address(page: str, filename: str, settings: Mapping[str, str]) -> str:
    """Where the file is, by the links of a page or in a folder. Raises OSError where it is not there."""
    parts = urllib.parse.urlsplit(page)
    if parts.scheme == "file" or len(parts.scheme) < 2:  # one letter is a drive
        local = (
            Path(urllib.request.url2pathname(parts.path) if parts.scheme == "file" else page).expanduser().absolute()
        )
        if (local / filename).is_file():
            return (local / filename).as_uri()
        page = (local / "index.html" if local.is_dir() else local).as_uri()
    with _open(page, settings) as answer:
        links = _LINK.findall(answer.read().decode("utf-8", "replace"))
    for link in links:
        address = urllib.parse.urljoin(page, html.unescape(link)).partition("#")[0]
        if urllib.parse.unquote(address.rsplit("/", 1)[-1]) == filename:
            return address
    raise OSError(f"the index has no {filename}")


def _open(address: str, settings: Mapping[str, str]) -> addinfourl:
    """Open an address through the proxy and with the certificates of the settings.

    A name and password in the address, or in the user's netrc file, are sent as a header, as urllib does not.
    """
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    context = ssl.create_default_context(cafile=settings.get("cert"))
    if {host, parts.hostname} & set(settings.get("trusted-host", "").split()):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # what is fetched has its SHA-256 pinned
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
    if proxy := settings.get("proxy"):
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    headers = {"Accept": "text/html, */*;q=0.1"}
    name, password = parts.username, parts.password
    if name is None and parts.hostname:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            name, _, password = netrc.netrc().authenticators(parts.hostname) or (None, None, None)
    if name is not None:
        pair = f"{urllib.parse.unquote(name)}:{urllib.parse.unquote(password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), headers=headers)
    answer: addinfourl = urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S)
    return answer
