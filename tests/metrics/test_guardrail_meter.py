"""The guards at the video's own size: few changed frames are enough, unchanged ones cost nothing."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from deflicker.media.frame import Frame, PlaneLayout
from deflicker.metrics.guardrail_meter import GuardrailMeter

YUV = PlaneLayout("yuv", 8, True, "bt709", (1, 1), False)
RGB = PlaneLayout("rgb", 8, True, "bt709", (0, 0), False)


class Flow:
    """Finds motion of as many pixels as it is told."""

    def __init__(self, pixels):
        self.pixels, self.calls = pixels, 0

    def features(self, frames):
        return list(frames)

    def flow(self, first, second):
        self.calls += 1
        return torch.full((1, 2, 8, 8), self.pixels / 2**0.5), torch.zeros(1, 2, 8, 8)


def guarding(before=YUV, after=YUV, *, flow=None):
    return GuardrailMeter(flow, torch.device("cpu"), before, after)


def frame(luma, chroma=128):
    planes = luma.astype(np.uint8), *(np.full((16, 24), chroma, np.uint8) for _ in range(2))
    return Frame(0, 0, Fraction(1), planes)


LUMA = 100 + 50 * np.random.default_rng(0).random((32, 48))


def blurred(luma):
    return sum(np.roll(luma, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9


def test_untouched():
    found, same = guarding(), frame(LUMA)
    for _ in range(3):
        found.compare(same, same)
    assert found.values() == {"sharpness": 1, "motion": 1, "psnr": 99, "ssim": 1, "changed": 0}


def test_nothing_seen():
    values = guarding().values()
    assert values["psnr"] is values["changed"] is None


def test_changed_samples_by_hand():
    """One chroma plane of 384 samples among 2304, in one of two frames."""
    found, same = guarding(), frame(LUMA)
    found.compare(same, same)
    planes = (*same.planes[:2], same.planes[2] + 1)
    found.compare(same, Frame(0, 0, Fraction(1), planes))
    assert found.values()["changed"] == pytest.approx(100 * 384 / 4608)
    assert found.values()["psnr"] == 99, "luma is as it was"


@pytest.mark.parametrize("at", [0, 1, 3, 6])
def test_a_single_blurred_frame_is_seen_wherever_it_is(at):
    found, same = guarding(), frame(LUMA)
    for number in range(7):
        found.compare(same, frame(blurred(LUMA)) if number == at else same)
    assert found.values()["sharpness"] < 0.5
    assert found.values()["ssim"] < 0.9


def test_kinds_and_sizes_may_differ():
    """A gray picture is the same in R'G'B', at twice the size."""
    large = np.repeat(np.repeat(LUMA, 2, 0), 2, 1).astype(np.uint8)
    found = guarding(YUV, RGB)
    found.compare(frame(LUMA), Frame(0, 0, Fraction(1), (large, large, large)))
    assert found.values()["psnr"] > 60
    assert found.values()["sharpness"] == pytest.approx(1, abs=1e-3)


def test_motion_is_sampled():
    flow = Flow(3.0)
    found, small = guarding(flow=flow), torch.zeros(3, 8, 8)
    before_px = torch.full((2, 8, 8), 6.1 / 2**0.5)
    for _ in range(70):
        found.compare(frame(LUMA), frame(LUMA + 2))
        found.compare_motion(small, small, before_px)
    assert flow.calls == 3
    assert found.values()["motion"] == pytest.approx(3.1 / 6.2)
