"""Pixel formats as planes: every decoded frame becomes separate planes, and planes become the frame an encoder wants.

A canonical format is one FFmpeg name per `PlaneLayout`: `yuv420p10le`, `gbrap`, `gray`, … Everything else is mapped
onto one of them, by moving samples where that is possible (nv12, bgra, p010, …) and through swscale where it is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
from av.codec.codec import find_best_pix_fmt_of_list
from av.video.reformatter import ColorRange, Interpolation

from deflicker.media.frame import Plane, PlaneLayout

Matrix = Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc", "ycgco"]

EXACT_SCALING = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INP | Interpolation.FULL_CHR_H_INT
EXACT_SCALING |= Interpolation.ACCURATE_RND | Interpolation.BITEXACT

_SUBSAMPLINGS = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
_CANONICAL = re.compile(r"(?P<family>yuva?|gbra?|gray)(?P<chroma>4\d\d)?p?(?P<depth>9|1[0-6])?(?P<end>[lb]e)?")
_MATRIX_OF_TAG: dict[int, Matrix] = {
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020",
    10: "bt2020",
}
# swscale's numbers for the same coefficients (SWS_CS_*); it has none for ycgco.
_SWS_MATRIX = {"bt709": 1, "fcc": 4, "bt601": 5, "smpte240m": 7, "bt2020": 9, "ycgco": 5}


@dataclass(frozen=True)
class _Samples:
    """Where the samples of a canonical format's planes lie in another format's planes."""

    canonical: str
    dtype: str
    shift: int
    """Bits by which samples are raised above the low end (6 in p010)."""
    places: tuple[tuple[int, int, int], ...]
    """(plane, step, offset) of each canonical plane, in samples."""


def _build_table() -> dict[str, _Samples]:
    table: dict[str, _Samples] = {}

    def add(name: str, canonical: str, places: list[tuple[int, int, int]], shift: int = 0) -> None:
        if name[-2:] in ("le", "be"):
            table[name] = _Samples(canonical, "<u2" if name.endswith("le") else ">u2", shift, tuple(places))
        else:
            table[name] = _Samples(canonical, "u1", shift, tuple(places))

    def interleaved(name: str, order: str, colours: str, canonical: str, shift: int = 0) -> None:
        add(name, canonical, [(0, len(order), order.index(c)) for c in colours], shift)

    for order in ("rgb", "bgr", "rgb0", "bgr0", "0rgb", "0bgr"):
        interleaved(order + "24" * (len(order) == 3), order, "gbr", "gbrp")
    for order in ("rgba", "bgra", "argb", "abgr"):
        interleaved(order, order, "gbra", "gbrap")
    for end in ("le", "be"):
        for order in ("rgb", "bgr"):
            interleaved(f"{order}48{end}", order, "gbr", "gbrp16le")
            interleaved(f"{order}a64{end}", order + "a", "gbra", "gbrap16le")
        interleaved("ya16" + end, "ya", "yyya", "gbrap16le")
        interleaved("ayuv64" + end, "ayuv", "yuva", "yuva444p16le")
    interleaved("ya8", "ya", "yyya", "gbrap")
    for name, order in (("ayuv", "ayuv"), ("vuya", "vuya"), ("uyva", "uyva")):
        interleaved(name, order, "yuva", "yuva444p")
    interleaved("vuyx", "vuyx", "yuv", "yuv444p")
    interleaved("vyu444", "vyu", "yuv", "yuv444p")

    packed_422 = {"yuyv": (0, 1, 3), "uyvy": (1, 0, 2), "yvyu": (0, 3, 1)}
    for name, (y, u, v) in packed_422.items():
        add(name + "422", "yuv422p", [(0, 2, y), (0, 4, u), (0, 4, v)])
    semi, swapped = [(0, 1, 0), (1, 2, 0), (1, 2, 1)], [(0, 1, 0), (1, 2, 1), (1, 2, 0)]
    for name, canonical, places in (
        ("nv12", "yuv420p", semi),
        ("nv21", "yuv420p", swapped),
        ("nv16", "yuv422p", semi),
        ("nv24", "yuv444p", semi),
        ("nv42", "yuv444p", swapped),
        ("nv20le", "yuv422p10le", semi),
        ("nv20be", "yuv422p10le", semi),
    ):
        add(name, canonical, places)
    for depth in (10, 12, 16):
        for end in ("le", "be"):
            for digit, chroma in (("0", "420"), ("2", "422"), ("4", "444")):
                add(f"p{digit}{depth}{end}", f"yuv{chroma}p{depth}le", semi, 16 - depth)
            add(f"y2{depth}{end}", f"yuv422p{depth}le", [(0, 2, 0), (0, 4, 1), (0, 4, 3)], 16 - depth)
    return table


_PACKED = _build_table()


def _exists(name: str) -> bool:
    try:
        av.VideoFormat(name)
    except ValueError:
        return False
    return True


@lru_cache
def canonical_formats() -> tuple[str, ...]:
    """Every canonical format this FFmpeg knows."""
    depths = ("", "9le", "10le", "12le", "14le", "16le")
    names = [f"{kind}{d}" for kind in ("gray", "gbrp", "gbrap") for d in depths]
    names += [f"{kind}{c}p{d}" for kind in ("yuv", "yuva") for c in _SUBSAMPLINGS.values() for d in depths]
    return tuple(name for name in names if _exists(name))


@lru_cache
def canonical_format(pix_fmt: str) -> tuple[str, bool]:
    """The canonical format that holds `pix_fmt`, and whether it does so without loss.

    Raises ValueError where FFmpeg has no such format.
    """
    if pix_fmt in _PACKED:
        return _PACKED[pix_fmt].canonical, True
    plain = re.sub(r"be$", "le", pix_fmt.replace("yuvj", "yuv"))
    if plain in canonical_formats():
        return plain, True
    form = av.VideoFormat(pix_fmt)
    alpha = form.has_palette or any(c.is_alpha for c in form.components)
    if form.has_palette or (form.is_rgb and form.padded_bits_per_pixel <= 16):
        return ("gbrap" if alpha else "gbrp"), True
    if re.search(r"f(16|32)[lb]e$", pix_fmt):
        gray = pix_fmt.startswith("gray")
        return ("gray16le" if gray else "gbrap16le" if alpha else "gbrp16le"), False
    best, loss = find_best_pix_fmt_of_list(canonical_formats(), pix_fmt, alpha)
    if best is None:
        raise ValueError(f"no planar format holds {pix_fmt}")
    return best.name, not loss


def layout_of(pix_fmt: str, *, height: int, matrix_tag: int = 2, range_tag: int = 0) -> PlaneLayout:
    """The layout of `planes_of` for frames of `pix_fmt`.

    `matrix_tag` and `range_tag` are FFmpeg's numbers (AVCOL_SPC_*, AVCOL_RANGE_*). A missing matrix is guessed from
    `height` in pixels, as players do: BT.709 from 720 lines on, else BT.601.
    """
    canonical, _ = canonical_format(pix_fmt)
    match = _CANONICAL.fullmatch(canonical)
    if match is None:
        raise ValueError(f"{canonical} is not a canonical format")
    family: Literal["yuv", "rgb", "gray"]
    family = "gray" if match["family"] == "gray" else "rgb" if match["family"].startswith("gbr") else "yuv"
    # FFmpeg takes gray without a tag as full range; Y'CbCr without one as limited.
    full = family == "rgb" or pix_fmt.startswith("yuvj") or range_tag == 2 or (family == "gray" and range_tag != 1)
    shifts = next((s for s, digits in _SUBSAMPLINGS.items() if digits == match["chroma"]), (0, 0))
    return PlaneLayout(
        family=family,
        bit_depth=int(match["depth"] or 8),
        full_range=full,
        matrix=_MATRIX_OF_TAG.get(matrix_tag, "bt709" if height >= 720 else "bt601"),
        chroma_shift=shifts,
        has_alpha=match["family"].endswith("a"),
    )


def format_of(layout: PlaneLayout, *, alpha: bool | None = None) -> str:
    """FFmpeg's name of the canonical format of `layout`; `alpha` overrides whether it has an alpha plane."""
    with_alpha = layout.has_alpha if alpha is None else alpha
    depth = "" if layout.bit_depth == 8 else f"{layout.bit_depth}le"
    if layout.family == "gray":
        return "gray" + depth
    if layout.family == "rgb":
        return ("gbrap" if with_alpha else "gbrp") + depth
    return ("yuva" if with_alpha else "yuv") + _SUBSAMPLINGS[layout.chroma_shift] + "p" + depth


