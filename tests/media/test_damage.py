"""Damage is counted or refused, and where a file ends too early is noticed; sound files pass for sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from deflicker.core.errors import InputError
from deflicker.core.options import Limits, ReadOptions
from deflicker.media.damage import DamageLog
from deflicker.media.reader import Reader
from tests.media.making import clip, make

VFR = [0, 7, 19, 20, 41, 70, 71, 72, 100, 150]


def read(path: Path, *, strict: bool = False) -> tuple[int, dict[str, int]]:
    """Frames, and what is damaged."""
    with Reader(path, ReadOptions(limits=Limits(strict=strict))) as reader:
        return sum(1 for _ in reader.frames()), dict(reader.damage)


def test_counted_by_words() -> None:
    damage = DamageLog(Path("in.mp4"), strict=False)
    for what in ("a", "b", "a"):
        damage.add(what)
    assert (damage.found, len(damage)) == ((("a", 2), ("b", 1)), 3)
    damage.clear()
    assert (damage.found, len(damage)) == ((), 0)


def test_the_first_is_one_too_many() -> None:
    with pytest.raises(InputError, match=r"in.mp4: a picture is torn; leave out --strict"):
        DamageLog(Path("in.mp4"), strict=True).add("a picture is torn")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
@pytest.mark.parametrize("offset", [0, 50])
def test_sound_files_pass_for_sound(tmp_path: Path, suffix: str, offset: int) -> None:
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    sound = ["libopus"] if suffix == ".webm" else ["aac"]
    path = make(tmp_path / f"in{suffix}", pts=range(offset, offset + 30), codec=codec, audio=sound)
    assert read(path, strict=True) == (30, {})


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_uneven_times_are_no_damage(tmp_path: Path, suffix: str) -> None:
    assert read(make(tmp_path / f"in{suffix}", pts=VFR, time_base=Fraction(1, 100)), strict=True) == (10, {})


def cut(path: Path, share: float) -> Path:
    """The first part of a file."""
    data = path.read_bytes()
    short = path.with_stem("cut")
    short.write_bytes(data[: int(len(data) * share)])
    return short


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_file_cut_off_gives_what_is_there(tmp_path: Path, suffix: str, share: float) -> None:
    path = make(
        tmp_path / f"whole{suffix}", pts=range(60), size=(160, 120), options={"preset": "ultrafast", "crf": "1"}
    )
    if suffix == ".mp4":  # its index must come before what is cut off
        path = fast_start(path)
    frames, damage = read(cut(path, share))
    assert 15 < frames < 60
    assert any("before its header says" in what for what in damage), damage
    with pytest.raises(InputError, match="--strict"):
        read(cut(path, share), strict=True)


def fast_start(path: Path) -> Path:
    """A copy of an MP4 with its index in front."""
    import av

    front = path.with_stem("front")
    with av.open(str(path)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return front


def test_torn_pictures_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4", pts=range(60), size=(320, 240), options={"crf": "1", "preset": "ultrafast"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(data)
    frames, damage = read(torn)
    assert 30 < frames <= 60
    assert sum(damage.values()) >= 1
    with pytest.raises(InputError, match="--strict"):
        read(torn, strict=True)


def test_remarks_have_both_notes_and_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "whole.mkv", pts=range(60), size=(160, 120), options={"preset": "ultrafast", "crf": "1"})
    with Reader(cut(path, 0.5)) as reader:
        list(reader.frames())
        assert [remark.split(":")[0] for remark in reader.remarks] == ["damaged"]
        assert reader.notes == ()


def test_a_really_corrupt_file_is_refused_when_asked() -> None:
    path = clip("awkward/corrupt_h264.mp4")
    assert read(path)[0] == 49
    with pytest.raises(InputError, match="damaged part"):
        read(path, strict=True)
