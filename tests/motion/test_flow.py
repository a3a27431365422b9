"""Flow: the network's own numbers, whatever is shared between pairs; any size; not fooled by flicker."""

import functools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.core import weights
from deflicker.motion.flow import BatchLimits, FlowEstimator, _enlarged, _fit, _padding, _upsample, even_light
from deflicker.motion.raft.network import FLOW_NETWORKS, build

NETWORKS = ["raft_small", "raft_large"]
HEIGHT, WIDTH = 128, 160
SHIFT = torch.tensor([7.0, -4.0]).reshape(1, 2, 1, 1)


@functools.cache
def state(network: str) -> dict:
    return weights.load(FLOW_NETWORKS[network])


@functools.cache
def estimator(network: str = "raft_small", *, dtype=torch.float32, updates: int = 12, **more) -> FlowEstimator:
    return FlowEstimator(state(network), dtype=dtype, updates=updates, **more)


@functools.cache
def shifted_pair() -> torch.Tensor:
    """Two views, [2, 3, H, W], of one texture, SHIFT apart."""
    noise = torch.rand(1, 3, 28, 36, generator=torch.Generator().manual_seed(0))
    texture = F.interpolate(noise, scale_factor=6, mode="bicubic", align_corners=False).clamp(0, 1)[0]
    dx, dy = SHIFT.flatten().int().tolist()
    return torch.stack([texture[:, y : y + HEIGHT, x : x + WIDTH] for y, x in ((20, 20), (20 - dy, 20 - dx))])


def flow(frames: torch.Tensor, estimator: FlowEstimator) -> tuple[torch.Tensor, torch.Tensor]:
    features = estimator.features(frames)
    return estimator.flow(features[:-1], features[1:])


def error_px(found: torch.Tensor, true: torch.Tensor) -> float:
    return (found - true).norm(dim=1).mean().item()


# RAFT's authors' code gives 0.15 and 0.08 px here.
@pytest.mark.parametrize(("network", "bound_px"), [("raft_small", 0.2), ("raft_large", 0.12)])
def test_shift_is_found_both_ways(network, bound_px):
    forward, backward = flow(shifted_pair(), estimator(network))
    assert forward.shape == backward.shape == (1, 2, HEIGHT, WIDTH)
    assert forward.dtype == backward.dtype == torch.float32
    assert not forward.is_inference()  # such tensors cannot take part in anyone's gradient
    assert error_px(forward, SHIFT) < bound_px
    assert error_px(backward, -SHIFT) < bound_px