def _rows(frame: av.VideoFrame, index: int, dtype: str) -> npt.NDArray[Any]:
    """A view of one plane with its padding: [H, line_size in samples]."""
    plane = frame.planes[index]
    samples = np.frombuffer(plane, np.dtype(dtype))  # type: ignore[call-overload]
    per_line = plane.line_size // np.dtype(dtype).itemsize
    view: npt.NDArray[Any] = samples[: per_line * plane.height].reshape(plane.height, per_line)
    return view


def _sizes(canonical: str, width: int, height: int) -> list[tuple[int, int]]:
    """(height, width) of each plane."""
    match = _CANONICAL.fullmatch(canonical)
    if match is None:
        raise ValueError(f"{canonical} is not a canonical format")
    if match["family"] == "gray":
        return [(height, width)]
    shifts = next((s for s, digits in _SUBSAMPLINGS.items() if digits == match["chroma"]), (0, 0))
    chroma = (-(-height >> shifts[1]), -(-width >> shifts[0]))
    alpha = [(height, width)] * match["family"].endswith("a")
    return [(height, width), chroma, chroma, *alpha]


def _samples_of(pix_fmt: str) -> _Samples | None:
    """Where the planes lie in `pix_fmt`, or None where only swscale can tell."""
    if pix_fmt in _PACKED:
        return _PACKED[pix_fmt]
    plain = re.sub(r"be$", "le", pix_fmt.replace("yuvj", "yuv"))
    if plain not in canonical_formats():
        return None
    dtype = ">u2" if pix_fmt.endswith("be") else "<u2" if plain.endswith("le") else "u1"
    return _Samples(plain, dtype, 0, tuple((i, 1, 0) for i in range(len(_sizes(plain, 1, 1)))))


