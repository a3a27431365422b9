"""A field of log gains on a frame's planes: nothing where it is zero, the exact code values where it is not."""

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.correction.apply import Correction, apply_gain, corrected_planes, upsample_cells
from deflicker.correction.curve import KNOTS
from deflicker.media.color import luma_range, normalise, rgb_from_ycc, to_rgb
from deflicker.media.frame import Frame, PlaneLayout
from tests.correction.scenes import rng

SUBSAMPLING = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "411": (2, 0)}


def layouts() -> list[PlaneLayout]:
    """Every kind of plane: Y'CbCr of each subsampling, depth, range and matrix, R'G'B' and gray, with and without
    alpha.
    """
    made = [
        PlaneLayout("yuv", depth, full, matrix, shift, alpha)
        for depth, matrix in ((8, "bt601"), (10, "bt2020"), (12, "bt709"), (8, "ycgco"))
        for full in (False, True)
        for shift in SUBSAMPLING.values()
        for alpha in (False, True)
    ]
    for family in ("rgb", "gray"):
        for depth in (8, 10, 12, 16):
            for full in (False, True):
                made += [PlaneLayout(family, depth, full, "bt709", (0, 0), alpha) for alpha in (False, True)]
    return made


def name(layout: PlaneLayout) -> str:
    shift = next((k for k, v in SUBSAMPLING.items() if v == layout.chroma_shift), "")
    parts = [layout.family + (shift if layout.family == "yuv" else ""), str(layout.bit_depth), layout.matrix]
    return "-".join([*parts, "full" if layout.full_range else "limited", "alpha" if layout.has_alpha else ""])


every_layout = pytest.mark.parametrize("layout", layouts(), ids=name)


def frame(*planes: np.ndarray) -> Frame:
    return Frame(0, 0, Fraction(1, 25), planes)


def noise(layout: PlaneLayout, height: int, width: int, seed: int = 0) -> Frame:
    """Any code value anywhere, below black and above white included."""
    random = np.random.default_rng(seed)
    across, down = layout.chroma_shift
    chroma = (-(-height >> down), -(-width >> across))
    sizes = {"yuv": [(height, width), chroma, chroma], "rgb": [(height, width)] * 3, "gray": [(height, width)]}
    shapes = sizes[layout.family] + [(height, width)] * layout.has_alpha
    kind = np.uint8 if layout.bit_depth == 8 else np.uint16
    return frame(*(random.integers(0, 1 << layout.bit_depth, size, dtype=kind, endpoint=False) for size in shapes))


def gain(value: float, height: int = 2, width: int = 3) -> torch.Tensor:
    return torch.full((3, height, width), value)


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and np.array_equal(first, second)


@every_layout
@pytest.mark.parametrize("size", [(16, 24), (7, 13), (1, 1), (2, 9)])
def test_no_gain_leaves_every_sample(layout, size):
    before = noise(layout, *size)
    after = corrected_planes(before, layout, Correction(gain(0.0)))
    assert len(after) == len(before.planes)
    assert all(same(a, b) for a, b in zip(after, before.planes, strict=True))


@every_layout
def test_shapes_types_and_alpha_stay(layout):
    before = noise(layout, 9, 15)
    after = corrected_planes(before, layout, Correction(0.3 * torch.randn(3, 2, 3, generator=rng(0))))
    assert [(a.shape, a.dtype) for a in after] == [(b.shape, b.dtype) for b in before.planes]
    colours = len(before.planes) - layout.has_alpha
    assert not same(after[0], before.planes[0])
    if layout.has_alpha:
        assert same(after[colours], before.planes[colours])


def ramp(layout: PlaneLayout) -> np.ndarray:
    """Codes from black to white, each once."""
    black, span = luma_range(layout)
    codes = np.arange(int(black), int(black + span) + 1)
    return codes.astype(np.uint8 if layout.bit_depth == 8 else np.uint16)[None].repeat(4, 0)


@pytest.mark.parametrize("log_gain", [-0.4, -0.01, 0.01, 0.25])
@pytest.mark.parametrize("layout", [each for each in layouts() if each.family == "gray"], ids=name)
def test_gray_ramp_takes_the_gain_exactly(layout, log_gain):
    codes = ramp(layout)
    planes = [codes] + [codes] * layout.has_alpha
    changed = corrected_planes(frame(*planes), layout, Correction(gain(log_gain)))[0]
    black, span = luma_range(layout)
    expected = black + np.minimum((codes - black) * np.exp(log_gain), span)
    assert np.abs(changed - expected).max() <= (1 if layout.bit_depth == 16 else 0.51)
    assert (np.diff(changed.astype(int), axis=1) >= 0).all()


