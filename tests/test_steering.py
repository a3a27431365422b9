"""A guide video and a reference picture: what they steer, and what is said where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deflicker import InputError, Settings, SettingsError, deflicker, deflicker_frames, engine, plan
from deflicker.settings import TimePoint
from tests.assets import drifting, write_video
from tests.media.making import frames_of, same_planes
from tests.test_api import shaking

FAST = {"preset": "fast", "device": "cpu", "precision": "fp32"}


class Still:
    """Stands in for the network where nothing moves."""

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        return list(frames)

    def flow(self, first: list[torch.Tensor], second: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        none = torch.zeros(len(first), 2, *first[0].shape[-2:])
        return none, none


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "load_flow", lambda *_: Still())


def lossless(path: Path, pictures: list[Any]) -> Path:
    return write_video(path, pictures, codec="ffv1", pix_fmt="yuv444p")


@pytest.fixture
def flickering(tmp_path: Path) -> Path:
    return lossless(tmp_path / "in.mkv", drifting(12))


def levels(path: Path) -> Any:
    """Mean of every frame's planes, `[T, 3]`."""
    return np.array([[float(plane.mean()) for plane in frame.planes] for frame in frames_of(path)])


# --- Guide ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("raft")
def test_a_video_is_its_own_guide(flickering: Path, tmp_path: Path) -> None:
    deflicker(flickering, tmp_path / "alone.mkv", Settings(**FAST))
    deflicker(flickering, tmp_path / "guided.mkv", Settings(**FAST, guide=flickering))
    for alone, guided in zip(frames_of(tmp_path / "alone.mkv"), frames_of(tmp_path / "guided.mkv"), strict=True):
        assert same_planes(alone.planes, guided.planes)


@pytest.mark.usefixtures("raft")
def test_a_guide_of_another_size_and_colour_steers_and_never_mixes_in(flickering: Path, tmp_path: Path) -> None:
    blue = [picture * [0.2, 0.4, 1.0] for picture in drifting(12, 192, 128, flicker=0)]
    guide = write_video(tmp_path / "guide.mp4", blue)
    target = tmp_path / "out.mkv"
    deflicker(flickering, target, Settings(**FAST, guide=guide))
    assert shaking(target) < 0.3 * shaking(flickering)
    # The colour is the video's: no chroma of the guide, whose blue lies 30 levels away.
    assert np.abs(levels(target)[:, 1:] - levels(flickering)[:, 1:]).max() < 2


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("frames", "says"), [(11, "ends after 11 frames"), (13, "goes on after the video's 12")])
def test_a_guide_needs_as_many_frames(flickering: Path, tmp_path: Path, frames: int, says: str) -> None:
    guide = lossless(tmp_path / "guide.mkv", drifting(frames, flicker=0))
    with pytest.raises(InputError, match=says) as error:
        deflicker(flickering, tmp_path / "out.mkv", Settings(**FAST, guide=guide))
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "guide.mkv"}


@pytest.mark.usefixtures("still")
def test_a_guide_is_cut_like_the_video(flickering: Path, tmp_path: Path) -> None:
    guide = lossless(tmp_path / "guide.mkv", drifting(12, flicker=0))
    part = {"start": TimePoint(frame=3), "end": TimePoint(frame=10)}
    assert deflicker(flickering, tmp_path / "out.mkv", Settings(**FAST, **part, guide=guide)).frames == 7


@pytest.mark.parametrize("run", [deflicker, plan])
def test_a_guide_that_is_no_video(flickering: Path, tmp_path: Path, run: Any) -> None:
    guide = tmp_path / "guide.mp4"
    guide.write_text("no video")
    with pytest.raises(InputError, match=r"guide\.mp4"):
        run(flickering, tmp_path / "out.mkv", Settings(**FAST, guide=guide))
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "guide.mp4"}