@pytest.mark.parametrize("network", NETWORKS)
def test_same_as_torchvisions_forward(network):
    frames = shifted_pair()
    model = build(network)
    model.load_state_dict(state(network))
    with torch.inference_mode():
        there, back = even_light(frames)[:1] * 2 - 1, even_light(frames)[1:] * 2 - 1
        expected = model(there, back, 4)[-1], model(back, there, 4)[-1]
    for found, wanted in zip(flow(frames, estimator(network, updates=4)), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_batches_and_order_do_not_matter(network):
    frames = torch.cat([shifted_pair(), shifted_pair().flip(3)])
    quick = estimator(network, updates=2)
    features = quick.features(frames)
    together = quick.flow(features[:-1], features[1:])
    alone = [quick.flow(quick.features(frames[i : i + 1]), quick.features(frames[i + 1 : i + 2])) for i in range(3)]
    swapped = quick.flow(features[1:], features[:-1])
    other = estimator(network, updates=2, limits=BatchLimits(frames=3, correlation_bytes=1))
    features = other.features(frames)
    one_by_one = other.flow(features[:-1], features[1:])
    for way in (0, 1):
        torch.testing.assert_close(torch.cat([pair[way] for pair in alone]), together[way], atol=1e-3, rtol=0)
        torch.testing.assert_close(one_by_one[way], together[way], atol=1e-3, rtol=0)
        torch.testing.assert_close(swapped[1 - way], together[way], atol=1e-3, rtol=0)


@pytest.mark.parametrize("size_px", [(1, 1), (2, 2), (1, 200), (127, 129), (131, 140)])
def test_any_size(size_px):
    frames = torch.rand(2, 3, *size_px, generator=torch.Generator().manual_seed(1))
    for found in flow(frames, estimator(updates=2)):
        assert found.shape == (1, 2, *size_px)
        assert found.isfinite().all()


@pytest.mark.parametrize("side_px", [32, 48, 100])
def test_small_frames_move_in_their_own_pixels(side_px):
    frames = shifted_pair()[..., 20 : 20 + side_px, 20 : 20 + side_px]
    forward, _ = flow(frames, estimator("raft_large"))
    middle = forward[..., side_px // 4 : -side_px // 4, side_px // 4 : -side_px // 4]
    assert (middle - SHIFT).norm(dim=1).median() < 1


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_frames_stand_still(network, level):
    """Nearly: with nothing to go by, RAFT drifts a little, most near the borders."""
    for found in flow(torch.full((2, 3, HEIGHT, WIDTH), level), estimator(network, updates=4)):
        assert found.isfinite().all()
        assert found.norm(dim=1).median() < 1
        assert found.abs().max() < 5


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_brightness_is_not_motion(network, gain):
    frames = shifted_pair() * 0.7
    flickering = torch.stack([frames[0], frames[1] * gain])
    pairs = zip(
        flow(frames, estimator(network, updates=6)), flow(flickering, estimator(network, updates=6)), strict=True
    )
    for steady, found in pairs:
        assert (found - steady).norm(dim=1).median() < 0.1


def test_slow_light_is_not_motion():
    frames = shifted_pair() * 0.6
    slope = torch.linspace(0.75, 1.3, WIDTH)
    steady, _ = flow(frames, estimator("raft_large", updates=6))
    found, _ = flow(torch.stack([frames[0], frames[1] * slope]), estimator("raft_large", updates=6))
    assert (found - steady).norm(dim=1).median() < 0.1


@pytest.mark.parametrize("network", NETWORKS)
def test_bf16_is_near_fp32(network):
    exact, _ = flow(shifted_pair(), estimator(network, updates=6))
    rounded, _ = flow(shifted_pair(), estimator(network, updates=6, dtype=torch.bfloat16))
    assert rounded.dtype == torch.float32
    assert (rounded - exact).norm(dim=1).median() < 0.1


def test_even_light_keeps_range_colour_and_forgets_gain():
    frames = shifted_pair() * 0.6 + 0.2
    even = even_light(frames)
    assert even.shape == frames.shape
    assert even.min() >= 0
    assert even.max() <= 1
    torch.testing.assert_close(even[:, 0] * frames[:, 1], even[:, 1] * frames[:, 0])
    assert (even_light(frames * 0.5) - even).abs().max() < 0.03
    torch.testing.assert_close(even_light(torch.full((1, 3, 9, 9), 0.5)).mean().item(), 0.4 * 0.5 / 0.52)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(1, 300))
def test_padding_and_back(height_px, width_px):
    """A flow that crosses each frame once does so before and after."""
    enlarged_px = _enlarged(height_px, width_px)
    across = torch.tensor([enlarged_px[1], enlarged_px[0]]).float().reshape(1, 2, 1, 1).expand(1, 2, *enlarged_px)
    padded = F.pad(across, _padding(*enlarged_px), mode="replicate")
    assert all(side % 8 == 0 and side >= 96 for side in padded.shape[-2:])
    expected = torch.tensor([width_px, height_px]).float().reshape(1, 2, 1, 1).expand(1, 2, height_px, width_px)
    torch.testing.assert_close(_fit(padded, (height_px, width_px)), expected)


def test_padding_keeps_every_pixel_in_place():
    frame = torch.rand(1, 2, 131, 140)
    assert torch.equal(_fit(F.pad(frame, _padding(131, 140), mode="replicate"), (131, 140)), frame)


def test_convex_upsampling_keeps_a_constant_flow():
    weights_ = torch.randn(1, 576, 5, 6, generator=torch.Generator().manual_seed(2))
    fine = _upsample(torch.full((1, 2, 5, 6), 0.5), weights_)
    assert fine.shape == (1, 2, 40, 48)
    torch.testing.assert_close(fine[..., 8:-8, 8:-8], torch.full((1, 2, 24, 32), 4.0))


def test_misuse_is_told():
    features = estimator().features(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="one size"):
        estimator().flow(features, features * 2)
    with pytest.raises(ValueError, match="one size"):
        estimator().flow([], [])
    with pytest.raises(ValueError, match="one size"):
        estimator().flow(features, estimator().features(torch.rand(1, 3, 16, 24)))
    with pytest.raises(ValueError, match=r"frames\.shape"):
        estimator().features(torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="updates = 0"):
        FlowEstimator(state("raft_small"), updates=0)
    with pytest.raises(ValueError, match="missing"):
        FlowEstimator({})
    with pytest.raises(ValueError, match=r"extra\.weight not expected"):
        FlowEstimator({**state("raft_small"), "extra.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="raft_huge"):
        build("raft_huge")


@pytest.mark.cuda
@pytest.mark.parametrize("network", NETWORKS)
def test_cuda_is_near_the_cpu(network):
    exact, _ = flow(shifted_pair(), estimator(network, updates=6))
    for dtype, bound_px in ((torch.float32, 0.05), (torch.bfloat16, 0.1), (torch.float16, 0.1)):
        on_gpu = FlowEstimator(state(network), device="cuda", dtype=dtype, updates=6)
        found, _ = flow(shifted_pair(), on_gpu)
        assert (found.cpu() - exact).norm(dim=1).median() < bound_px