@pytest.mark.parametrize("log_gain", [-0.3, 0.2])
@pytest.mark.parametrize("layout", [each for each in layouts() if each.family == "yuv"], ids=name)
def test_gray_picture_in_ycc_stays_gray(layout, log_gain):
    luma = ramp(layout)
    across, down = layout.chroma_shift
    chroma = np.full((4 >> down, -(-luma.shape[1] >> across)), 1 << (layout.bit_depth - 1), luma.dtype)
    planes = [luma, chroma, chroma] + [luma] * layout.has_alpha
    changed = corrected_planes(frame(*planes), layout, Correction(gain(log_gain)))
    black, span = luma_range(layout)
    expected = black + np.minimum((luma - black) * np.exp(log_gain), span)
    assert np.abs(changed[0] - expected).max() <= 1
    assert np.abs(changed[1].astype(int) - chroma).max() <= 1
    assert np.abs(changed[2].astype(int) - chroma).max() <= 1


@pytest.mark.parametrize("layout", [each for each in layouts() if each.family == "yuv"], ids=name)
def test_chroma_takes_a_uniform_gain_too(layout):
    """All three of R'G'B' times g is Y', Cb and Cr times g: hue and saturation stay."""
    unit = (1 << layout.bit_depth) / 256
    luma, cb, cr = (np.full((8, 8), round(v * unit), np.uint16) for v in (110, 110, 150))
    across, down = layout.chroma_shift
    planes = [luma, cb[: 8 >> down, : 8 >> across], cr[: 8 >> down, : 8 >> across]] + [luma] * layout.has_alpha
    planes = [plane.astype(np.uint8) if layout.bit_depth == 8 else plane for plane in planes]
    changed = corrected_planes(frame(*planes), layout, Correction(gain(0.15)))
    black, _ = luma_range(layout)
    centre = 1 << (layout.bit_depth - 1)
    for after, before, zero in zip(changed, planes, (black, centre, centre), strict=False):
        expected = zero + (before.astype(float) - zero) * np.exp(0.15)
        assert np.abs(after - expected).max() <= 0.51


@pytest.mark.parametrize("layout", [each for each in layouts() if each.chroma_shift == (0, 0)], ids=name)
def test_nothing_is_pushed_over_white(layout):
    """What was inside stays inside; what was beyond goes no further."""
    before = noise(layout, 24, 24)
    after = corrected_planes(before, layout, Correction(gain(0.8)))
    rgb, lit = (
        to_rgb(normalise([torch.from_numpy(p.astype(np.int32)) for p in planes[:3]], layout), layout, (24, 24))
        for planes in (before.planes, after)
    )
    if layout.family == "gray":
        assert lit.max() <= max(1, rgb.max()) + 1e-6
    rounding = 4 / ((1 << layout.bit_depth) - 1)
    clipped = torch.from_numpy(np.stack([p == (1 << layout.bit_depth) - 1 for p in after[: len(lit)]])).any(0)
    clipped |= torch.from_numpy(np.stack([p == 0 for p in after[: len(lit)]])).any(0)
    over = lit > rgb.clamp_min(1) + rounding
    assert not (over & ~clipped).any()


def test_apply_gain():
    rgb = torch.tensor([0.0, 0.2, 0.9, 1.0, 1.3, -0.1])
    torch.testing.assert_close(apply_gain(rgb, torch.zeros(6)), rgb, rtol=0, atol=0)
    brighter = torch.tensor([0.0, 0.4, 1.0, 1.0, 1.3, -0.2])
    torch.testing.assert_close(apply_gain(rgb, torch.full((6,), 2.0).log()), brighter)
    torch.testing.assert_close(apply_gain(rgb, torch.full((6,), 0.5).log()), rgb / 2)


def test_a_gain_acts_where_it_is():
    layout = PlaneLayout("gray", 8, True, "bt709", (0, 0), False)
    log_gain = torch.zeros(3, 4, 4)
    log_gain[..., 3] = 0.2
    flat = np.full((64, 64), 100, np.uint8)
    changed = corrected_planes(frame(flat), layout, Correction(log_gain))[0]
    assert (changed[:, :16] == 100).all()
    assert (changed[:, 60:] >= 121).all()


