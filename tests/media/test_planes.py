"""Planes in and out: every sample exactly where it was."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.media.frame import Plane
from deflicker.media.planes import (
    _PACKED,
    EXACT_SCALING,
    canonical_format,
    canonical_formats,
    convert,
    format_of,
    layout_of,
    packable,
    planes_of,
    to_av_frame,
)
from tests.media.making import same_planes


def noise(pix_fmt: str, width: int = 33, height: int = 17, seed: int = 0) -> tuple[Plane, ...]:
    """Random planes of a canonical format, every code value possible."""
    random = np.random.default_rng(seed)
    layout = layout_of(pix_fmt, height=height)
    shapes = [p.shape for p in planes_of(av.VideoFrame(width, height, pix_fmt))]
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    return tuple(random.integers(0, 1 << layout.bit_depth, shape).astype(dtype) for shape in shapes)


@pytest.mark.parametrize("pix_fmt", canonical_formats())
def test_a_canonical_format_is_the_name_of_its_layout(pix_fmt: str) -> None:
    layout = layout_of(pix_fmt, height=17)
    assert format_of(layout) == pix_fmt
    planes = noise(pix_fmt)
    assert len(planes) == {"gray": 1, "rgb": 3, "yuv": 3}[layout.family] + layout.has_alpha
    if layout.family == "yuv":
        across, down = layout.chroma_shift
        assert planes[1].shape == (-(-17 >> down), -(-33 >> across))


@pytest.mark.parametrize("pix_fmt", [*canonical_formats(), *(n for n in _PACKED if packable(n))])
def test_planes_survive_a_frame(pix_fmt: str) -> None:
    planes = noise(canonical_format(pix_fmt)[0])
    assert same_planes(planes_of(to_av_frame(planes, pix_fmt)), planes)


@pytest.mark.parametrize("pix_fmt", [n for n in _PACKED if n not in ("nv20le", "nv20be", "y210be", "y212be", "y216be")])
def test_packed_samples_are_found_where_swscale_finds_them(pix_fmt: str) -> None:
    frame = av.VideoFrame(34, 18, pix_fmt)
    random = np.random.default_rng(1)
    for plane in frame.planes:
        bits = np.frombuffer(plane, np.uint8)
        bits[:] = random.integers(0, 256, bits.size)
    canonical, exact = canonical_format(pix_fmt)
    assert exact
    assert same_planes(planes_of(frame), planes_of(frame.reformat(format=canonical, interpolation=EXACT_SCALING)))


def test_a_palette_becomes_its_colours() -> None:
    frame = av.VideoFrame(4, 2, "pal8")
    np.frombuffer(frame.planes[1], np.uint32)[:3] = [0xFF102030, 0x80FFFFFF, 0xFF0000FF]
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(2, -1)
    rows[:, :4] = [0, 1, 2, 0]
    green, blue, red, alpha = (plane[0].tolist() for plane in planes_of(frame))
    assert (red, green, blue) == ([0x10, 255, 0, 0x10], [0x20, 255, 0, 0x20], [0x30, 255, 255, 0x30])
    assert alpha == [255, 128, 255, 255]


def test_float_samples_are_rounded_to_16_bits_and_said_to_be() -> None:
    assert canonical_format("gbrpf32le") == ("gbrp16le", False)
    frame = av.VideoFrame.from_ndarray(np.full((4, 4, 3), 0.5, np.float32), format="gbrpf32le")
    assert all(abs(int(p[0, 0]) - 32768) <= 4 for p in planes_of(frame))


def test_planes_own_their_memory() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    planes = planes_of(frame)
    before = [p.copy() for p in planes]
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = 77
    assert same_planes(planes, tuple(before))


@given(width=st.integers(1, 70), height=st.integers(1, 40), pix_fmt=st.sampled_from(canonical_formats()))
@settings(max_examples=60, deadline=None)
def test_any_size_survives(width: int, height: int, pix_fmt: str) -> None:
    planes = noise(pix_fmt, width, height, seed=width)
    assert same_planes(planes_of(to_av_frame(planes, pix_fmt)), planes)


@pytest.mark.parametrize(
    ("pix_fmt", "height", "matrix_tag", "range_tag", "matrix", "full_range"),
    [
        ("yuv420p", 719, 2, 0, "bt601", False),
        ("yuv420p", 720, 2, 0, "bt709", False),
        ("yuv420p", 240, 1, 2, "bt709", True),
        ("yuv420p10le", 2160, 9, 1, "bt2020", False),
        ("yuvj420p", 240, 5, 0, "bt601", True),
        ("bgra", 240, 2, 0, "bt601", True),
        ("gray", 240, 2, 0, "bt601", True),
        ("gray", 240, 2, 1, "bt601", False),
    ],
)
def test_what_the_numbers_mean(
    pix_fmt: str, height: int, matrix_tag: int, range_tag: int, matrix: str, full_range: bool
) -> None:
    layout = layout_of(pix_fmt, height=height, matrix_tag=matrix_tag, range_tag=range_tag)
    assert (layout.matrix, layout.full_range) == (matrix, full_range)


def test_gray_gains_neutral_chroma() -> None:
    layout = layout_of("gray10le", height=8, range_tag=1)
    planes = noise("gray10le", 9, 7)
    made = planes_of(convert(planes, layout, "yuv420p10le", to=layout_of("yuv420p10le", height=8)))
    assert same_planes(made[:1], planes)
    assert all((plane == 512).all() for plane in made[1:])


@pytest.mark.parametrize(
    ("matrix", "white", "red"), [("bt601", (235, 128, 128), (81, 90, 240)), ("bt709", (235, 128, 128), (63, 102, 240))]
)
def test_rgb_becomes_ycbcr_by_the_matrix_it_says(matrix: str, white: tuple[int, ...], red: tuple[int, ...]) -> None:
    source = layout_of("gbrp", height=720 if matrix == "bt709" else 480)
    to = layout_of("yuv444p", height=720 if matrix == "bt709" else 480)
    for rgb, wanted in (((255, 255, 255), white), ((255, 0, 0), red)):
        planes = tuple(np.full((8, 8), rgb[i], np.uint8) for i in (1, 2, 0))
        made = planes_of(convert(planes, source, "yuv444p", to=to))
        assert [int(p[4, 4]) for p in made] == pytest.approx(wanted, abs=1)


def test_wrong_shapes_are_a_programmers_error() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        to_av_frame((np.zeros((8, 8), np.uint8),) * 3, "yuv420p")
