"""Nothing is lost in silence: an independent probe looks at odd files before and after, copied and encoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from deflicker import InputError, Settings, deflicker
from deflicker.core.values import TimePoint
from scripts.files.compare import Finding, compare
from scripts.files.facts import facts_of
from scripts.try_files import END, START, TARGET, Outcome, put_into, row, try_file
from tests.awkward import MAKERS
from tests.media.making import clip, clips, make

COPY = Settings(strength=0)
ENCODE = Settings(strength=0, start=TimePoint(frame=0), overwrite=True)
settings = pytest.mark.parametrize("settings", [COPY, ENCODE], ids=["copied", "encoded"])


def findings(source: Path, target: Path, settings: Settings) -> list[Finding]:
    """What became of every property of a file."""
    report = deflicker(source, target, settings)
    said = [*report.copied, *report.dropped, *report.notes, *(what for what, _ in report.damage)]
    return compare(facts_of(source), facts_of(target), said)


def target_of(source: Path, folder: Path) -> Path:
    return folder / f"out{TARGET.get(source.suffix.lower(), source.suffix.lower())}"


@settings
@pytest.mark.parametrize("name", MAKERS)
def test_constructed_files(tmp_path: Path, name: str, settings: Settings) -> None:
    source = MAKERS[name](tmp_path / name)
    found = findings(source, target_of(source, tmp_path), settings)
    assert [finding for finding in found if finding.verdict == "lost"] == []
    kept = {finding.name for finding in found if finding.verdict == "kept"}
    assert {"size"} <= kept


REAL = [name for name in clips() if "README" not in name] or ["awkward/none.mp4"]
BROKEN = ("zero_byte", "not_a_video", "audio_only", "tiny_262", "corrupt_vp9")


@pytest.mark.slow
@settings
@pytest.mark.parametrize("name", REAL)
def test_real_files(tmp_path: Path, name: str, settings: Settings) -> None:
    source = clip(name)
    if any(word in name for word in BROKEN):
        with pytest.raises(InputError) as caught:
            deflicker(source, target_of(source, tmp_path), settings)
        assert (caught.value.exit_code, str(caught.value).count("\n")) == (3, 0)
        assert list(tmp_path.iterdir()) == []
    else:
        found = findings(source, target_of(source, tmp_path), settings)
        assert [finding for finding in found if finding.verdict == "lost"] == []


def test_the_probe_sees_what_is_missing(tmp_path: Path) -> None:
    """A comparison that finds nothing must be able to find something."""
    whole, bare = MAKERS["many streams.mkv"](tmp_path / "in.mkv"), tmp_path / "bare.mkv"
    make(bare, pts=[3 * n for n in range(25)], pix_fmt="yuv420p10le", size=(64, 64))
    lost = {finding.name for finding in compare(facts_of(whole), facts_of(bare), []) if finding.verdict == "lost"}
    assert lost == {
        "pts", "duration", "size", "bit depth", "audio aac", "subtitle subrip", "chapters", "tags",
    }  # fmt: skip
    turned, plain = MAKERS["turned.mov"](tmp_path / "turned.mov"), make(tmp_path / "plain.mov")
    lost = {finding.name for finding in compare(facts_of(turned), facts_of(plain), []) if finding.verdict == "lost"}
    assert lost == {"rotation", "pixel aspect"}


def test_what_the_summary_names_is_not_lost_in_silence(tmp_path: Path) -> None:
    found = findings(MAKERS["many streams.mkv"](tmp_path / "in.mkv"), tmp_path / "out.gif", ENCODE)
    verdicts = {finding.name: finding.verdict for finding in found}
    assert {verdicts[name] for name in ("audio aac", "subtitle subrip", "chapters", "tags")} == {"named"}


def test_rows_and_where_they_go() -> None:
    report = {"codec": "copy", "frames": 3, "dropped": ["a | b: no room"], "notes": [], "damage": {"torn": 2}}
    found = (Finding("frames", "kept", "3 -> 3"), Finding("pts", "kept"), Finding("tags", "lost", "title"))
    outcome = Outcome(0, "", report, found)
    assert not outcome.sound
    line = row(Path("in.mp4"), "odd", outcome)
    silent = "**tags lost in silence** title"
    assert line == f"| in.mp4 | odd | packets copied | 3 -> 3 | pts | {silent}; a \\| b: no room; damaged: torn (2x) |"
    refused = Outcome(3, "deflicker: in.mp4 is empty", {}, ())
    assert refused.sound
    assert row(Path("in.mp4"), "odd", refused) == "| in.mp4 | odd | refused, exit code 3: in.mp4 is empty | | | |"
    assert not Outcome(1, "deflicker: this is a bug", {}, ()).sound
    assert not Outcome(3, "two\nlines", {}, ()).sound
    assert put_into(f"a\n{START} x -->\nold\n{END}\nb", "new") == f"a\n{START} x -->\nnew\n{END}\nb"
    with pytest.raises(ValueError, match="no marks"):
        put_into("a", "new")


def test_a_file_is_tried_through_the_real_command(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    source = MAKERS["cover.mp4"](tmp_path / "cover.mp4")
    outcome = try_file(source, tmp_path / "scratch", ["--strength", "0"], 120)
    assert outcome.sound
    assert {"pts", "cover mjpeg"} <= {finding.name for finding in outcome.findings}
    (tmp_path / "text.mp4").write_text("Once upon a time\n" * 99)
    refused = try_file(tmp_path / "text.mp4", tmp_path / "scratch", [], 120)
    assert (refused.code, refused.sound) == (3, True)
    assert refused.line.startswith("deflicker: text.mp4 cannot be read as a video")
