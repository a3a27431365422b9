"""FVD: clips are cut as they should be, equal sets are no distance apart, and few clips are warned of."""

import os
from pathlib import Path

import pytest
import torch

from deflicker import InputError, Settings, fvd
from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.metrics.frechet import FEW_CLIPS, TOO_FEW_CLIPS
from deflicker.metrics.i3d import I3D_KINETICS
from deflicker.pipeline.fvd import _clips, _remarks
from tests.assets import make_sound, make_video


@pytest.fixture
def i3d() -> None:
    try:
        weights.load(I3D_KINETICS)
    except WeightsError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@pytest.mark.parametrize(("frames", "clips"), [(15, 0), (16, 1), (23, 1), (24, 2), (33, 3)])
def test_overlapping_clips(frames: int, clips: int, tmp_path: Path) -> None:
    found = list(_clips(make_video(tmp_path / "a.mp4", frames=frames), torch.device("cpu")))
    assert len(found) == clips
    assert all(clip.shape == (16, 3, 224, 224) for clip in found)
    if clips > 1:
        assert torch.equal(found[0][8:], found[1][:8])


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([20, 20], ["mean anything"]),
        ([TOO_FEW_CLIPS, TOO_FEW_CLIPS], ["papers use"]),
        ([FEW_CLIPS, FEW_CLIPS], []),
        ([FEW_CLIPS, 20], ["mean anything", "different numbers"]),
    ],
)
def test_few_clips_are_warned_of(counts: list[int], words: list[str]) -> None:
    found = list(_remarks(counts))
    assert len(found) == len(words)
    assert all(word in remark for word, remark in zip(words, found, strict=True))


@pytest.mark.slow
def test_two_videos(tmp_path: Path, i3d: None) -> None:
    steady = make_video(tmp_path / "a.mp4", frames=32, flicker=0)
    other = make_video(tmp_path / "b.mp4", frames=32, flicker=0.3)
    same = fvd(steady, steady)
    assert same.fvd == pytest.approx(0, abs=1e-3)
    assert (same.real_clips, same.generated_clips) == (3, 3)
    assert "mean anything" in same.notes[0]
    assert fvd(steady, other).fvd > 1


def test_a_folder_without_videos(tmp_path: Path, i3d: None) -> None:
    (tmp_path / "set").mkdir()
    make_sound(tmp_path / "set" / "a.m4a")
    with pytest.raises(InputError, match="gives 0 clips"):
        fvd(tmp_path / "set", tmp_path / "set")


def test_without_weights(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFLICKER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="i3d"):
        fvd(clip, clip, Settings(offline=True))
