"""The benchmark's own arithmetic: flicker, scores and bounds with known values."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scripts.bench import clips, flicker, motion, oracle, perception, scores, synthetic
from scripts.bench.measure import measure
from tests.assets import make_video
from tests.stills import no_motion, picture, pumping, still

ROOT = Path(__file__).parent.parent


# --- Flicker ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in flicker.KINDS if kind != "none"])
def test_flicker_is_the_same_for_the_same_seed_and_changes_the_clip(kind: str) -> None:
    clean = still(10)
    flickering, truth = flicker.add(kind, clean, 3)
    again, _ = flicker.add(kind, clean, 3)
    assert torch.equal(flickering, again)
    assert flickering.shape == clean.shape
    assert torch.equal(flickering, flickering.clamp(0, 1))
    assert not torch.equal(flickering, clean)
    assert torch.equal(truth, flickering if kind == "fade" else clean)


@pytest.mark.parametrize("kind", [kind for kind in flicker.KINDS if kind not in ("none", "fade")])
def test_another_seed_is_another_flicker(kind: str) -> None:
    seeds = [1, 2] if kind != "drift" else range(8)  # drift draws a sign alone
    assert len({float(flicker.add(kind, still(10), seed)[0].sum()) for seed in seeds}) == 2


def test_no_flicker_is_the_clip_itself() -> None:
    assert torch.equal(flicker.add("none", still(), 1)[0], still())


def test_drift_starts_at_the_truth_and_seams_are_steady_between() -> None:
    drifting, _ = flicker.add("drift", still(), 1)
    assert torch.allclose(drifting[0], still()[0])
    seams, _ = flicker.add("seam", still(24), 1)
    steps = seams.diff(dim=0).abs().amax((1, 2, 3))
    assert set(steps.nonzero().flatten().tolist()) == {7, 15}


def test_a_thing_pumps_wherever_it_moves() -> None:
    clean = torch.full((6, 3, 48, 64), 0.4)
    for t in range(6):
        clean[t, :, 12:36, 4 + 6 * t : 28 + 6 * t] = torch.tensor([0.1, 0.8, 0.2]).view(3, 1, 1)
    changes = [(flicker.add("thing", clean, seed)[0] - clean).abs().amax(1) > 0.002 for seed in range(8)]
    of_the_square = [changed for changed in changes if changed[0, 24, 16]]
    assert 0 < len(of_the_square) < len(changes)
    for changed in of_the_square:
        assert all(changed[t, 24, 16 + 6 * t] for t in range(6))
        assert not changed[:, :4].any()
        assert not changed[5, 24, 8]


# --- Scores -----------------------------------------------------------------------------------------------------------


def test_scores_of_the_truth_itself() -> None:
    found = scores.score(still(), still(), no_motion(still()))
    assert (found.psnr, found.psnr_pooled, found.temporal_psnr) == (99, 99, 99)
    assert found.ssim == pytest.approx(1)
    assert found.ewarp == found.ewarp_truth == pytest.approx(0, abs=1e-3)
    assert found.sharpness == 1


def test_a_constant_offset_costs_psnr_but_not_temporal_psnr() -> None:
    found = scores.score(still() + 0.1, still(), no_motion(still()))
    assert found.psnr == pytest.approx(20, abs=1e-3)
    assert found.temporal_psnr > 90
    assert found.ewarp == pytest.approx(0, abs=1e-3)


def test_an_alternating_offset_costs_both() -> None:
    sign = (-1.0) ** torch.arange(8).view(-1, 1, 1, 1)
    found = scores.score(still() + 0.05 * sign, still(), no_motion(still()))
    assert found.psnr == pytest.approx(-20 * math.log10(0.05), abs=1e-3)
    assert found.temporal_psnr == pytest.approx(20, abs=1e-3)  # the step is twice the offset
    assert found.ewarp == pytest.approx(25.5, abs=1e-2)


def test_pooled_psnr_does_not_reward_one_exact_frame() -> None:
    result = still(4)
    result[1:] += 0.1
    assert scores.psnr(result, still(4)) == pytest.approx((99 + 3 * 20) / 4, abs=1e-2)
    assert scores.psnr_pooled(result, still(4)) == pytest.approx(20 + 10 * math.log10(4 / 3), abs=1e-2)


def test_pooled_temporal_psnr_does_not_hide_one_step_among_still_pairs() -> None:
    result = still(5)
    result[3:] += 0.1
    found = scores.score(result, still(5), no_motion(still(5)))
    assert found.temporal_psnr == pytest.approx((3 * 99 + 20) / 4, abs=1e-2)
    assert found.temporal_psnr_pooled == pytest.approx(20 + 10 * math.log10(4), abs=1e-2)


def test_only_visible_pixels_count_in_time() -> None:
    flow = no_motion(still())
    flow.ahead_visible[..., 20:] = 0
    result = still()
    result[3, ..., 21:] = 0
    assert scores.ewarp(result, flow) == pytest.approx(0, abs=1e-3)
    assert scores.temporal_psnr(result, still(), flow) > 90


def test_steps_follow_the_motion() -> None:
    wide = picture(40, 70)
    moving = torch.stack([wide[..., t : t + 56] for t in range(6)])
    left = torch.zeros(5, 2, 40, 56)
    left[:, 0] = -1
    assert scores.ewarp(moving, motion.from_flow(left, -left)) == pytest.approx(0, abs=1e-2)


def test_sharpness_is_below_one_for_blur_and_above_for_noise() -> None:
    blurred = torch.nn.functional.avg_pool2d(still(), 5, 1, 2, count_include_pad=False)
    noisy = still() + 0.05 * torch.randn(still().shape, generator=torch.Generator().manual_seed(0))
    assert scores.sharpness(blurred, still()) < 0.9 < 1.1 < scores.sharpness(noisy, still())


def test_oracle_sees_what_is_constant_and_nothing_else() -> None:
    def best(flickering: Tensor) -> float:
        return oracle.oracle_psnr(flickering, still(), no_motion(still()), texture=False)

    swinging = still() * (0.1 * (-1.0) ** torch.arange(8)).exp().view(-1, 1, 1, 1)
    assert best(swinging) > 60
    assert best(still()) == 99
    assert best(still() * 0.9) == pytest.approx(scores.psnr(still() * 0.9, still()), abs=0.2)


def test_oracle_of_boil_keeps_its_mean_along_motion() -> None:
    noise = 0.05 * torch.randn(still().shape, generator=torch.Generator().manual_seed(0))
    best = oracle.oracle_psnr(still() + noise, still(), no_motion(still()), texture=True)
    assert best == pytest.approx(scores.psnr(still() + noise, still()) + 10 * math.log10(8), abs=0.5)


def test_oracle_does_not_count_what_a_codec_lost() -> None:
    shown = (still() * 31).round() / 31
    best = oracle.oracle_psnr(shown * 1.1, still(), no_motion(still()), texture=False, shown=shown)
    assert best == pytest.approx(scores.psnr(shown * 1.1, still()), abs=0.2)
    assert oracle.oracle_psnr(shown, still(), no_motion(still()), texture=False, shown=shown) == pytest.approx(
        scores.psnr(shown, still())
    )


def test_mean_along_motion_ends_where_a_point_is_hidden() -> None:
    values = torch.tensor([1.0, 2.0, 6.0, 8.0]).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    flow = no_motion(values)
    flow.ahead_visible[1] = flow.back_visible[1] = 0
    assert oracle.mean_along(values, flow)[:, 0, 4, 4].tolist() == [1.5, 1.5, 7, 7]


def test_mean_along_motion_follows_it() -> None:
    row = torch.arange(9.0).view(1, 1, 1, 9).expand(-1, -1, 4, -1)
    moving = torch.cat([row[..., t : t + 6] for t in range(3)])  # the picture moves to the left
    left = torch.zeros(2, 2, 4, 6)
    left[:, 0] = -1
    found = oracle.mean_along(moving, motion.from_flow(left, -left))
    assert torch.equal(found, moving)  # every point keeps its value, so its mean is that value


class SquaredError:
    """In the place of LPIPS: features are the frames."""

    def features(self, frames: Tensor) -> list[Tensor]:
        return [frames]

    def distance(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        return (first[0] - second[0]).square().mean((1, 2, 3))


def test_perception_looks_at_a_few_frames_of_both_clips() -> None:
    assert perception.places(32) == [2, 8, 13, 18, 24, 29]
    assert perception.places(3) == [0, 1, 2]
    perceived = perception.Perception(still(12), SquaredError())  # type: ignore[arg-type]
    result = still(12)
    result[1] += 0.3  # frames 1, 3, 5 … 11 are looked at
    result[2] += 0.5
    assert scores.score(result, still(12), no_motion(still(12)), perceived).lpips == pytest.approx(0.09 / 6)
    assert scores.score(result, still(12), no_motion(still(12))).lpips is None


# --- Clips ------------------------------------------------------------------------------------------------------------


def test_written_clips_read_back_exactly(tmp_path: Path) -> None:
    clips.write(tmp_path / "clip.mkv", pumping())
    assert torch.equal(clips.to_8_bits(clips.read(tmp_path / "clip.mkv")), pumping())


def test_h264_changes_little(tmp_path: Path) -> None:
    result = clips.through_h264(tmp_path / "clip.mkv", pumping())
    assert 30 < scores.psnr(result, pumping()) < 99
    assert (result - pumping()).mean((0, 2, 3)).abs().max() < 1 / 255  # no colour is shifted


def test_a_cut_is_even_and_never_enlarged(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", frames=30, sound=False)
    clip = clips.load(path, 10, 70)
    assert clip.frames.shape == (10, 3, 46, 70)
    assert (clip.start, clip.of) == (5, 30)
    assert clips.load(path, 99, 480).frames.shape == (30, 3, 64, 96)


# --- In all -----------------------------------------------------------------------------------------------------------


def test_measuring_a_transcode(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "in.mp4", 96, 64, 12)
    for method in (("ffmpeg", "atadenoise"), ("peer", "ste")):
        found = measure(method[0], str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4"), method[1])
        assert found["frames"] == 12
        assert found["seconds"] > 0
        assert found["peak_mb"] > 10
        assert found["gpu_peak_mb"] is None
        assert len(clips.read(tmp_path / "out.mp4")) == 12


@pytest.mark.slow
@pytest.mark.usefixtures("raft")
def test_quality_end_to_end(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", frames=10, flicker=0.0, sound=False)
    numbers, page = tmp_path / "out.json", tmp_path / "out.md"
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "quality", "--clips", str(path)]
    command += [
        "--kinds",
        "global",
        "--frames",
        "10",
        "--methods",
        "deflicker,ffmpeg_deflicker,ste",
        "--ablations",
        "gate",
    ]
    done = subprocess.run(
        [*command, "--preset", "fast", "--json", str(numbers), "--markdown", str(page)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = {row["method"]: row for row in json.loads(numbers.read_text())["rows"]}
    assert list(rows) == ["input", "deflicker", "without gate", "ffmpeg_deflicker", "ste"]
    assert rows["deflicker"]["psnr"] > rows["input"]["psnr"] + 3
    assert "| global | deflicker |" in page.read_text()
    assert "| gate |" in page.read_text()
    assert str(tmp_path) not in numbers.read_text() + page.read_text()
