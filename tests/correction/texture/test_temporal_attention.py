"""The learned attention: a convex combination, blind to mirrors, exact on equal neighbours, and of use."""

import pytest
import torch
import torch.nn.functional as F

from deflicker.correction.texture.comparison import Bands, Comparison, Values, redrawn_energy
from deflicker.correction.texture.luma_chroma import LumaChroma, change_of_rgb, luma_of_rgb, to_luma_chroma
from deflicker.correction.texture.temporal_attention import MEMORY, WEIGHTS, TemporalAttention, load_attention
from tests.correction.scenes import texture

OFFSETS = (1, 2, -1, -2, MEMORY)
SIZE = (64, 96)


def rng(seed):
    return torch.Generator().manual_seed(seed)


def clean(seed=0, size=SIZE):
    return texture(*size, seed)[None]


def boil(count, deviation, *, seed=1, size=SIZE, channels=3):
    """Noise of 2 and 4 px in colour, `[N, C, H, W]`."""
    parts = [
        F.interpolate(
            torch.randn(count, channels, size[0] // s, size[1] // s, generator=rng(seed + s)), size=size, mode="bicubic"
        )
        for s in (2, 4)
    ]
    total = sum(part / part.std() for part in parts)
    return deviation * total / total.std()


def compared(frame, others, *, visible=None, error_px=0.05, offsets=OFFSETS):
    """A frame `[1, 3, H, W]` beside others `[N, 3, H, W]`."""
    seen = torch.ones(len(others), 1, *frame.shape[-2:]) if visible is None else visible
    planes = to_luma_chroma(others)
    values = Values(
        LumaChroma(planes.luma[None], planes.chroma[None]), seen[None], torch.full_like(frame[:, :1], error_px), offsets
    )
    return to_luma_chroma(frame), Comparison.of(to_luma_chroma(frame), values)


def change(network, frame, others, **about):
    planes, seen = compared(frame, others, **about)
    return change_of_rgb(network(seen).merged(planes))


@pytest.fixture(params=[8, "package"])
def network(request):
    torch.manual_seed(3)
    return load_attention() if request.param == "package" else TemporalAttention(request.param).requires_grad_(False)


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


def test_equal_neighbours_give_the_frame_back(network):
    frame = clean()
    found = change(network, frame, frame.expand(5, -1, -1, -1))
    assert torch.equal(found, torch.zeros_like(frame))


def test_weights_are_positive_and_sum_to_1(network):
    frame = clean() + boil(1, 0.02)
    _, seen = compared(frame, clean() + boil(5, 0.02, seed=9))
    for share in network.shares(seen):
        assert float(share.min()) >= 0
        assert float(share.sum(1).max()) <= 1 + 1e-5  # what is left is the frame's own


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-1, -2)])
def test_a_mirrored_picture_gives_the_mirrored_result(network, axes):
    frame, others = clean() + boil(1, 0.02), clean() + boil(5, 0.02, seed=9)
    visible = (torch.rand(5, 1, *SIZE, generator=rng(2)) > 0.3).float()
    one = change(network, frame, others, visible=visible).flip(axes)
    other = change(network, frame.flip(axes), others.flip(axes), visible=visible.flip(axes))
    torch.testing.assert_close(one, other, atol=2e-6, rtol=0)


def test_past_and_future_are_alike(network):
    frame, others = clean() + boil(1, 0.02), clean() + boil(5, 0.02, seed=9)
    one = change(network, frame, others)
    other = change(network, frame, others[[2, 3, 0, 1, 4]])
    torch.testing.assert_close(one, other, atol=2e-6, rtol=0)


def test_hidden_neighbours_have_next_to_no_say(network):
    frame, others = clean() + boil(1, 0.02), clean(5).expand(5, -1, -1, -1)
    found = change(network, frame, others, visible=torch.zeros(5, 1, *SIZE))
    assert float(found.abs().mean()) < 0.01


@pytest.mark.parametrize("size", [(64, 96), (61, 95), (17, 33)])
def test_any_size_goes(network, size):
    frame = clean(size=size)
    assert change(network, frame, frame.expand(5, -1, -1, -1) * 0.99).shape == frame.shape


