"""Colour: the standards' own numbers, every range and depth, and small copies of the right size."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.media.color import (
    as_tensors,
    chroma_range,
    luma_range,
    normalise,
    proxy_size,
    resize,
    rgb_from_ycc,
    to_rgb,
)
from deflicker.media.frame import PlaneLayout

MATRICES = ["bt601", "bt709", "bt2020", "smpte240m", "fcc", "ycgco"]
BARS = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)]
BARS_75 = {  # limited range, 8 bits, as test generators send them
    "bt601": [
        (180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58),
        (84, 184, 198), (65, 100, 212), (35, 212, 114), (16, 128, 128),
    ],
    "bt709": [
        (180, 128, 128), (168, 44, 136), (145, 147, 44), (133, 63, 52),
        (63, 193, 204), (51, 109, 212), (28, 212, 120), (16, 128, 128),
    ],
}  # fmt: skip


def yuv(
    matrix: str = "bt709", depth: int = 8, *, full: bool = False, shift: tuple[int, int] = (0, 0), alpha: bool = False
) -> PlaneLayout:
    return PlaneLayout("yuv", depth, full, matrix, shift, alpha)


def picture(layout: PlaneLayout, codes: list[tuple[float, float, float]]) -> torch.Tensor:
    """R'G'B' `[3, 1, N]` of N code triples."""
    planes = torch.tensor(codes).T[:, None]
    return to_rgb(normalise(list(planes), layout), layout, (1, len(codes)))


@pytest.mark.parametrize("matrix", BARS_75)
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_colour_bars(matrix, depth):
    rgb = picture(yuv(matrix, depth), [tuple(c << (depth - 8) for c in bar) for bar in BARS_75[matrix]])
    expected = 0.75 * torch.tensor(BARS).float().T[:, None]
    torch.testing.assert_close(rgb, expected, atol=1 / 150, rtol=0)  # bars are rounded to a code value


@pytest.mark.parametrize(
    ("matrix", "to_red", "green_of_cb", "green_of_cr", "to_blue"),
    [
        ("bt601", 1.402, -0.344136, -0.714136, 1.772),
        ("bt709", 1.5748, -0.187324, -0.468124, 1.8556),
        ("bt2020", 1.4746, -0.164553, -0.571353, 1.8814),
    ],
)
def test_matrices_of_the_standards(matrix, to_red, green_of_cb, green_of_cr, to_blue):
    expected = torch.tensor([[1, 0, to_red], [1, green_of_cb, green_of_cr], [1, to_blue, 0]])
    torch.testing.assert_close(rgb_from_ycc(yuv(matrix)), expected, atol=2e-6, rtol=0)


def test_ycgco_by_its_definition():
    """Y = R/4 + G/2 + B/4, Cg = G/2 − R/4 − B/4, Co = R/2 − B/2."""
    to_ycgco = torch.tensor([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]])
    torch.testing.assert_close(rgb_from_ycc(yuv("ycgco")) @ to_ycgco, torch.eye(3))


