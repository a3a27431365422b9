"""The kinds of flicker that people report: generators that repeat themselves, and criteria that can be failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scripts.bench import clips
from scripts.bench.reported import kinds, page
from scripts.bench.reported.case import Case
from scripts.bench.reported.kinds import KINDS
from scripts.bench.reported.light import grey, hue_turned, saturated
from scripts.bench.reported.run import OURS, Row, stored
from tests.assets import make_video
from tests.stills import picture

ROOT = Path(__file__).parent.parent
SEED = 5


def pan(frames: int = 32) -> Tensor:
    """A picture with colour and structure that moves to the left by one pixel a frame."""
    wide = picture(64, 96 + frames)
    return torch.stack([wide[..., t : t + 96] for t in range(frames)])


def case_of(name: str, strength: float = 1.0, seed: int = SEED) -> Case:
    return KINDS[name].case(pan(), seed, strength)


def failed(name: str, case: Case, result: Tensor) -> list[str]:
    criteria = KINDS[name].all_criteria()
    return [each.name for each in criteria if not each.is_met(each.measure(case, result))]


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_case_and_no_strength_no_flicker(name: str) -> None:
    case, again = case_of(name), case_of(name)
    assert torch.equal(case.flickering, again.flickering)
    assert torch.equal(case.truth, again.truth)
    assert torch.equal(case.flickering, case.flickering.clamp(0, 1))
    assert case.flickering.shape == case.truth.shape
    nothing = case_of(name, 0.0)
    assert torch.equal(clips.to_8_bits(nothing.flickering), clips.to_8_bits(nothing.truth))


@pytest.mark.parametrize("name", KINDS)
def test_seeds_and_strengths_differ(name: str) -> None:
    found = {float((case_of(name, 1.0, seed).flickering - case_of(name, 0.0, seed).truth).sum()) for seed in range(8)}
    assert len(found) > 1
    weak, strong = (case_of(name, each) for each in (0.5, 2.0))
    less, more = ((each.flickering - each.truth).square().mean() for each in (weak, strong))
    assert 0 < less < more


@pytest.mark.parametrize("name", KINDS)
def test_the_truth_is_right_and_the_input_is_not(name: str) -> None:
    case = case_of(name)
    assert failed(name, case, case.truth) == []
    assert failed(name, case, case.flickering) or name == "cuts"  # that asks only that no shot gets worse


@pytest.mark.parametrize("name", KINDS)
def test_a_result_that_is_worse_than_its_input_is_harm(name: str) -> None:
    case = case_of(name, 2.0)
    worse = (case.truth + 1.2 * (case.flickering - case.truth)).clamp(0, 1)
    assert "change of PSNR, dB" in failed(name, case, worse)


def in_part(case: Case, result: Tensor) -> Tensor:
    """The result in places that stay, the truth elsewhere."""
    assert case.stays is not None
    return torch.where(case.stays, result, case.truth)


def test_what_lies_over_the_picture_must_not_be_touched() -> None:
    case = case_of("overlay")
    sign = (-1.0) ** torch.arange(len(case.truth)).view(-1, 1, 1, 1)
    moved = in_part(case, case.truth * (1 + 0.02 * sign))
    wrong = {"overlay moves, levels", "overlay steps, levels rms", "overlay, 99th percentile, levels"}
    assert wrong <= set(failed("overlay", case, moved))


def test_bars_stay_black_and_the_subtitle_white() -> None:
    case = case_of("letterbox")
    assert failed("letterbox", case, in_part(case, (case.truth + 1 / 255).clamp(0, 1))) == ["bars, levels"]
    assert failed("letterbox", case, in_part(case, case.truth * 0.99)) == ["subtitle moves, levels"]


def test_the_steady_part_must_stay() -> None:
    case = case_of("half")
    sign = (-1.0) ** torch.arange(len(case.truth)).view(-1, 1, 1, 1)
    found = failed("half", case, in_part(case, case.truth + 1 / 255 * sign))
    assert found == ["change of the steady part, levels", "flicker put into the steady part, levels"]


def test_steps_taken_as_seams_run_off_the_ramp() -> None:
    case = case_of("ramp-steps")
    time = torch.linspace(0, 1, len(case.truth)).view(-1, 1, 1, 1)
    assert failed("ramp-steps", case, case.truth * 0.8**time)[-1] == "ramp off, stops"


def test_a_flash_that_is_taken_off_is_missed() -> None:
    case = case_of("flashes")
    without = case.truth.clone()
    at = case.marked[0]
    without[at] = without[at] / 1.45
    assert "flash off by a part of" in failed("flashes", case, without)


def test_a_shot_that_gets_worse_is_not_hidden_by_others_that_gain() -> None:
    case = case_of("cuts")
    result, second = case.truth.clone(), slice(case.marked[1], case.marked[2])
    result[second] = case.truth[second] + 1.2 * (case.flickering[second] - case.truth[second])
    assert failed("cuts", case, result) == ["worst shot, dB"]


def test_windows_that_all_have_the_tone_of_another_still_agree() -> None:
    case = case_of("cross-fades")
    levelled = case.truth * 0.98
    assert "windows apart, levels" not in failed("cross-fades", case, levelled)
    assert "windows apart, levels" in failed("cross-fades", case, case.flickering)


def test_blur_is_no_cure_of_sharpness_that_pulses() -> None:
    case = case_of("soft-frames")
    softened = torch.nn.functional.avg_pool2d(case.truth, 3, 1, 1, count_include_pad=False)
    assert "sharpness of sharp frames" in failed("soft-frames", case, softened)


def test_held_frames_are_the_same_in_the_truth() -> None:
    case = case_of("drawings")
    assert case.drawing[:7] == (0, 0, 1, 1, 1, 2, 2)
    assert torch.equal(case.truth[2], case.truth[4])
    assert not torch.equal(case.truth[1], case.truth[2])


def test_saturation_and_hue_keep_luma() -> None:
    colours = 0.3 + 0.4 * torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for changed in (saturated(colours, torch.tensor(1.2)), hue_turned(colours, torch.full((3,), 0.3))):
        assert torch.allclose(grey(changed), grey(colours), atol=1e-5)
        assert (changed - colours).abs().max() > 0.01


def test_a_small_clip_is_odd_and_has_no_colour_tags(tmp_path: Path) -> None:
    case = stored(case_of("small"), KINDS["small"], tmp_path / "in.mkv")
    assert case.flickering.shape == case.truth.shape == (16, 3, 63, 95)
    assert torch.equal(clips.to_8_bits(clips.read(tmp_path / "in.mkv")), case.flickering)


# --- The page ---------------------------------------------------------------------------------------------------------


def row(method: str, psnr: float, **measured: float) -> Row:
    values = {"change of PSNR, dB": psnr - 30, "flicker left": 0.2, "gain, dB": psnr - 30} | measured
    return Row("clip", "contrast", 1.0, 5, method, 32, 0, 1.0, psnr, psnr, values)


def test_the_page_names_what_failed_and_the_harm() -> None:
    good = [row("input", 30, **{"flicker left": 1.0}), row(OURS, 36), row("ste", 33), row("atadenoise", 31)]
    assert page.by_kind(good)[1] == [
        "contrast", "1", "30.0 (30.0)", "36.0 (36.0)", "33.0 (33.0)", "1 of 1", "0 of 1", "–",
    ]  # fmt: skip
    assert page.by_case(good)[1][-2:] == ["33.0 (ste)", "right"]
    assert page.harm(good) == []
    bad = [row("input", 30), row(OURS, 29.5)]
    assert page.by_kind(bad)[1][-1] == "change of PSNR, dB; gain, dB"
    assert page.harm(bad) == ["clip, contrast, strength 1, seed 5: change of PSNR, dB -0.5 (≥ -0.2)"]
    assert "--kinds contrast --strengths 1 --seeds 5" in page.introduction(bad, "preset fast")
    assert [line[0] for line in page.bounds()[1:]] == list(kinds.KINDS)


@pytest.mark.slow
@pytest.mark.usefixtures("raft")
def test_one_kind_by_the_real_command(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", frames=12, flicker=0.0, sound=False)
    numbers, shown, kept = tmp_path / "out.json", tmp_path / "out.md", tmp_path / "kept"
    script = [sys.executable, str(ROOT / "scripts" / "benchmark.py")]
    done = subprocess.run(
        [
            *script, "reported", "--clips", str(path), "--kinds", "flashes", "--seeds", "3", "--frames", "12",
            "--preset", "fast", "--methods", "deflicker,ste", "--json", str(numbers),
            "--markdown", str(shown), "--keep", str(kept),
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(numbers.read_text())["rows"]
    assert [each["method"] for each in rows] == ["input", "deflicker", "ste"]
    assert {each.name for each in (kept / "in-flashes-1-3").iterdir()} >= {"in.mkv", "truth.mkv", "out.mkv"}
    assert "| flashes | 1 |" in shown.read_text()
    assert str(tmp_path) not in numbers.read_text() + shown.read_text()
    again = subprocess.run([*script, "show", str(numbers)], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "flashes" in again.stdout