def test_a_batch_is_its_frames_one_by_one(network):
    frames = [clean() + boil(1, 0.02, seed=s) for s in (1, 2)]
    others = [clean() + boil(5, 0.02, seed=s) for s in (8, 9)]
    parts = [to_luma_chroma(each) for each in others]
    values = Values(
        LumaChroma(torch.stack([p.luma for p in parts]), torch.stack([p.chroma for p in parts])),
        torch.ones(2, 5, 1, *SIZE), torch.full((2, 1, *SIZE), 0.05), OFFSETS,
    )  # fmt: skip
    planes = to_luma_chroma(torch.cat(frames))
    together = change_of_rgb(network(Comparison.of(planes, values)).merged(planes))
    for row, (frame, around) in enumerate(zip(frames, others, strict=True)):
        torch.testing.assert_close(together[row : row + 1], change(network, frame, around), atol=2e-6, rtol=0)


# --- The network in the package ---------------------------------------------------------------------------------------


def test_it_is_small():
    assert WEIGHTS.stat().st_size < 200_000


@pytest.mark.parametrize("channels", [1, 3])
def test_boil_goes_in_luma_and_in_colour(channels):
    truth = clean()
    frame, others = truth + boil(1, 0.02, channels=channels), truth + boil(5, 0.02, seed=9, channels=channels)
    steady = frame + change(load_attention(), frame, others)
    assert psnr(steady, truth) > psnr(frame, truth) + 2


def test_a_thin_thing_that_passes_stays():
    """A bright line of two pixels, in this frame only, where texture boils."""
    truth = clean()
    frame = truth + boil(1, 0.015)
    frame[..., 30:32, 16:80] += 0.35
    found = change(load_attention(), frame, truth + boil(5, 0.015, seed=9))
    assert float(luma_of_rgb(found)[..., 30:32, 20:76].mean()) > -0.05


def test_a_thing_that_only_neighbours_show_leaves_no_ghost():
    truth = clean()
    frame, others = truth + boil(1, 0.015), truth + boil(5, 0.015, seed=9)
    others[0, :, 20:40, 30:60] += 0.3
    found = change(load_attention(), frame, others)
    assert float(luma_of_rgb(found)[..., 24:36, 36:54].mean().abs()) < 0.02


# --- Luma, colour and bands -------------------------------------------------------------------------------------------


def test_planes_of_grey_have_no_colour():
    grey = torch.rand(1, 1, 8, 8, generator=rng(1)).expand(-1, 3, -1, -1)
    planes = to_luma_chroma(grey)
    torch.testing.assert_close(planes.luma, grey[:, :1])
    torch.testing.assert_close(planes.chroma, torch.zeros(1, 2, 4, 4), atol=1e-6, rtol=0)


def test_a_change_of_one_colour_comes_back():
    """Smooth, so that half the size holds its differences of colour."""
    rgb = torch.tensor([0.1, -0.05, 0.2]).view(1, 3, 1, 1).expand(-1, -1, 8, 8)
    torch.testing.assert_close(change_of_rgb(to_luma_chroma(rgb)), rgb, atol=1e-6, rtol=0)


def test_bands_merge_to_what_they_were():
    planes = to_luma_chroma(torch.rand(1, 3, 32, 48, generator=rng(1)))
    merged = Bands.of(planes).merged(planes)
    torch.testing.assert_close(merged.luma, planes.luma, atol=1e-6, rtol=0)
    torch.testing.assert_close(merged.chroma, planes.chroma, atol=1e-6, rtol=0)


def test_what_is_new_in_a_frame_is_the_energy_of_its_boil():
    truth = clean(size=(128, 128))
    grain = torch.randn(5, 1, 128, 128, generator=rng(3)).expand(-1, 3, -1, -1) * 0.02
    _, seen = compared(truth + grain[:1], truth + grain[1:], offsets=(1, 2, -1, -2))
    found = redrawn_energy(seen)
    assert float(sum(band.mean() for band in found[:1])) == pytest.approx(0.02**2 * 0.75, rel=0.2)