@pytest.mark.parametrize("matrix", MATRICES)
def test_matrix_and_its_inverse(matrix):
    """Luma's shares are positive and add up to 1, grays have no chroma, no chroma leaves its range."""
    to_rgb_ = rgb_from_ycc(yuv(matrix)).double()
    to_ycc = torch.linalg.inv(to_rgb_)
    torch.testing.assert_close(to_rgb_ @ to_ycc, torch.eye(3).double())
    assert to_ycc[0].min() > 0
    torch.testing.assert_close(to_ycc.sum(1), torch.tensor([1.0, 0, 0]).double(), atol=1e-6, rtol=0)
    corners = torch.tensor(list(product((0.0, 1.0), repeat=3))).double()
    chroma = corners @ to_ycc[1:].T
    torch.testing.assert_close(chroma.amax(0), torch.full((2,), 0.5).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(chroma.amin(0), torch.full((2,), -0.5).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("depth", "full", "black", "white", "least", "centre", "most"),
    [
        (8, False, 16, 235, 16, 128, 240),
        (10, False, 64, 940, 64, 512, 960),
        (12, False, 256, 3760, 256, 2048, 3840),
        (16, False, 4096, 60160, 4096, 32768, 61440),
        (8, True, 0, 255, 0.5, 128, 255.5),
        (10, True, 0, 1023, 0.5, 512, 1023.5),
        (12, True, 0, 4095, 0.5, 2048, 4095.5),
    ],
)
def test_ranges(depth, full, black, white, least, centre, most):
    layout = yuv(depth=depth, full=full)
    luma, cb, cr = normalise(
        [torch.tensor([[black, white]]), torch.tensor([[least, centre, most]]), torch.tensor([[centre]])], layout
    )
    torch.testing.assert_close(luma, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(cb, torch.tensor([[-0.5, 0.0, 0.5]]))
    assert cr.item() == 0
    assert luma_range(layout) == (black, white - black)
    assert chroma_range(layout) == (centre, most - least)


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_rgb_planes_are_always_full_and_ordered_green_blue_red(depth):
    top = (1 << depth) - 1
    for full in (False, True):
        layout = PlaneLayout("rgb", depth, full, "bt709", (0, 0), False)
        planes = [torch.tensor([[code]]) for code in (top, 0, top // 3)]
        rgb = to_rgb(normalise(planes, layout), layout, (1, 1)).flatten()
        torch.testing.assert_close(rgb, torch.tensor([top // 3 / top, 1.0, 0.0]))


def test_gray_serves_all_channels():
    layout = PlaneLayout("gray", 8, False, "bt709", (0, 0), False)
    rgb = to_rgb(normalise([torch.tensor([[16, 235]])], layout), layout, (1, 2))
    torch.testing.assert_close(rgb, torch.tensor([[0.0, 1.0]]).expand(3, 1, 2))


def test_headroom_is_kept():
    rgb = picture(yuv(), [(255, 128, 128), (0, 128, 128)])
    torch.testing.assert_close(rgb[0, 0], torch.tensor([239 / 219, -16 / 219]))


def test_subsampled_chroma_reaches_the_whole_picture():
    planes = [torch.full((5, 7), 180), torch.full((3, 4), 100), torch.full((3, 4), 150)]
    layout = yuv(shift=(1, 1))
    for size in ((5, 7), (2, 3), (8, 16)):
        rgb = to_rgb(normalise(planes, layout), layout, size)
        assert rgb.shape == (3, *size)
        torch.testing.assert_close(rgb, rgb[:, :1, :1].expand_as(rgb))


def test_alpha_is_no_colour():
    planes = torch.randint(0, 256, (4, 6, 6), dtype=torch.uint8).numpy()
    assert len(as_tensors(list(planes), yuv(alpha=True), torch.device("cpu"))) == 3
    colours = as_tensors(list(planes[:3]), yuv(), torch.device("cpu"))
    assert len(colours) == 3
    assert all(plane.dtype == torch.float32 for plane in colours)


@settings(deadline=None)
@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([128, 256, 384]))
def test_proxy_size(height, width, max_side_px):
    size = proxy_size(height, width, max_side_px)
    assert all(side % 8 == 0 and 8 <= side <= max_side_px for side in size)
    shrink = min(1, max_side_px / max(height, width))
    for side, full in zip(size, (height, width), strict=True):
        assert abs(side - full * shrink) <= 4 or side == 8
    assert proxy_size(width, height, max_side_px) == size[::-1]


def test_resize_downwards_takes_means():
    plane = torch.arange(24.0).reshape(4, 6)
    torch.testing.assert_close(resize(plane, (2, 2)), torch.tensor([[4.0, 7.0], [16.0, 19.0]]))
    torch.testing.assert_close(resize(plane, (1, 1)), torch.tensor([[11.5]]))
    assert resize(plane, (4, 6)) is plane


def test_resize_upwards_is_linear():
    ramp = torch.arange(8.0).expand(2, 8)
    wide = resize(ramp, (4, 32))
    steps = wide[:, 3:-3].diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 0.25))
    torch.testing.assert_close(wide.mean(), ramp.mean())
