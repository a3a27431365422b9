"""`space` from end to end: what is chosen is done, said in the report, and a clip that is clean is not touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deflicker import Settings, deflicker, deflicker_frames
from deflicker.pipeline.run_context import Models
from tests.assets import write_video
from tests.correction.texture.test_stabilize import boil, clean
from tests.fakes import Still

STILL = Models(flow=Still())

COUNT = 14


def settings(space: str, **more: object) -> Settings:
    return Settings(preset="balanced", device="cpu", precision="fp32", space=space, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return (clean().expand(3, -1, -1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def boiling() -> list[np.ndarray]:
    lumas = (clean() + boil(COUNT, 0.02)).clamp(0, 1)
    return [np.repeat((luma.numpy() * 255).round().astype(np.uint8)[..., None], 3, -1) for luma in lumas]


def error(frames: list[np.ndarray], truth: np.ndarray) -> float:
    return float(np.mean([(frame.astype(float) - truth) ** 2 for frame in frames]))


@pytest.mark.parametrize("space", ["pixel", "latent", "both", "auto"])
def test_boil_goes_in_every_space(space: str, boiling: list[np.ndarray], truth: np.ndarray) -> None:
    found = list(deflicker_frames(iter(boiling), settings=settings(space), models=STILL))
    assert error(found, truth) < 0.6 * error(boiling, truth)


def test_what_does_not_boil_comes_back_as_the_same_objects(truth: np.ndarray) -> None:
    frames = [truth.copy() for _ in range(COUNT)]
    frames[1][0, 0] += 1  # else they repeat each other
    found = list(deflicker_frames(iter(frames), settings=settings("both"), models=STILL))
    assert all(a is b for a, b in zip(found, frames, strict=True))


@pytest.mark.parametrize(("space", "done"), [("latent", "latent"), ("auto", "both")])
def test_the_report_says_where_and_why(space: str, done: str, boiling: list[np.ndarray], tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", [f / 255 for f in boiling], codec="ffv1", pix_fmt="bgr0")
    report = deflicker(source, tmp_path / "out.mkv", settings(space, codec="ffv1"), models=STILL)
    (shot,) = report.texture
    assert (shot.first, shot.space) == (0, done)
    assert 0.1 < shot.boil_share < 0.5
    assert 3 < shot.boil_levels < 8
    assert shot.why
    assert report.to_dict()["texture"][0]["space"] == done
