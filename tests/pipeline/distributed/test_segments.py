"""Segments of a film: where they begin, and that what is found out about one alone is what the whole film says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deflicker import Settings, Span, TimePoint
from deflicker.core.errors import InputError
from deflicker.media.color import proxy_size
from deflicker.media.reader import Reader
from deflicker.pipeline.distributed.segments import (
    MIN_FRAMES,
    Segment,
    SegmentWork,
    SourceChanged,
    correct_segment,
    find_segments,
    store_segment,
)
from deflicker.pipeline.run_context import Models
from deflicker.pipeline.source_pictures import DecodedPicture
from tests.assets import sample_frames, write_video
from tests.fakes import Still, watched

SETTINGS = Settings(preset="fast", device="cpu")
WORK = SegmentWork(Models(flow=Still()))
CPU = torch.device("cpu")


def shot(frames: int, look: int) -> list[Any]:
    """A still of one of three looks that flickers, `[64, 96, 3]` each."""
    name, flip = (("bunny_clean.mp4", False), ("synthetic_clean.mp4", False), ("bunny_clean.mp4", True))[look % 3]
    (still,) = sample_frames(name, 1, 96, 64)
    pulse = np.exp(0.06 * np.random.default_rng(look).standard_normal(frames))
    return [np.clip((still[:, ::-1] if flip else still) * gain, 0, 1) for gain in pulse]


def make_film(path: Path, *lengths: int) -> Path:
    """Shots of so many frames."""
    return write_video(path, [picture for look, length in enumerate(lengths) for picture in shot(length, look)])


def segments(path: Path, settings: Settings = SETTINGS, min_frames: int = 1) -> list[Segment]:
    with Reader(path, settings.input()) as reader:
        size = proxy_size(reader.info.height, reader.info.width, settings.plan.flow_max_side_px)
        return list(find_segments(reader, settings, size, CPU, min_frames))


def test_where_they_begin(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 9, 5, 12)
    whole = segments(film, min_frames=MIN_FRAMES)
    assert [(each.shots.first, len(each.shots)) for each in whole] == [(0, 26)]  # too short to be worth it
    found = segments(film)
    assert [(each.shots.first, len(each.shots)) for each in found] == [(0, 9), (9, 5), (14, 12)]
    assert [each.shots.starts_shot for each in found] == [(True, *[False] * (len(each.shots) - 1)) for each in found]
    assert [float(each.seconds) for each in found] == [0, 9 / 25, 14 / 25]
    assert sum((each.frames for each in found), ()) == whole[0].frames
    assert [each.shots.first for each in segments(film, min_frames=10)] == [0, 14]


def test_what_the_user_excludes_is_known_to_each(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 9, 12)
    excluded = Span(TimePoint(frame=7), TimePoint(frame=9))
    found = segments(film, replace(SETTINGS, exclude=(excluded,), end=TimePoint(frame=15)))
    assert [(each.shots.first, len(each.shots), each.shots.gap) for each in found] == [(0, 9, 0), (9, 6, 2)]
    assert found[0].shots.skip == (*[None] * 7, "excluded", "excluded")


@pytest.mark.parametrize("seek", [False, True])
def test_segments_are_decoded_as_the_film_is(tmp_path: Path, seek: bool) -> None:
    """By the same decoder: another may differ in the last bit, and then the frames are not those that were seen."""
    asked: list[str] = []
    settings = replace(SETTINGS, decoder="h264_nowhere")
    film = make_film(tmp_path / "film.mp4", 26)
    with watched(lambda frame: asked.append(frame.f_locals["name"]), "decoder_of_name"):
        (segment,) = segments(film, settings)
        list(correct_segment(film, segment, settings, WORK, seek=seek))
    assert asked == ["h264_nowhere"] * 2


def test_jumped_to_or_decoded_up_to(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 60, 8)
    segment = segments(film)[-1]
    assert segment.shots.first == 60
    ways = [list(correct_segment(film, segment, SETTINGS, WORK, seek=seek)) for seek in (False, True)]
    for jumped, decoded in zip(*ways, strict=True):
        assert isinstance(jumped.picture, DecodedPicture)
        assert isinstance(decoded.picture, DecodedPicture)
        assert jumped.picture.frame.pts == decoded.picture.frame.pts
        assert jumped.starts_shot == decoded.starts_shot
        assert (jumped.correction is None) == (decoded.correction is None)
        if jumped.correction and decoded.correction:
            assert torch.equal(jumped.correction.log_gain, decoded.correction.log_gain)
    assert any(frame.correction is not None for frame in ways[0])


def test_another_film_by_now(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 12)
    (segment,) = segments(film)
    write_video(film, shot(12, 1))
    with pytest.raises(SourceChanged):
        list(correct_segment(film, segment, SETTINGS, WORK, seek=True))
    with pytest.raises(InputError, match="not the same each time"):
        store_segment(film, segment, SETTINGS, tmp_path / "x", WORK)
    make_film(film, 11)  # the same, but shorter
    with pytest.raises(InputError, match="not the same each time"):
        store_segment(film, segment, SETTINGS, tmp_path / "x", WORK)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_where_the_jump_leads_astray(tmp_path: Path) -> None:
    """A segment that says it lies elsewhere is found all the same, by its number."""
    film = make_film(tmp_path / "film.mp4", 10, 8)
    _, segment = segments(film)
    store_segment(film, replace(segment, seconds=segment.seconds / 2), SETTINGS, tmp_path / "x", WORK)
    store_segment(film, segment, SETTINGS, tmp_path / "y", WORK)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
