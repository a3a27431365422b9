"""Every frame once, with its own time; packets of the other streams beside them; cuts exact."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import pytest

from deflicker.core.errors import Cancelled, SettingsError
from deflicker.core.options import ReadOptions
from deflicker.core.values import Span, TimePoint
from deflicker.media.reader import Reader
from tests.assets import make_video
from tests.media.making import clip, frames_of, make, payloads, same_planes, times

VFR = [0, 7, 19, 20, 41, 70, 71, 72, 100, 150]


def read(path: Path, **cut: Any) -> tuple[list[int], Counter[int], Reader]:
    """(pts of each frame, packets per other stream, the reader)."""
    packets: Counter[int] = Counter()
    with Reader(path, ReadOptions(**cut)) as reader:
        pts = [f.pts for f in reader.frames(lambda packet: packets.update([packet.stream_index]))]
    return pts, packets, reader


@pytest.mark.parametrize("time_base", [Fraction(1, 100), Fraction(1, 90000), Fraction(1001, 30000)])
def test_variable_times_are_exact(tmp_path: Path, time_base: Fraction) -> None:
    path = make(tmp_path / "in.mp4", pts=VFR, time_base=time_base)
    with Reader(path) as reader:
        frames = list(reader.frames())
        assert times(frames) == [p * time_base for p in VFR]
        assert [f.index for f in frames] == list(range(10))
        assert frames[0].key_frame
        assert not reader.notes


def test_every_packet_of_the_other_streams_is_delivered(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mkv", audio=["aac", "ac3"], subtitles=[("subrip", [(0, 100, b"a"), (200, 100, b"b")])])
    _, packets, _ = read(path)
    wanted = {i: len(found) for kind in ("audio", "subtitle") for i, found in payloads(path, kind).items()}
    assert packets == wanted
    assert packets[3] == 2


def _times_from(path: Path, start: str | None, end: str | None) -> tuple[list[Fraction], Reader]:
    points = {k: TimePoint.parse(v) for k, v in (("start", start), ("end", end)) if v}
    with Reader(path, ReadOptions(**points)) as reader:
        frames = list(reader.frames())
    assert [f.index for f in frames] == list(range(len(frames)))
    return times(frames), reader


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("20f", "30f", 20, 29),
        ("0.8", "1.2", 20, 29),
        ("4", None, 100, 149),
        ("4.01", "5", 101, 124),
        (None, "5f", 0, 4),
        ("120f", None, 120, 149),
        ("3", "90f", 75, 89),
    ],
)
def test_cuts_are_exact(tmp_path: Path, suffix: str, start: str | None, end: str | None, first: int, last: int) -> None:
    path = make(tmp_path / f"in{suffix}", pts=range(50, 200), options={"preset": "ultrafast", "g": "30", "bf": "3"})
    base = frames_of(path)
    found, reader = _times_from(path, start, end)
    assert found == times(base)[first : last + 1]
    assert reader.shift == (found[0] if start else 0)


def test_a_cut_after_a_jump_decodes_the_same_pictures(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4", pts=range(200), options={"preset": "fast", "g": "60", "bf": "3"})
    whole = frames_of(path)
    with Reader(path, ReadOptions(start=TimePoint.parse("5"))) as reader:
        cut = list(reader.frames())
    assert len(cut) == 75
    assert all(same_planes(a.planes, b.planes) for a, b in zip(whole[125:], cut, strict=True))


@pytest.mark.parametrize(("start", "end"), [("2", "4"), ("50f", "100f")])
def test_a_cut_delivers_the_packets_that_overlap_it(tmp_path: Path, start: str, end: str) -> None:
    path = make(tmp_path / "in.mkv", pts=range(150), audio=["aac"], audio_seconds=6)
    delivered = []
    with Reader(path, ReadOptions(start=TimePoint.parse(start), end=TimePoint.parse(end))) as reader:
        list(reader.frames(lambda p: delivered.append((p.pts * p.time_base, bytes(p)))))
    overlapping = [
        (when, data) for when, data in payloads(path, "audio")[1] if when is not None and -0.022 < when - 2 < 2
    ]
    assert 80 < len(delivered) < 100
    assert delivered == overlapping


def test_nothing_between_start_and_end_is_the_users_mistake(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4")
    with (
        Reader(path, ReadOptions(start=TimePoint.parse("99"))) as reader,
        pytest.raises(SettingsError, match="10 frames"),
    ):
        list(reader.frames())


def test_frames_can_be_read_once(tmp_path: Path) -> None:
    with Reader(make(tmp_path / "in.mp4")) as reader:
        list(reader.frames())
        with pytest.raises(ValueError, match="once"):
            next(reader.frames())


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4", pts=range(60), size=(320, 240), options={"crf": "1", "preset": "ultrafast"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    (tmp_path / "damaged.mp4").write_bytes(data)
    pts, _, reader = read(tmp_path / "damaged.mp4")
    assert 30 < len(pts) <= 60
    assert pts == sorted(set(pts))
    assert reader.damage


def test_a_really_corrupt_file_keeps_what_decodes() -> None:
    pts, _, reader = read(clip("awkward/corrupt_h264.mp4"))
    assert len(pts) == 49
    assert "damaged" in " ".join(dict(reader.damage))


def test_times_that_go_back_are_moved_and_noted() -> None:
    pts, packets, reader = read(clip("awkward/mkv_cover_art_nonmonotonic.mkv"))
    assert len(pts) == 60
    assert all(b > a for a, b in itertools.pairwise(pts))
    assert "does not increase" in " ".join(reader.notes)
    assert packets[2] == 1  # the cover


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("fragmented.mp4", 30),
        ("editlist_bframes_yuv444_1fps.mp4", 12),
        ("vfr_screen_recording_3026x1386.mp4", 63),
        ("rot270_3frames.mov", 3),
        ("gif_1frame_1x1.gif", 1),
        ("two_video_two_audio_subs.mp4", 325),
        ("alpha_vp9_audio.webm", 150),
    ],
)
def test_every_frame_of_an_awkward_file(name: str, count: int) -> None:
    assert len(read(clip(f"awkward/{name}"))[0]) == count


def test_vp9_alpha_is_decoded() -> None:
    frame = frames_of(clip("awkward/alpha_vp9_audio.webm"))[0]
    assert len(frame.planes) == 4
    assert frame.planes[3].min() == 0
    assert frame.planes[3].max() == 255


def test_pictures_of_another_size_are_fitted_to_the_first(tmp_path: Path) -> None:
    parts = [make(tmp_path / f"{i}.ts", codec="mpeg2video", size=s) for i, s in enumerate([(64, 48), (96, 80)])]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with Reader(path) as reader:
        frames = list(reader.frames())
        assert {f.planes[0].shape for f in frames} == {(48, 64)}
        assert len(frames) >= 19  # MPEG-2 loses the picture it holds back when the size changes
        assert "another size" in " ".join(reader.notes)


def test_a_reader_lets_go_of_its_file(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4")
    with Reader(path) as reader:
        frames = reader.frames()
        next(frames)
        frames.close()  # type: ignore[attr-defined]
    with pytest.raises((ValueError, AssertionError, av.FFmpegError)):
        reader._container.seek(0)


@pytest.mark.parametrize(
    ("start", "exclude", "marked"),
    [
        (None, ["0.08-0.16"], [2, 3]),
        (None, ["2f-4f", "9f-99f"], [2, 3, 9]),
        (None, ["3f-0.2"], [3, 4]),
        (None, ["20-30"], []),
        ("0.08", ["0.08-0.16", "5f-6f"], [0, 1, 3]),
        ("3f", ["2f-4f"], [0]),
    ],
)
def test_excluded_frames_are_marked_by_the_sources_clock(
    tmp_path: Path, start: str | None, exclude: list[str], marked: list[int]
) -> None:
    path = make(tmp_path / "in.mp4")
    spans = tuple(map(Span.parse, exclude))
    options = ReadOptions(start=TimePoint.parse(start) if start else None, exclude=spans)
    with Reader(path, options) as reader:
        assert [frame.index for frame in reader.frames() if frame.excluded] == marked


@pytest.mark.parametrize("span", ["130f-135f", "5.2-5.4"])
def test_frame_numbers_hold_where_the_start_could_be_jumped_to(tmp_path: Path, span: str) -> None:
    path = make(tmp_path / "in.mp4", pts=range(200), options={"g": "10", "preset": "ultrafast"})
    with Reader(path, ReadOptions(start=TimePoint.parse("5"), exclude=(Span.parse(span),))) as reader:
        assert [frame.pts * frame.time_base for frame in reader.frames() if frame.excluded] == [
            Fraction(n, 25) for n in range(130, 135)
        ]


# --- A decoder by name ------------------------------------------------------------------------------------------------


def test_a_decoder_by_name_decodes_the_same(tmp_path: Path) -> None:
    source = make(tmp_path / "in.webm", codec="libvpx-vp9")
    with Reader(source) as usual, Reader(source, ReadOptions(decoder="libvpx-vp9")) as named:
        pairs = list(zip(usual.frames(), named.frames(), strict=True))
    assert len(pairs) == 10
    assert all(a.pts == b.pts and same_planes(a.planes, b.planes) for a, b in pairs)
    assert named.notes == usual.notes


@pytest.mark.parametrize(
    ("name", "because"),
    [("h264_cuvid", ""), ("libvpx-vp9", "it does not decode h264"), ("h264_magic", "no decoder has this name")],
)
def test_a_decoder_that_does_not_run_is_replaced_in_words(tmp_path: Path, name: str, because: str) -> None:
    source = make(tmp_path / "in.mp4")
    with Reader(source, ReadOptions(decoder=name)) as reader:
        frames = list(reader.frames())
    assert len(frames) == 10
    if name != "h264_cuvid" or reader.notes:  # where there is such a GPU, there is nothing to say
        (note,) = reader.notes
        assert note.startswith(f"the decoder {name} does not run here ({because}")


def test_it_stops_when_asked(tmp_path: Path) -> None:
    cancel = Event()
    with Reader(make_video(tmp_path / "in.mp4"), cancel=cancel) as reader:
        frames = reader.frames()
        next(frames)
        cancel.set()
        with pytest.raises(Cancelled):
            next(frames)
