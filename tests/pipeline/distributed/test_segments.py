"""Pieces of a film: where they begin, and that what is found out about a piece alone is what the whole film says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deflicker import Settings, Span, TimePoint
from deflicker.core.errors import InputError
from deflicker.media.demux import limits_of
from deflicker.media.probe import probe
from deflicker.media.reader import Reader
from deflicker.pipeline.distributed import segments as shots
from deflicker.pipeline.distributed.scheduler import decide_to_file
from deflicker.pipeline.distributed.segments import Differs, Piece, decide_piece, find_pieces
from deflicker.pipeline.engine import Networks
from tests.assets import sample_frames, write_video

SETTINGS = Settings(preset="fast", device="cpu")
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


def pieces(path: Path, settings: Settings = SETTINGS) -> list[Piece]:
    with Reader.of(probe(path), settings, limits=limits_of(settings)) as reader:
        return list(find_pieces(reader, settings, settings.plan, CPU))


def test_where_they_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_film(tmp_path / "film.mp4", 9, 5, 12)
    whole = pieces(film)
    assert [(piece.part.first, len(piece.part)) for piece in whole] == [(0, 26)]  # too short to be worth it
    monkeypatch.setattr(shots, "LEAST_FRAMES", 1)
    found = pieces(film)
    assert [(piece.part.first, len(piece.part)) for piece in found] == [(0, 9), (9, 5), (14, 12)]
    assert [piece.part.opens for piece in found] == [(True, *[False] * (len(piece.part) - 1)) for piece in found]
    assert [float(piece.seconds) for piece in found] == [0, 9 / 25, 14 / 25]
    assert sum((piece.frames for piece in found), ()) == whole[0].frames
    monkeypatch.setattr(shots, "LEAST_FRAMES", 10)
    assert [piece.part.first for piece in pieces(film)] == [0, 14]


def test_what_the_user_keeps_is_known_to_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shots, "LEAST_FRAMES", 1)
    film = make_film(tmp_path / "film.mp4", 9, 12)
    excluded = Span(TimePoint(frame=7), TimePoint(frame=9))
    found = pieces(film, replace(SETTINGS, exclude=(excluded,), end=TimePoint(frame=15)))
    assert [(piece.part.first, len(piece.part), piece.part.gap) for piece in found] == [(0, 9, 0), (9, 6, 2)]
    assert found[0].part.kept == (*[None] * 7, "excluded", "excluded")


@pytest.mark.usefixtures("no_motion")
@pytest.mark.parametrize("through", [False, True])
def test_pieces_are_decoded_as_the_film_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: bool) -> None:
    """By the same decoder: another may differ in the last bit, and then the frames are not those that were seen."""
    asked: list[str] = []

    def usual(name: str, *_: Any) -> str:
        asked.append(name)
        return "it is none"

    monkeypatch.setattr("deflicker.media.reader.decoder_of_name", usual)
    settings = replace(SETTINGS, decoder="h264_cuvid")
    film = make_film(tmp_path / "film.mp4", 26)
    (piece,) = pieces(film, settings)
    list(decide_piece(film, piece, settings, Networks(), through=through))
    assert asked == ["h264_cuvid"] * 2


@pytest.mark.usefixtures("no_motion")
def test_jumped_to_or_decoded_up_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shots, "LEAST_FRAMES", 1)
    film = make_film(tmp_path / "film.mp4", 60, 8)
    piece = pieces(film)[-1]
    assert piece.part.first == 60
    ways = [list(decide_piece(film, piece, SETTINGS, Networks(), through=through)) for through in (False, True)]
    for jumped, decoded in zip(*ways, strict=True):
        assert (jumped.item.pts, jumped.opens_shot) == (decoded.item.pts, decoded.opens_shot)
        assert (jumped.correction is None) == (decoded.correction is None)
        if jumped.correction and decoded.correction:
            assert torch.equal(jumped.correction.log_gain, decoded.correction.log_gain)
    assert any(frame.correction is not None for frame in ways[0])


@pytest.mark.usefixtures("no_motion")
def test_another_film_by_now(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 12)
    (piece,) = pieces(film)
    write_video(film, shot(12, 1))
    with pytest.raises(Differs):
        list(decide_piece(film, piece, SETTINGS, through=False))
    with pytest.raises(InputError, match="not the same each time"):
        decide_to_file(film, piece, SETTINGS, tmp_path / "x")
    make_film(film, 11)  # the same, but shorter
    with pytest.raises(InputError, match="not the same each time"):
        decide_to_file(film, piece, SETTINGS, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.usefixtures("no_motion")
def test_where_the_jump_leads_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece that says it lies elsewhere is found all the same, by its number."""
    monkeypatch.setattr(shots, "LEAST_FRAMES", 1)
    film = make_film(tmp_path / "film.mp4", 10, 8)
    _, piece = pieces(film)
    decide_to_file(film, replace(piece, seconds=piece.seconds / 2), SETTINGS, tmp_path / "x")
    decide_to_file(film, piece, SETTINGS, tmp_path / "y")
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