def test_channels_of_rgb_planes_are_green_blue_red():
    layout = PlaneLayout("rgb", 8, True, "bt709", (0, 0), False)
    log_gain = torch.tensor([0.3, 0.1, -0.2]).view(3, 1, 1).expand(3, 2, 2)
    flat = np.full((8, 8), 100, np.uint8)
    green, blue, red = corrected_planes(frame(flat, flat, flat), layout, Correction(log_gain))
    assert [int(p[0, 0]) for p in (red, green, blue)] == [135, 111, 82]


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
def test_a_cast_in_ycc_is_that_of_rgb(matrix):
    layout = PlaneLayout("yuv", 12, False, matrix, (0, 0), False)
    rgb = torch.tensor([0.5, 0.4, 0.3])
    black, span = luma_range(layout)

    def codes(rgb: torch.Tensor) -> list[float]:
        y, cb, cr = (torch.linalg.inv(rgb_from_ycc(layout).double()) @ rgb.double()).tolist()
        return [black + span * y, 2048 + 3584 * cb, 2048 + 3584 * cr]

    log_gain = torch.tensor([0.2, -0.1, 0.05])
    before = [np.full((8, 8), round(code), np.uint16) for code in codes(rgb)]
    after = corrected_planes(frame(*before), layout, Correction(log_gain.view(3, 1, 1).expand(3, 2, 2)))
    for plane, expected in zip(after, codes(rgb * log_gain.exp()), strict=True):
        assert np.abs(plane - expected).max() <= 1.5


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 70), st.integers(1, 70))
def test_spread_is_bicubic_interpolation(rows, columns, height, width):
    cells = torch.randn(2, 3, rows, columns, generator=rng(rows))
    expected = F.interpolate(cells, size=(height, width), mode="bicubic", align_corners=False)
    torch.testing.assert_close(upsample_cells(cells, (height, width)), expected, atol=2e-5, rtol=1e-4)


def test_spread_of_zero_is_exactly_zero():
    assert torch.equal(upsample_cells(torch.zeros(3, 5, 7), (33, 50)), torch.zeros(3, 33, 50))


def test_detail_is_added_to_luma_and_no_colour():
    layout = PlaneLayout("yuv", 8, False, "bt709", (1, 1), False)
    planes = (np.full((8, 12), 100, np.uint8), np.full((4, 6), 90, np.uint8), np.full((4, 6), 150, np.uint8))
    detail = torch.zeros(1, 8, 12)
    detail[0, 2, 3] = 10 / 219
    changed = corrected_planes(frame(*planes), layout, Correction(gain(0.0), detail=detail))
    assert int(changed[0][2, 3]) == 110
    assert int(np.abs(changed[0].astype(int) - 100).sum()) == 10
    assert np.array_equal(changed[1], planes[1])
    assert np.array_equal(changed[2], planes[2])


def test_detail_scales_with_strength_and_stays_within_white():
    detail = torch.full((1, 4, 4), 0.2)
    rgb = torch.full((3, 4, 4), 0.9)
    half = Correction(gain(0.0), detail=detail).scaled(0.25)
    assert torch.allclose(half.applied(rgb), torch.full_like(rgb, 0.95))
    assert torch.equal(Correction(gain(0.0), detail=detail).applied(rgb), torch.ones_like(rgb))
    assert torch.equal(Correction(gain(0.0), detail=-10 * detail).applied(rgb), torch.zeros_like(rgb))


def spoilt(part: str, value: float) -> Correction:
    fields = {"log_gain": torch.zeros(3, 2, 2), "highlights": torch.ones(3, 16, 16)}
    fields |= {"curve": torch.zeros(3, KNOTS), "detail": torch.zeros(1, 16, 16)}
    return Correction(**fields | {part: torch.full_like(fields[part], value)})


@pytest.mark.parametrize("part", ["log_gain", "highlights", "curve", "detail"])
def test_where_no_number_comes_out_the_sample_stays(part: str) -> None:
    layout = PlaneLayout("yuv", 8, False, "bt709", (1, 1), False)
    codes = [((16, 16), 180), ((8, 8), 110), ((8, 8), 140)]
    before = frame(*(np.full(shape, code, np.uint8) for shape, code in codes))
    after = corrected_planes(before, layout, spoilt(part, float("nan")))
    assert all(np.array_equal(a, b) for a, b in zip(after, before.planes, strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["log_gain", "highlights", "curve", "detail"])
def test_what_is_applied_is_finite(part: str, value: float) -> None:
    rgb = torch.rand(3, 16, 16, generator=rng(0)) + 0.2  # some of it is beyond white
    assert spoilt(part, value).applied(rgb).isfinite().all()