@pytest.mark.usefixtures("still")
def test_a_stream_can_have_a_guide(tmp_path: Path) -> None:
    frames = [(picture * 255).astype(np.uint8) for picture in drifting(12)]
    guide = lossless(tmp_path / "guide.mkv", drifting(12, flicker=0))
    assert len(list(deflicker_frames(iter(frames), settings=Settings(**FAST, guide=guide)))) == 12
    with pytest.raises(InputError, match="ends after 12 frames"):
        list(deflicker_frames(iter([*frames, frames[0]]), settings=Settings(**FAST, guide=guide)))


# --- Reference --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sliding(tmp_path: Path, still: None) -> Path:
    """A steady picture whose light and colour slide away."""
    cast = np.array([0.2, 0.1, -0.1])
    still = drifting(1)[0]
    return lossless(tmp_path / "in.mkv", [still * np.exp(cast * number / 19) for number in range(20)])


def spread(path: Path) -> float:
    """How far the frames' mean planes lie from the first frame's, in levels."""
    return float(np.abs(levels(path) - levels(path)[0]).max())


def test_drift_stays_unless_it_is_asked_for(sliding: Path, tmp_path: Path) -> None:
    assert deflicker(sliding, tmp_path / "out.mkv", Settings(**FAST)).frames_changed == 0


def test_anchor_takes_the_drift_back_in_part_and_in_full(sliding: Path, tmp_path: Path) -> None:
    left = []
    for anchor in (0.5, 1.0):
        target = tmp_path / f"{anchor}.mkv"
        deflicker(sliding, target, Settings(**FAST, anchor=anchor))
        left.append(spread(target) / spread(sliding))
    assert left[0] == pytest.approx(0.5, abs=0.1)
    assert left[1] < 0.15


def test_strength_scales_the_anchor_too(sliding: Path, tmp_path: Path) -> None:
    deflicker(sliding, tmp_path / "out.mkv", Settings(**FAST, anchor=1, strength=0.5))
    assert spread(tmp_path / "out.mkv") / spread(sliding) == pytest.approx(0.5, abs=0.1)


def test_anchors_can_be_switched_off(sliding: Path, tmp_path: Path) -> None:
    settings = Settings(**FAST, anchor=1, without=frozenset({"anchors"}))
    assert deflicker(sliding, tmp_path / "out.mkv", settings).frames_changed == 0


def test_a_frame_as_reference(sliding: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    deflicker(sliding, target, Settings(**FAST, anchor=1, reference=TimePoint(frame=15)))
    assert np.abs(levels(target) - levels(sliding)[15]).max() < 0.15 * spread(sliding)


def test_an_image_as_reference(sliding: Path, tmp_path: Path) -> None:
    from PIL import Image

    image = tmp_path / "look.png"
    Image.fromarray((drifting(1)[0] * np.exp([-0.1, 0, 0.1]) * 255).round().astype(np.uint8)).save(image)
    target = tmp_path / "out.mkv"
    settings = Settings(**FAST, anchor=1, reference=image)
    deflicker(sliding, target, settings)
    wanted = levels(lossless(tmp_path / "look.mkv", [drifting(1)[0] * np.exp([-0.1, 0, 0.1])] * 2))[0]
    assert np.abs(levels(target) - wanted).max() < 0.15 * np.abs(levels(sliding) - wanted).max()


@pytest.mark.parametrize("reference", [TimePoint(frame=99), Path("nowhere.png")])
def test_a_reference_that_is_not_there(sliding: Path, tmp_path: Path, reference: Any) -> None:
    with pytest.raises((InputError, SettingsError)) as error:
        deflicker(sliding, tmp_path / "out.mkv", Settings(**FAST, anchor=1, reference=reference))
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_a_stream_has_no_frame_to_look_up() -> None:
    frames = [(picture * 255).astype(np.uint8) for picture in drifting(3)]
    with pytest.raises(SettingsError, match="give an image"):
        list(deflicker_frames(iter(frames), settings=Settings(**FAST, anchor=1, reference=TimePoint(frame=1))))