def planes_of(frame: av.VideoFrame) -> tuple[Plane, ...]:
    """Copy a decoded frame's samples into canonical planes `[H_i, W_i]` that own their memory.

    Uint8 for 8 bits, else native uint16 aligned to the low bits; order and meaning as `layout_of` says.
    """
    samples = _samples_of(frame.format.name)
    if samples is None or any(plane.line_size <= 0 for plane in frame.planes):
        frame = _through_swscale(frame)
        samples = _samples_of(frame.format.name)
        assert samples is not None
    dtype = np.uint8 if samples.dtype == "u1" else np.uint16
    planes = []
    for (plane, step, offset), (h, w) in zip(
        samples.places, _sizes(samples.canonical, frame.width, frame.height), strict=True
    ):
        view = _rows(frame, plane, samples.dtype)[:h, offset::step][:, :w]
        copy: Any = view.astype(dtype)
        planes.append(copy >> samples.shift if samples.shift else copy)
    return tuple(planes)


def _through_swscale(frame: av.VideoFrame) -> av.VideoFrame:
    canonical, _ = canonical_format(frame.format.name)
    # Palettes and small RGB formats: swscale is exact to packed RGB, not always to planes.
    packed = {"gbrap": "bgra", "gbrp": "rgb24"}.get(canonical, canonical)
    return frame.reformat(format=packed, interpolation=EXACT_SCALING)


def packable(pix_fmt: str) -> bool:
    """Whether `to_av_frame` can fill `pix_fmt` from its canonical planes without loss."""
    samples = _samples_of(pix_fmt)
    return samples is not None and len(set(samples.places)) == len(samples.places)


def to_av_frame(planes: tuple[Plane, ...], pix_fmt: str) -> av.VideoFrame:
    """A frame of `pix_fmt` that holds `planes`, exactly: canonical planes of that format, `[H_i, W_i]`.

    Raises ValueError where `pix_fmt` cannot be filled from planes or their shapes do not fit.
    """
    samples = _samples_of(pix_fmt)
    if samples is None or not packable(pix_fmt):
        raise ValueError(f"{pix_fmt} cannot be filled from planes")
    height, width = planes[0].shape
    sizes = _sizes(samples.canonical, width, height)
    if [plane.shape for plane in planes] != sizes:
        raise ValueError(f"{[plane.shape for plane in planes] = } do not fit {pix_fmt}: {sizes}")
    frame = av.VideoFrame(width, height, pix_fmt)
    for (index, step, offset), plane in zip(samples.places, planes, strict=True):
        rows = _rows(frame, index, samples.dtype)
        h, w = plane.shape
        rows[:h, offset::step][:, :w] = plane << samples.shift if samples.shift else plane
    return frame


def convert(planes: tuple[Plane, ...], layout: PlaneLayout, pix_fmt: str, *, to: PlaneLayout) -> av.VideoFrame:
    """Planes of `layout` as a frame of `pix_fmt`, whose numbers mean what `to` says.

    Exact where the layouts hold the same samples; an alpha plane that `pix_fmt` lacks is left out; gray gains
    neutral chroma; all else goes through swscale with the matrices and ranges of the two layouts.
    """
    if layout.has_alpha and not to.has_alpha:
        planes = planes[:-1]
    source = format_of(layout, alpha=layout.has_alpha and to.has_alpha)
    if layout.family == "gray" and to.family == "yuv" and layout.full_range == to.full_range:
        source = f"yuv{_SUBSAMPLINGS[to.chroma_shift]}p" + source.removeprefix("gray")
        neutral = [np.full(s, 1 << (layout.bit_depth - 1), planes[0].dtype) for s in _chroma_sizes(source, planes[0])]
        planes = (planes[0], *neutral)
    if packable(pix_fmt) and canonical_format(pix_fmt)[0] == source:
        return to_av_frame(planes, pix_fmt)
    return to_av_frame(planes, source).reformat(
        format=pix_fmt,
        src_colorspace=_SWS_MATRIX[layout.matrix],
        dst_colorspace=_SWS_MATRIX[to.matrix],
        src_color_range=ColorRange.JPEG if layout.full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if to.full_range else ColorRange.MPEG,
        interpolation=EXACT_SCALING,
    )


def _chroma_sizes(canonical: str, luma: Plane) -> list[tuple[int, int]]:
    height, width = luma.shape
    return _sizes(canonical, width, height)[1:3]
