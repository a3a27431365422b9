"""The folder beside OUT in which a run keeps what it has found out: whole segments, each with its hash, or nothing.

A segment is some files: `N.frames`, the corrections of some frames one after the other; `N.motion` and so on, what each
stage remembered after them; and `N.json`, which has the hashes of them and of all frames before, and its own. Each is
written under another name, forced to the disk and renamed, in this order: where the last is there, so are the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from deflicker.core.errors import OutputError
from deflicker.core.files import held_alone, remove_held

_ABOUT, _LOCK, _UNFINISHED = "about.json", "lock", ".part"
_STATES = 2
"""States that are kept: the newest, and one more in case that it cannot be read."""


def folder_of(target: Path) -> Path:
    """Where progress towards an output is kept."""
    return target.with_name(f".{target.name}.deflicker-resume")


@dataclass(frozen=True)
class Segment:
    """How far a run had come when a segment was complete."""

    number: int = 0
    frames: int = 0
    """Frames decided up to here."""
    taken: int = 0
    """Frames that the stages had taken in."""
    held: tuple[int, ...] = ()
    """Those of them that they still hold."""
    states: dict[str, str] = field(default_factory=dict)
    """Hashes of what each of them remembers."""
    hashes: tuple[str, ...] = ()
    """Of the frames' files up to here."""


class Unfinished:
    """A file that is written under another name and gets its own when it is complete. All methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path, self._hash = path, hashlib.sha256()
        self._file = open(path.with_name(path.name + _UNFINISHED), "wb")  # noqa: SIM115  # complete or close closes it

    def write(self, data: Any) -> int:
        """Add some bytes."""
        self._hash.update(data)
        return self._file.write(data)

    def complete(self, path: Path | None = None) -> str:
        """Force it to the disk and give it its name, or another; the hash of what was written."""
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._file.name, path or self._path)
        return self._hash.hexdigest()

    def close(self) -> None:
        """Forget it, unless it is complete."""
        with contextlib.suppress(OSError):
            self._file.close()
            os.unlink(self._file.name)


class Folder:
    """The folder while one run holds it. Raises OutputError where another does, or it cannot be made."""

    def __init__(self, target: Path) -> None:
        self.path, self.segment = folder_of(target), Segment()
        self._frames: Unfinished | None = None
        try:
            self._release = held_alone(self.path, _LOCK)
        except BlockingIOError:
            raise OutputError(
                f"{target} is being written by another run with resume: wait for it, or choose another name"
            ) from None
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def about(self) -> dict[str, str] | None:
        """Under what circumstances its segments were made; None where there is nothing, or nothing to be trusted."""
        try:
            return dict(_unsealed(self.path / _ABOUT))
        except (OSError, ValueError):
            return None

    def begin(self, about: dict[str, str]) -> None:
        """Forget what is there, and keep what is to come under these circumstances. Raises OSError."""
        self.segment = Segment()
        for path in self.path.iterdir():
            if path.name != _LOCK:
                path.unlink()
        self._seal(_ABOUT, about)

    def find(self) -> list[str]:
        """Take the newest segment that can be trusted as the last; what is wrong with newer ones. Raises OSError."""
        wrong: list[str] = []
        for path in self.path.glob(f"*{_UNFINISHED}"):
            path.unlink()
        numbers = [int(path.stem) for path in self.path.glob("*.json") if path.stem.isdigit()]
        for number in sorted(numbers, reverse=True):
            try:
                self.segment = self._checked(number)
                break
            except (OSError, ValueError, KeyError, TypeError) as error:
                wrong.append(str(error))
        return wrong

    def _checked(self, number: int) -> Segment:
        found = _unsealed(self.path / f"{number}.json")
        segment = Segment(**found | {"held": tuple(found["held"]), "hashes": tuple(found["hashes"])})
        if segment.number != number or len(segment.hashes) != number:
            raise ValueError(f"{number}.json is of another segment")
        expected = {f"{number}.{stage}": value for stage, value in segment.states.items()}
        expected |= {f"{at}.frames": value for at, value in enumerate(segment.hashes, 1)}
        for name, value in expected.items():
            if _hash_of(self.path / name) != value:
                raise ValueError(f"{name} is damaged")
        return segment

    def state(self, stage: str) -> BinaryIO:
        """What a stage remembered after the last segment, open. Raises OSError."""
        return (self.path / f"{self.segment.number}.{stage}").open("rb")

    def frames(self, number: int) -> BinaryIO:
        """The corrections of a segment, open. Raises OSError."""
        return (self.path / f"{number}.frames").open("rb")

    def add(self, write: Callable[[Any], object]) -> None:
        """Write one more frame of the segment that is being made. Raises OSError."""
        if self._frames is None:
            self._frames = Unfinished(self.path / f"{self.segment.number + 1}.frames")
        write(self._frames)

    def state_to_be(self, stage: str, snapshot: int) -> Unfinished:
        """A file for what a stage remembers at the end of some segment to come. Raises OSError."""
        return Unfinished(self.path / f"snapshot-{snapshot}.{stage}")

    def finish(self, frames: int, taken: int, held: Iterable[int], states: Mapping[str, Unfinished]) -> None:
        """Complete a segment of what was added. Raises OSError; the segments before stay good."""
        assert self._frames is not None
        last, number = self.segment, self.segment.number + 1
        hashes = (*last.hashes, self._frames.complete())
        kept = {stage: file.complete(self.path / f"{number}.{stage}") for stage, file in states.items()}
        segment = Segment(number, frames, taken, tuple(sorted(held)), kept, hashes)
        self._seal(f"{number}.json", asdict(segment))
        self._frames, self.segment = None, segment
        for ending in ("json", *kept):
            (self.path / f"{number - _STATES}.{ending}").unlink(missing_ok=True)

    def _seal(self, name: str, value: object) -> None:
        text = json.dumps(value).encode()
        with contextlib.closing(Unfinished(self.path / name)) as file:
            file.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            file.complete()
        _force_folder(self.path)

    def give_up(self) -> None:
        """Leave out what is not finished; what is finished stays."""
        frames, self._frames = self._frames, None
        if frames is not None:
            frames.close()
        with contextlib.suppress(OSError):
            for path in self.path.glob(f"*{_UNFINISHED}"):
                path.unlink()

    def close(self, *, remove: bool) -> None:
        """Let go of it; with all that is in it where it is to be removed."""
        self.give_up()
        if remove:
            remove_held(self.path, self._release)
        else:
            self._release()


def _unsealed(path: Path) -> Any:
    """What `Folder._seal` wrote. Raises OSError, or ValueError where it is damaged."""
    expected, _, text = path.read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != expected:
        raise ValueError(f"{path.name} is damaged")
    return json.loads(text)


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _force_folder(path: Path) -> None:
    """Names, too, are on the disk only when that is asked for; not every system can."""
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
