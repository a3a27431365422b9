"""What goes in comes out: pictures, times, sound, words, tags; and a file is complete or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deflicker.core.errors import DeflickerError, OutputError, SettingsError
from deflicker.core.options import EncodeOptions
from deflicker.core.threads import Background, prefetch
from deflicker.core.values import TimePoint
from deflicker.media.planes import canonical_formats, format_of, layout_of
from deflicker.media.probe import probe
from deflicker.media.reader import Reader
from deflicker.media.remux import remux
from deflicker.media.writer import Writer
from tests.media.making import FAST, clip, clips, frames_of, make, payloads, same_planes, times, transcode
from tests.media.test_planes import noise
from tests.media.test_reader import VFR

FFV1 = EncodeOptions(codec="ffv1")


@pytest.mark.parametrize("pix_fmt", canonical_formats())
def test_every_pixel_format_is_bit_identical_through_ffv1(tmp_path: Path, pix_fmt: str) -> None:
    info = probe(make(tmp_path / "in.mkv"))
    planes = noise(pix_fmt, 64, 48)
    layout = layout_of(pix_fmt, height=48)
    info = replace(info, pix_fmt=pix_fmt, layout=layout, transparent=layout.has_alpha, colorspace=2)
    frame = replace(frames_of(info.path)[0], planes=planes)
    with Writer(tmp_path / "out.mkv", info, FFV1) as writer:
        writer.write(frame)
    back = frames_of(tmp_path / "out.mkv")[0]
    assert format_of(probe(tmp_path / "out.mkv").layout) == pix_fmt
    assert same_planes(back.planes, planes)


@pytest.mark.parametrize("time_base", [Fraction(1, 100), Fraction(1, 90000), Fraction(1001, 30000)])
def test_variable_times_are_exact_in_mp4(tmp_path: Path, time_base: Fraction) -> None:
    source = make(tmp_path / "in.mp4", pts=VFR, time_base=time_base)
    transcode(source, tmp_path / "out.mp4")
    assert times(frames_of(tmp_path / "out.mp4")) == [p * time_base for p in VFR]


def test_variable_times_are_exact_to_a_millisecond_in_matroska(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", pts=[p * 1000 for p in VFR], time_base=Fraction(1, 90000))
    transcode(source, tmp_path / "out.mkv")
    errors = [a - Fraction(p * 1000, 90000) for a, p in zip(times(frames_of(tmp_path / "out.mkv")), VFR, strict=True)]
    assert max(map(abs, errors)) <= Fraction(1, 2000)


@pytest.mark.parametrize(("source", "target"), [("mp4", "mp4"), ("mkv", "mkv"), ("mkv", "mp4"), ("mp4", "mkv")])
@pytest.mark.parametrize(("video_ms", "audio_ms"), [(0, 0), (120, 0), (0, 120), (500, 260)])
def test_start_offsets_of_picture_and_sound_are_kept(
    tmp_path: Path, source: str, target: str, video_ms: int, audio_ms: int
) -> None:
    path = make(
        tmp_path / f"in.{source}", pts=range(video_ms, video_ms + 400, 40), time_base=Fraction(1, 1000),
        audio=["ac3"], audio_start=Fraction(audio_ms, 1000),
    )  # fmt: skip
    transcode(path, tmp_path / f"out.{target}")

    def offsets(file: Path) -> tuple[Fraction, Fraction]:
        sound = payloads(file, "audio")[1][0][0]
        assert sound is not None
        return times(frames_of(file))[0], sound

    before, after = offsets(path), offsets(tmp_path / f"out.{target}")
    assert after[0] - after[1] == pytest.approx(before[0] - before[1], abs=0.001)
    assert after == pytest.approx(before, abs=0.001 if min(before) >= 0 else 0.01)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_is_copied_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    source = make(tmp_path / f"in.{suffix}", audio=["aac", "ac3"], audio_seconds=0.4)
    _, writer, _ = transcode(source, tmp_path / f"out.{suffix}")
    assert payloads(tmp_path / f"out.{suffix}", "audio") == payloads(source, "audio")
    assert [word for word in writer.copied if word.startswith("audio")] == ["audio 1: aac, deu", "audio 2: ac3, fra"]


def test_words_chapters_attachments_and_tags_are_carried_over(tmp_path: Path) -> None:
    source = make(
        tmp_path / "in.mkv", pts=range(0, 4000, 40), time_base=Fraction(1, 1000), audio=["aac"],
        subtitles=[("subrip", [(100, 500, b"one"), (1500, 500, b"two")]), ("subrip", [(300, 100, b"drei")])],
        attachment=b"not really a font", chapters=[(0, 1000, "Opening"), (1000, 4000, "Rest")],
        metadata={"title": "A title", "comment": "A comment"},
    )  # fmt: skip
    transcode(source, tmp_path / "out.mkv")
    assert payloads(tmp_path / "out.mkv", "subtitle") == payloads(source, "subtitle")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert [s.language for s in after.streams] == [s.language for s in before.streams]
        assert after.streams[-1].data == b"not really a font"
        assert _chapters(after) == _chapters(before) == [(0, 1, "Opening"), (1, 4, "Rest")]
        assert {k.lower(): v for k, v in after.metadata.items()}.items() >= {
            "title": "A title",
            "comment": "A comment",
        }.items()


def _chapters(container: Any) -> list[tuple[float, float, str]]:
    return [
        (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
        for c in container.chapters()
    ]


def test_a_second_pass_does_not_copy_mp4s_chapter_titles_twice(tmp_path: Path) -> None:
    chapters = [(0, 1000, "Opening"), (1000, 4000, "Rest")]
    source = make(tmp_path / "in.mp4", pts=range(100), chapters=chapters)
    transcode(source, tmp_path / "once.mp4")
    _, writer, _ = transcode(tmp_path / "once.mp4", tmp_path / "twice.mp4")
    with av.open(str(source)) as before, av.open(str(tmp_path / "twice.mp4")) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams] == ["video", "data"]
        assert _chapters(after) == _chapters(before)
    assert "2 chapters" in writer.copied
    assert not writer.dropped


def test_a_workflow_in_an_mp4s_metadata_survives(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mkv", metadata={"workflow": '{"nodes": []}', "title": "T"})
    transcode(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as after:
        tags = {key.lower(): value for key, value in after.metadata.items()}
    assert tags["workflow"] == '{"nodes": []}'
    assert tags["title"] == "T"


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotation_aspect_and_colour_tags_are_kept(tmp_path: Path, suffix: str, rotation: int) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 18, "color_range": 1}
    source = make(
        tmp_path / f"in.{suffix}", pix_fmt="yuv420p10le", rotation=rotation, sample_aspect=Fraction(4, 3), tags=tags
    )
    transcode(source, tmp_path / f"out.{suffix}")
    before, after = probe(source), probe(tmp_path / f"out.{suffix}")
    assert abs(before.rotation) == abs(rotation)
    assert after.display_matrix == before.display_matrix
    assert after.sample_aspect_ratio == Fraction(4, 3)
    assert {name: getattr(after, name) for name in tags} == tags
    assert after.layout == before.layout


@pytest.mark.parametrize(
    ("codec", "target", "encoder", "word"),
    [
        ("libx264", "out.mp4", "libx264", ""),
        ("libx265", "out.mp4", "libx265", ""),
        ("libsvtav1", "out.mp4", "libsvtav1", ""),
        ("libvpx-vp9", "out.webm", "libvpx-vp9", ""),
        ("libvpx", "out.webm", "libvpx", ""),
        ("prores_ks", "out.mov", "prores_ks", ""),
        ("mjpeg", "out.mov", "mjpeg", ""),
        ("ffv1", "out.mkv", "ffv1", ""),
        ("mpeg4", "out.mp4", "libx264", "mpeg4"),
        ("mpeg2video", "out.mkv", "libx264", "mpeg2video"),
        ("libx264", "out.webm", "libvpx-vp9", "cannot hold libx264"),
        ("libvpx-vp9", "out.mov", "libx264", "cannot hold libvpx-vp9"),
        ("libx264", "out.gif", "gif", "256 colours"),
        ("libx264", "out.ts", "libx264", ""),
        ("ffv1", "out.ts", "libx264", "cannot hold ffv1"),
    ],
)
def test_the_codec_family_is_kept_where_it_can_be(
    tmp_path: Path, codec: str, target: str, encoder: str, word: str
) -> None:
    pix_fmt = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    path = tmp_path / ("in.mov" if codec == "prores_ks" else "in.mkv")
    source = make(path, codec=codec, pix_fmt=pix_fmt, size=(96, 64))
    frames, writer, _ = transcode(source, tmp_path / target, EncodeOptions())
    assert writer.codec == encoder
    assert word in " ".join(writer.notes)
    back = frames_of(tmp_path / target)
    assert len(back) == len(frames)
    if encoder != "gif":
        errors = [np.abs(a.planes[0].astype(int) - b.planes[0]).mean() for a, b in zip(frames, back, strict=True)]
        assert max(errors) < (1 << probe(tmp_path / target).layout.bit_depth) * 0.01


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (64, 17), (161, 121)])
@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "ffv1", "libx265"])
def test_odd_sizes_never_fail(tmp_path: Path, size: tuple[int, int], codec: str) -> None:
    source = make(tmp_path / "in.mkv", codec="ffv1", size=size)
    if codec == "libx265" and min(size) < 64:  # x265 itself corrupts memory there
        with pytest.raises(SettingsError, match="does not take"):
            transcode(source, tmp_path / "out.mkv", EncodeOptions(codec=codec))
        return
    transcode(source, tmp_path / "out.mkv", EncodeOptions(codec=codec))
    info = probe(tmp_path / "out.mkv")
    assert (info.width, info.height) == size
    assert len(frames_of(tmp_path / "out.mkv")) == 10


def test_a_gif_becomes_a_video_every_player_shows() -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        target = Path(folder) / "out.mp4"
        frames, writer, _ = transcode(clip("flicker/lavie_ironman.gif"), target)
        info = probe(target)
        assert info.pix_fmt == "yuv420p"
        assert info.colorspace == 6
        assert "yuv444p keeps full chroma" in " ".join(writer.notes)
        assert writer.dropped == ("looping (without end): a mp4 file cannot store it",)  # its alpha is opaque
        assert times(frames_of(target)) == times(frames)


def test_transparency_is_kept_or_said_to_be_lost(tmp_path: Path) -> None:
    source = clip("awkward/alpha_vp9_audio.webm")
    quick = EncodeOptions(encoder_preset="8")
    frames, writer, _ = transcode(source, tmp_path / "out.webm", quick)
    back = frames_of(tmp_path / "out.webm")
    assert np.abs(back[9].planes[3].astype(int) - frames[9].planes[3]).mean() < 3
    assert not writer.dropped
    _, writer, _ = transcode(source, tmp_path / "out.mp4", EncodeOptions(codec="libx264", encoder_preset="ultrafast"))
    assert "transparency" in " ".join(writer.dropped)


def test_a_refused_audio_codec_is_encoded_anew(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", pts=range(50), audio=["aac"], audio_start=Fraction(1, 4), audio_seconds=1.5)
    _, writer, _ = transcode(source, tmp_path / "out.webm", EncodeOptions())
    assert "libopus" in " ".join(writer.notes)
    sound = payloads(tmp_path / "out.webm", "audio")[1]
    assert sound[0][0] == pytest.approx(0.25, abs=0.03)
    assert sound[-1][0] == pytest.approx(1.75, abs=0.05)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("mkv_srt_subtitle.mkv", "mp4"), ("mp4_movtext_subtitle.mp4", "mkv"), ("mkv_webvtt_subtitle.mkv", "mp4")],
)
def test_text_subtitles_change_their_wrapping(tmp_path: Path, name: str, suffix: str) -> None:
    source = clip(f"awkward/{name}")
    _, writer, _ = transcode(source, tmp_path / f"out.{suffix}")
    assert "without styling" in " ".join(writer.copied)
    before = [data for lines in payloads(source, "subtitle").values() for _, data in lines if len(data) > 2]
    after = [
        data
        for lines in payloads(tmp_path / f"out.{suffix}", "subtitle").values()
        for _, data in lines
        if len(data) > 2
    ]
    assert len(after) == len(before) > 0
    assert max(before[0].removeprefix(before[0][:2]).split(), key=len) in after[0]


def test_a_stream_that_cannot_be_kept_is_dropped_with_its_reason(tmp_path: Path) -> None:
    _, writer, _ = transcode(clip("awkward/missing_stsd.mp4"), tmp_path / "out.mp4")
    assert len(writer.dropped) == 1
    assert writer.dropped[0].startswith("audio 1")
    source = make(tmp_path / "in.mkv", attachment=b"font")
    _, writer, _ = transcode(source, tmp_path / "font.mp4")
    assert writer.dropped == ("attachment 1: font.ttf: a mp4 file cannot hold it",)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cut_starts_at_zero_and_moves_everything_alike(tmp_path: Path, suffix: str) -> None:
    source = make(
        tmp_path / f"in.{suffix}",
        pts=range(100),
        audio=["ac3"],
        audio_seconds=4,
        chapters=[(0, 2000, "A"), (2000, 4000, "B")],
    )
    cut = {"start": TimePoint.parse("1"), "end": TimePoint.parse("75f")}
    frames, _, reader = transcode(source, tmp_path / f"out.{suffix}", **cut)
    assert (len(frames), reader.shift) == (50, 1)
    back = times(frames_of(tmp_path / f"out.{suffix}"))
    sound = payloads(tmp_path / f"out.{suffix}", "audio")[1]
    original = {data: when for when, data in payloads(source, "audio")[1]}
    shifts = [float(original[data] - when) for when, data in sound if when is not None]  # type: ignore[operator]
    moved = float(times(frames)[0] - back[0])
    assert shifts == pytest.approx([moved] * len(shifts), abs=0.0011)
    assert moved == pytest.approx(1, abs=0.04)  # Matroska has no time below 0 for the sound that overlaps the start
    with av.open(str(tmp_path / f"out.{suffix}")) as after:
        assert _chapters(after)[:1] == [(0, 1, "A")]


@pytest.mark.parametrize("codec", ["libsvtav1", "libx265", "libx264"])
def test_hdr_metadata_is_carried_over(tmp_path: Path, codec: str) -> None:
    source = clip("awkward/hdr10_av1_mdcv_clli.mp4")
    settings = EncodeOptions(codec=codec, encoder_preset="12" if codec == "libsvtav1" else "ultrafast")
    _, writer, _ = transcode(source, tmp_path / "out.mp4", settings, end=TimePoint(frame=3))
    before, after = probe(source).hdr, probe(tmp_path / "out.mp4").hdr
    assert before is not None
    assert after is not None
    assert after.light_level == before.light_level == (1100, 180)
    assert after.primaries == pytest.approx(before.primaries, abs=0.0001)
    assert after.luminance == pytest.approx(before.luminance, abs=0.001)
    assert "mastering-display metadata" in writer.copied


def test_the_last_pictures_length_is_kept() -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        transcode(clip("awkward/vfr_screen_recording_3026x1386.mp4"), Path(folder) / "out.mp4")
        assert probe(Path(folder) / "out.mp4").duration_s == pytest.approx(8.7255, abs=0.001)


def test_reader_and_writer_on_their_own_threads(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", pts=range(100), audio=["aac"], audio_seconds=4)

    def consume(item: Any) -> None:
        (writer.copy if isinstance(item, av.Packet) else writer.write)(item)

    with (
        Reader(source) as reader,
        Writer(tmp_path / "out.mp4", reader.info, FAST) as writer,
        Background(consume, 4) as behind,
    ):
        for frame in prefetch(reader.frames(behind.put), 4):
            behind.put(frame)
    assert times(frames_of(tmp_path / "out.mp4")) == times(frames_of(source))
    assert payloads(tmp_path / "out.mp4", "audio") == payloads(source, "audio")


def _folder(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_an_existing_file_is_refused_or_replaced(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(OutputError, match="already exists"):
        transcode(source, target)
    assert target.read_text() == "precious"
    transcode(source, target, replace(FAST, overwrite=True))
    assert len(frames_of(target)) == 10
    assert _folder(tmp_path) == ["in.mp4", "out.mp4"]


def _write_until(source: Path, target: Path, stop: int, act: Callable[[], None]) -> None:
    """Transcode, but do something at one frame."""
    with Reader(source) as reader, Writer(target, reader.info, FAST) as writer:
        for frame in reader.frames(writer.copy):
            if frame.index == stop:
                act()
            writer.write(frame)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    source, target = make(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(OutputError, match="already exists"):
        _write_until(source, target, 5, lambda: target.write_text("precious") and None)
    assert target.read_text() == "precious"
    assert _folder(tmp_path) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("link", ["none", "symbolic", "hard"])
def test_the_input_is_never_the_output(tmp_path: Path, link: str) -> None:
    source = make(tmp_path / "in.mp4")
    target = source if link == "none" else tmp_path / "link.mp4"
    if link == "symbolic":
        target.symlink_to(source)
    elif link == "hard":
        os.link(source, target)
    before = source.read_bytes()
    with pytest.raises(OutputError, match="the input itself"):
        transcode(source, target, replace(FAST, overwrite=True))
    assert source.read_bytes() == before


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(tmp_path / "in.mp4")
    for target, says in (
        (tmp_path / "none" / "out.mp4", "no folder"),
        (tmp_path / "out.xyz", "no known video extension"),
        (tmp_path / "out.svg", "no known video extension"),
    ):
        with pytest.raises(OutputError, match=says):
            transcode(source, target)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        transcode(source, tmp_path / "folder.mp4")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere, so it is played
    with pytest.raises(OutputError, match="cannot be written"):
        transcode(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [0, 3, 200])
def test_an_exception_leaves_nothing_behind(tmp_path: Path, error: type[BaseException], after: int) -> None:
    source = make(tmp_path / "in.mp4", pts=range(250), audio=["aac"])

    def fail() -> None:
        raise error

    with pytest.raises(error):
        _write_until(source, tmp_path / "out.mp4", after, fail)
    assert _folder(tmp_path) == ["in.mp4"]


def test_no_frames_is_no_file(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4")
    with pytest.raises(DeflickerError, match="no frame"), Writer(tmp_path / "out.mp4", probe(source), FAST):
        pass
    assert _folder(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (EncodeOptions(codec="libx246"), "there is no video encoder 'libx246': try .*libx264"),
        (EncodeOptions(codec="aac"), "no video encoder"),
        (EncodeOptions(codec="libvpx"), "cannot hold"),
        (EncodeOptions(pix_fmt="rgb24"), "no pixel format 'rgb24'"),
        (EncodeOptions(encoder_options={"bogus": "1"}), "no option bogus"),
        (EncodeOptions(encoder_options={"profile": "nonsense"}), "does not take profile=nonsense"),
        (EncodeOptions(encoder_preset="hasty"), "does not take preset=hasty"),
        (EncodeOptions(codec="prores_ks", crf=20), "cannot hold|no crf"),
        (EncodeOptions(codec="ffv1", crf=20), "no crf"),
        (EncodeOptions(codec="ffv1", encoder_preset="fast"), "no presets"),
    ],
)
def test_encoder_settings_that_cannot_be_used(tmp_path: Path, settings: EncodeOptions, says: str) -> None:
    source = make(tmp_path / "in.mp4")
    with pytest.raises(SettingsError, match=says) as caught:
        transcode(source, tmp_path / "out.mp4", settings)
    assert "\n" not in str(caught.value)
    assert _folder(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("preset", [None, "p7"])
def test_a_hardware_encoder_that_does_not_run_is_replaced_in_words(tmp_path: Path, preset: str | None) -> None:
    source = make(tmp_path / "in.mp4", size=(320, 240))
    settings = EncodeOptions(codec="h264_nvenc", encoder_preset=preset)
    _, writer, _ = transcode(source, tmp_path / "out.mp4", settings)
    if writer.codec == "h264_nvenc":
        pytest.skip("this machine has such a GPU")
    assert writer.codec == "libx264"
    (note,) = (note for note in writer.notes if "nvenc" in note)
    assert note.startswith("h264_nvenc does not run here (")
    assert note.endswith("encoded with libx264" + (" without the options for it" if preset else ""))


def test_encoder_settings_take_effect(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", size=(320, 240))
    transcode(source, tmp_path / "fine.mp4", replace(FAST, crf=5))
    transcode(source, tmp_path / "coarse.mp4", replace(FAST, crf=45))
    assert (tmp_path / "fine.mp4").stat().st_size > 1.5 * (tmp_path / "coarse.mp4").stat().st_size
    transcode(source, tmp_path / "444.mp4", replace(FAST, pix_fmt="yuv444p", encoder_options={"g": "1"}))
    assert probe(tmp_path / "444.mp4").pix_fmt == "yuv444p"
    assert all(frame.key_frame for frame in frames_of(tmp_path / "444.mp4"))


def test_a_copy_holds_the_same_pictures(tmp_path: Path) -> None:
    source = make(
        tmp_path / "in.mp4", pts=range(100), audio=["aac"], rotation=90, chapters=[(0, 2000, "A"), (2000, 4000, "B")],
        options={"preset": "fast", "bf": "3"}, sample_aspect=Fraction(4, 3),
    )  # fmt: skip
    result = remux(probe(source), tmp_path / "out.mp4")
    assert result is not None
    assert result.codec == "copy"
    assert payloads(tmp_path / "out.mp4", "video") == payloads(source, "video")
    assert payloads(tmp_path / "out.mp4", "audio") == payloads(source, "audio")
    before, after = probe(source), probe(tmp_path / "out.mp4")
    assert (after.display_matrix, after.sample_aspect_ratio) == (before.display_matrix, before.sample_aspect_ratio)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert len(_chapters(file)) == 2


@pytest.mark.parametrize(
    ("name", "settings"),
    [("out.webm", EncodeOptions()), ("out.mp4", EncodeOptions(crf=20)), ("out.mp4", EncodeOptions(trimmed=True))],
)
def test_what_cannot_be_copied_must_be_encoded(tmp_path: Path, name: str, settings: EncodeOptions) -> None:
    source = make(tmp_path / "in.mp4")
    assert remux(probe(source), tmp_path / name, settings) is None
    assert _folder(tmp_path) == ["in.mp4"]


def test_a_copy_never_replaces_what_is_there(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4")
    (tmp_path / "out.mp4").write_text("precious")
    with pytest.raises(OutputError, match="already exists"):
        remux(probe(source), tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_text() == "precious"


_UNREADABLE = ("audio_only", "not_a_video", "tiny_262", "zero_byte", "corrupt_vp9", "animated_webp")


@pytest.mark.slow
@pytest.mark.parametrize("name", [c for c in clips() if not any(part in c for part in _UNREADABLE)])
def test_real_clips_keep_frames_times_and_sound(tmp_path: Path, name: str) -> None:
    source = clip(name)
    suffix = {".gif": ".mp4", ".3gp": ".mp4"}.get(source.suffix, source.suffix)
    preset = {"vp9": "8", "av1": "12"}.get(probe(source).codec, "ultrafast")
    frames, writer, _ = transcode(source, tmp_path / f"out{suffix}", EncodeOptions(encoder_preset=preset))
    back = frames_of(tmp_path / f"out{suffix}")
    assert len(back) == len(frames) > 0
    # WebM and Matroska store milliseconds.
    tolerance = Fraction(1, 2000) if suffix in (".webm", ".mkv") else 0
    assert max(abs(a - b) for a, b in zip(times(frames), times(back), strict=True)) <= tolerance
    before, after = payloads(source, "audio"), payloads(tmp_path / f"out{suffix}", "audio")
    if "missing_stsd" in name:
        assert not after
        assert writer.dropped
        return
    assert [[data for _, data in lines] for lines in after.values()] == [[d for _, d in v] for v in before.values()]
    for lines, wanted in zip(after.values(), before.values(), strict=True):
        assert [t for t, _ in lines] == pytest.approx([t for t, _ in wanted], abs=0.001)
