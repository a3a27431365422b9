"""What survived a run: facts of a file before and after, property by property."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from scripts.files.facts import Facts, Picture, Stream

Verdict = Literal["kept", "named", "lost"]

_OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
_TICK_S = {"gif": Fraction(1, 100), "matroska": Fraction(1, 1000), "avi": Fraction(1, 25)}
"""What one tick of time is worth in containers that are coarser than the source may be."""


@dataclass(frozen=True)
class Finding:
    """One property and what became of it."""

    name: str
    verdict: Verdict
    """`named`: not as it was, and the summary says so."""
    detail: str = ""


def compare(before: Facts, after: Facts, said: Sequence[str]) -> list[Finding]:
    """Every property that `before` has, and whether `after` has it too or `said`, the summary's lines, names it."""
    words = " ".join(said).lower()
    found = [*_timing(before, after, words), *_picture(before, after, words)]
    found += _streams(before, after, words)
    if before.chapters:
        same = _close_chapters(before, after)
        found.append(_finding("chapters", same, "chapters:" in words, f"{len(before.chapters)}"))
    tags = {key: value for key, value in before.tags.items() if key not in _OF_THE_FILE}
    if tags:
        gone = [key for key, value in tags.items() if not _has_tag(after, key, value)]
        found.append(_finding("tags", not gone, "tag" in words and all(key in words for key in gone), ", ".join(gone)))
    return found


def _finding(name: str, same: bool, named: bool, detail: str = "") -> Finding:
    return Finding(name, "kept" if same else "named" if named else "lost", detail)


def _has_tag(facts: Facts, key: str, value: str) -> bool:
    """Containers spell dates and places in their own ways, and know one language where another knows two."""
    if key in ("creation_time", "location", "location-eng"):
        return any(other.startswith(key[:8]) for other in facts.tags)
    return facts.tags.get(key, "").strip() == value.strip()


def _close_chapters(before: Facts, after: Facts) -> bool:
    pairs = zip(before.chapters, after.chapters, strict=False)
    tick = Fraction(1, 1000)
    return len(before.chapters) == len(after.chapters) and all(
        a[2] == b[2] and abs(a[0] - b[0]) <= tick and abs(a[1] - b[1]) <= tick for a, b in pairs
    )


def _timing(before: Facts, after: Facts, words: str) -> Iterator[Finding]:
    if before.video is None or after.video is None:
        return
    old, new = before.streams[before.video], after.streams[after.video]
    noted = "time stamp" in words or "damaged" in words or "lost" in words
    worst = largest_shift(old.times, new.times)
    tick = next((value for name, value in _TICK_S.items() if name in after.container), Fraction(1, 1_000_000))
    yield _finding("pts", worst is not None and worst <= tick, noted, "" if worst is None else f"{float(worst):.6f} s")
    moved = abs(before.end - after.end)
    detail = f"{float(before.end):.3f} -> {float(after.end):.3f} s"
    # FFmpeg begins an edit that starts inside a picture with the next whole one.
    part = max((p.duration for p in old.packets if p.hidden), default=Fraction(0))
    yield _finding("duration", moved <= max(tick, Fraction(1, 1000), part), noted, detail)


def largest_shift(old: Sequence[Fraction], new: Sequence[Fraction]) -> Fraction | None:
    """Largest difference of times, in seconds; None where there are not as many."""
    if len(old) != len(new) or not old:
        return None
    return max(abs(a - b) for a, b in zip(sorted(old), sorted(new), strict=True))


def _picture(before: Facts, after: Facts, words: str) -> Iterator[Finding]:
    old, new = before.picture, after.picture
    if old is None or new is None:
        return
    yield _finding("frames", old.frames == new.frames, "damaged" in words, f"{old.frames} -> {new.frames}")
    yield _finding("size", old.size == new.size, False, f"{new.size}")
    if old.matrix:
        yield _finding("rotation", _turn(old) == _turn(new), "rotation by" in words and "hold it" in words)
    if old.aspect != 1:
        yield _finding(
            "pixel aspect", old.aspect == new.aspect, "aspect" in words and "cannot" in words, str(new.aspect)
        )
    rgb = "rgb" in words or "y'cbcr" in words
    if any(tag not in (0, 2) for tag in old.tags):
        yield _finding("colour tags", _same_tags(old, new), rgb, f"{old.tags} -> {new.tags}")
    yield _finding("bit depth", old.depth == new.depth, "bits become" in words or rgb, f"{old.depth} -> {new.depth}")
    if old.transparent:
        yield _finding("alpha", new.transparent, "transparency" in words or "alpha channel" in words)
    if old.interlaced:
        yield _finding("interlaced flag", new.interlaced, "interlaced flag" in words)
    if any(old.hdr):
        yield _finding("HDR metadata", _same_hdr(old, new), "mastering-display metadata:" in words)


def _turn(picture: Picture) -> tuple[int, ...] | None:
    """The part of the matrix that turns; the rest moves the picture, which players ignore."""
    return picture.matrix and tuple(picture.matrix[place] for place in (0, 1, 3, 4))


def _same_tags(old: Picture, new: Picture) -> bool:
    """Unknown and unset are alike; limited is what no range means."""
    return all(a == b for a, b in zip(_known(old), _known(new), strict=True))


def _known(picture: Picture) -> list[int]:
    primaries, transfer, matrix, full = picture.tags
    same = [0 if tag in (0, 2) else 6 if tag == 5 else tag for tag in (primaries, transfer, matrix)]
    return [*same, max(1, full)]


def _same_hdr(old: Picture, new: Picture) -> bool:
    close = all(abs(a - b) < 0.001 * max(1, abs(a)) for a, b in zip(old.hdr[0], new.hdr[0], strict=False))
    return close and len(old.hdr[0]) == len(new.hdr[0]) and old.hdr[1] == new.hdr[1]


def _streams(before: Facts, after: Facts, words: str) -> Iterator[Finding]:
    rest = list(after.others)
    for stream in before.others:
        name = f"{stream.kind} {stream.codec}"
        same = next((other for other in rest if _same_stream(stream, other)), None)
        if same is not None:
            rest.remove(same)
        elif stream.kind == "data" and before.chapters and after.chapters:
            continue  # titles of MP4's chapters
        named = f"{stream.codec}" in words and ("hold" in words or "encoded as" in words or "(as " in words)
        yield _finding(name, same is not None, named or "its codec is not described" in words)


def _same_stream(old: Stream, new: Stream) -> bool:
    """The same bytes at the same times, in a stream of the same kind, language and title."""
    kinds = (old.kind, new.kind)
    if old.kind != new.kind and kinds not in (("cover", "attachment"), ("attachment", "cover"), ("cover", "video")):
        return False
    bytes_alike = [p.digest for p in old.packets] == [p.digest for p in new.packets]
    shift = largest_shift(old.times, new.times)
    untimed = old.kind in ("cover", "attachment") or not old.times
    # A tick of a millisecond, as Matroska has it, may round either way.
    times_alike = untimed or (shift is not None and shift <= Fraction(1, 999))
    return bytes_alike and times_alike and old.language == new.language
