"""The meter: however the frames are cut into windows and shots, the numbers are those of the whole."""

import pytest
import torch

from deflicker.metrics.meter import MeasuredPicture, VideoMeter
from deflicker.metrics.per_frame import measure_window
from tests.correction.scenes import global_noise, links, matches, pan

STEP = (1, 0)


def read(*sides, opens=(0,), step=STEP):
    meter = VideoMeter(len(sides))
    forward, backward = links(sides[0], step)
    for t in range(len(sides[0])):
        first = t in opens
        flow = (None, None) if first else (forward[t - 1], backward[t - 1])
        meter.add(MeasuredPicture(t, torch.stack([side[t] for side in sides]), first, *flow))
    return meter.finish()


@pytest.mark.parametrize("frames", [1, 2, 3, 17, 18, 19, 40])
def test_windows_give_what_the_whole_gives(frames):
    clip = pan(frames, 32, 48, step=STEP) * global_noise(frames, 0.05).exp() if frames > 1 else pan(1, 32, 48)
    found = read(clip)
    whole = measure_window(clip[None], matches(clip, STEP, (1, 2)), 0, frames)
    assert found.frames == tuple(range(frames))
    assert torch.allclose(found.series["local_y"].nan_to_num(-1), whole[..., 3].nan_to_num(-1), atol=1e-3)
    assert torch.allclose(found.series["trajectory"].nan_to_num(-1), whole[..., 12].nan_to_num(-1), atol=1e-3)


def test_nothing_crosses_a_cut():
    clip = torch.cat([pan(10, 32, 48, step=STEP), 0.5 * pan(10, 32, 48, step=STEP, seed=1)])
    found = read(clip, opens=(0, 10))
    assert found.shot_starts == (0, 10)
    assert found.series["ewarp_l1"][0, [9, 19]].isnan().all()
    assert found.series["ewarp_l1"].nan_to_num(0).max() < 1e-5
    assert found.series["ewarp_l1_first"].nan_to_num(0).max() < 1e-5


def test_to_the_first_frame_of_the_shot():
    """A fade of 1 % a frame is t % away from the first frame."""
    clip = torch.full((12, 3, 32, 48), 0.5) * (1 - 0.01 * torch.arange(12.0)).view(-1, 1, 1, 1)
    found = read(clip, step=(0, 0)).series["ewarp_l1_first"][0]
    assert found[1:].tolist() == pytest.approx([0.005 * t for t in range(1, 12)], abs=1e-5)


def test_variance_over_shots_by_their_length():
    """±5 levels over 8 frames, and nothing over 24: 25 · 8 / 32."""
    pump = torch.tensor([0.5 - 5 / 255, 0.5 + 5 / 255] * 4 + [0.5] * 24).view(-1, 1, 1, 1).expand(-1, 3, 32, 48)
    assert read(pump, opens=(0, 8), step=(0, 0)).variance.tolist() == pytest.approx([25 * 8 / 32], rel=1e-3)


def test_without_lpips_there_is_none():
    found = read(pan(4, 32, 48, step=STEP))
    assert found.series["lpips_next"].isnan().all()
    assert found.drift.isnan().all()


def test_lpips_along_motion_is_none_for_pure_motion():
    class Mean:
        """Stands in for the network: a picture is its pixels."""

        def features(self, frames):
            return [frames]

        def distance(self, first, second):
            return (first[0] - second[0]).abs().mean((1, 2, 3))

    clip = pan(8, 32, 48, step=STEP)
    meter = VideoMeter(2, Mean())
    forward, backward = links(clip, STEP)
    for t in range(8):
        flow = (None, None) if t == 0 else (forward[t - 1], backward[t - 1])
        meter.add(MeasuredPicture(t, torch.stack([clip[t], clip[t] * 0.9]), t == 0, *flow))
    found = meter.finish()
    assert found.series["lpips_next"][0, :7].min() > 0.005
    assert found.series["lpips_moved"][:, :7].max() < 1e-6
    assert torch.allclose(found.shared["lpips_input"], 0.1 * clip.mean((1, 2, 3)), rtol=1e-3)
    assert found.drift[0, 0] > 0.005


def test_nothing_seen():
    found = VideoMeter(1).finish()
    assert found.frames == ()
    assert found.variance.isnan().all()


def test_duplicates_are_counted():
    meter = VideoMeter(1)
    meter.skip_duplicate()
    meter.skip_duplicate()
    assert meter.finish().duplicates == 2
