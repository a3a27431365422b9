"""Patterns for numbered images, and the files they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deflicker.core.errors import InputError
from deflicker.media.image_pattern import ImageSequence, image_sequence


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("name", "digits", "seventh"),
    [("%05d.png", 5, "00007.png"), ("a_%d.png", 1, "a_7.png"), ("%02d b.exr", 2, "07 b.exr"), ("%4d.png", 0, "")],
)
def test_names(name: str, digits: int, seventh: str) -> None:
    images = image_sequence(Path("frames") / name)
    if not seventh:
        assert images is None
        return
    assert images is not None
    assert (images.digits, images.file(7)) == (digits, Path("frames") / seventh)


@pytest.mark.parametrize("name", ["in.mp4", "100%.mp4", "%03d_%03d.png"])
def test_names_of_one_file(name: str) -> None:
    assert image_sequence(Path(name)) is None


def test_a_file_that_is_there_is_itself(tmp_path: Path) -> None:
    assert image_sequence(touched(tmp_path, "%03d.png") / "%03d.png") is None


def test_the_files_that_are_there(tmp_path: Path) -> None:
    touched(tmp_path, "a007.png", "a008.png", "a9.png", "a010.jpg", "b009.png", "a0009.png", "a007.png.part")
    assert ImageSequence(tmp_path / "a%03d.png", 3).numbers() == [7, 8]
    assert ImageSequence(tmp_path / "a%03d.png", 3).span() == (7, 8)


def test_more_digits_than_asked_for(tmp_path: Path) -> None:
    assert ImageSequence(touched(tmp_path, "9.png", "10.png", "11.png") / "%d.png", 1).span() == (9, 11)


def test_a_gap_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"03\.png is missing, but .*04\.png is there"):
        ImageSequence(touched(tmp_path, "02.png", "04.png") / "%02d.png", 2).span()


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_no_images(tmp_path: Path, folder: str) -> None:
    with pytest.raises(InputError, match=r"no such images; the first would be .*00\.png or .*01\.png"):
        ImageSequence(tmp_path / folder / "%02d.png", 2).span()
