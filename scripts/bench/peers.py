"""Other methods on the same input: `[T, 3, H, W]` R'G'B' in [0, 1] goes in and comes out, as many frames as went in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import torch
from torch import Tensor

from deflicker.media.color import chroma_range, luma_range, normalise, rgb_from_ycc, to_rgb
from deflicker.media.frame import PlaneLayout
from deflicker.motion.warp import compose, warp

from .bonneel import bonneel, bonneel_flow
from .motion import NeedsMotion

Peer = Callable[[Tensor, NeedsMotion], Tensor]

# --- FFmpeg's filters -------------------------------------------------------------------------------------------------

_YCC = PlaneLayout("yuv", 16, full_range=False, matrix="bt709", chroma_shift=(0, 0), has_alpha=False)
"""What the filters see: 4:4:4 at 16 bits, so that converting there and back costs less than 1/100 of an 8-bit level."""


def to_codes(frames: Tensor) -> Tensor:
    """R'G'B' → limited-range BT.709 Y'CbCr code values of 16 bits, `[T, 3, H, W]`."""
    ycc = torch.einsum("ij,tjhw->tihw", torch.linalg.inv(rgb_from_ycc(_YCC)), frames)
    (black, span), (centre, unit) = luma_range(_YCC), chroma_range(_YCC)
    offset = torch.tensor([black, centre, centre]).view(3, 1, 1)
    return (ycc * torch.tensor([span, unit, unit]).view(3, 1, 1) + offset).round().clamp(0, 65535)


def from_codes(codes: Tensor) -> Tensor:
    """The way back of `to_codes`."""
    size = codes.shape[-2], codes.shape[-1]
    return torch.stack([to_rgb(normalise(list(frame), _YCC), _YCC, size) for frame in codes]).clamp(0, 1)


def ffmpeg(name: str, options: str = "") -> Peer:
    """A video filter of FFmpeg, through PyAV's filter graph."""

    def run(flickering: Tensor, motion: NeedsMotion) -> Tensor:
        height, width = flickering.shape[-2:]
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("yuv444p16le"), time_base=Fraction(1, 24)
        )
        back = graph.add("format", "yuv444p16le")  # some filters know 8 bits alone
        graph.link_nodes(source, graph.add(name, options), back, graph.add("buffersink")).configure()
        found: list[Tensor] = []

        def pull() -> None:
            while True:
                try:
                    picture = graph.vpull()
                except (BlockingIOError, EOFError):
                    return
                found.append(torch.from_numpy(picture.to_ndarray().astype(np.float32)).permute(2, 0, 1))

        for number, codes in enumerate(to_codes(flickering)):
            pixels = np.ascontiguousarray(codes.permute(1, 2, 0).numpy().astype(np.uint16))
            picture = av.VideoFrame.from_ndarray(pixels, format="yuv444p16le")
            picture.pts, picture.time_base = number, Fraction(1, 24)
            graph.vpush(picture)
            pull()
        graph.vpush(None)
        pull()
        return from_codes(torch.stack(found))

    return run


# --- Scale-time equalisation ------------------------------------------------------------------------------------------

STE_RADIUS = 10
STE_SIGMA = 5.0


def scale_time_equalisation(flickering: Tensor, motion: NeedsMotion) -> Tensor:
    """Delon, "Movie and video scale-time equalization", IEEE TIP 2006.

    Each channel's quantile function is averaged over ±10 frames with Gaussian weights, and each frame's levels are
    mapped to the averaged one by a monotone look-up table. The table is exact: the integral of a quantile function is
    piecewise linear between the ranks where levels change, so a level's new value is the mean of the averaged function
    over that level's ranks.
    """
    codes = (flickering * 255).round().to(torch.uint8).numpy()
    out = np.empty(codes.shape, np.float32)
    levels = np.arange(256) / 255
    frames, channels = codes.shape[:2]
    for c in range(channels):
        shares = np.stack([np.bincount(codes[t, c].ravel(), minlength=256) / codes[t, c].size for t in range(frames)])
        ranks = np.concatenate([np.zeros((frames, 1)), shares.cumsum(1)], 1)
        integrals = np.concatenate([np.zeros((frames, 1)), (shares * levels).cumsum(1)], 1)
        for t in range(frames):
            near = np.arange(max(0, t - STE_RADIUS), min(frames, t + STE_RADIUS + 1))
            weights = np.exp(-0.5 * ((near - t) / STE_SIGMA) ** 2)
            averaged = sum(
                w * np.interp(ranks[t], ranks[k], integrals[k])
                for w, k in zip(weights / weights.sum(), near, strict=True)
            )
            table = np.diff(averaged) / np.maximum(shares[t], 1e-12)
            out[t, c] = np.where(shares[t] > 0, table, levels)[codes[t, c]]
    return torch.from_numpy(out).clamp(0, 1)


# --- Along motion -----------------------------------------------------------------------------------------------------


def reduce_flicker(flickering: Tensor, motion: NeedsMotion) -> Tensor:
    """AviSynth's ReduceFlicker (strength 1), its three taps taken along motion instead of in place.

    d = |c − p2|, a = max(c, min(p1, n1) − d), b = min(c, max(p1, n1) + d), result (p1 + 2 c + n1)/4 between b and a:
    only what swings back and forth is averaged. Pixels without a match on either side stay.
    """
    flow = motion()
    result = flickering.clone()
    for t in range(2, len(flickering) - 1):
        now, before, after = flickering[t : t + 1], slice(t - 1, t), slice(t, t + 1)
        back_px, back_visible = flow.back_px[before], flow.back_visible[before]
        far_px, far_visible = compose(
            back_px, back_visible, flow.back_px[t - 2 : t - 1], flow.back_visible[t - 2 : t - 1]
        )
        p1, n1 = warp(flickering[t - 1 : t], back_px), warp(flickering[t + 1 : t + 2], flow.ahead_px[after])
        d = (now - warp(flickering[t - 2 : t - 1], far_px)).abs()
        above = torch.maximum(now, torch.minimum(p1, n1) - d)
        below = torch.minimum(now, torch.maximum(p1, n1) + d)
        mean = torch.maximum(torch.minimum((p1 + 2 * now + n1) / 4, above), below)
        seen = back_visible * flow.ahead_visible[after] * far_visible
        result[t : t + 1] = now + seen * (mean - now)
    return result


# --- destrobe ---------------------------------------------------------------------------------------------------------


def destrobe(flickering: Tensor, motion: NeedsMotion) -> Tensor:
    """destrobe 1.0.0's default method (`median3`), by its own function, where it is installed (`pip install destrobe`).

    The median of three frames in luma, chroma of the middle one. The first and the last frame stay.
    """
    from destrobe.core.filters import median3_filter

    bgr = [np.ascontiguousarray(frame.flip(0).permute(1, 2, 0).numpy()) for frame in flickering]
    result = flickering.clone()
    for t in range(1, len(bgr) - 1):
        done = np.ascontiguousarray(median3_filter(bgr[t - 1 : t + 2]))
        result[t] = torch.from_numpy(done).permute(2, 0, 1).flip(0)
    return result


def at_the_ends(peer: Peer, frames: int) -> Peer:
    """A filter that gives so many frames less at either end, its clip continued there by still frames."""

    def run(flickering: Tensor, motion: NeedsMotion) -> Tensor:
        first, last = (each.expand(frames, -1, -1, -1) for each in (flickering[:1], flickering[-1:]))
        return peer(torch.cat([first, flickering, last]), motion)

    return run


_WIDE = ":".join(f"{plane}a=0.1:{plane}b=0.2" for plane in range(3))
"""Thresholds of atadenoise at which it averages what boils by twenty code values."""
TEXTURE_PEERS: dict[str, Peer] = {
    "atadenoise_wide": ffmpeg("atadenoise", f"s=9:{_WIDE}"),
    "hqdn3d": ffmpeg("hqdn3d"),
    "hqdn3d_strong": ffmpeg("hqdn3d", "8:6:12:9"),
    "tmedian": at_the_ends(ffmpeg("tmedian", "radius=1"), 1),
    "tmedian_2": at_the_ends(ffmpeg("tmedian", "radius=2"), 2),
    "fftdnoiz": ffmpeg("fftdnoiz", "sigma=8:prev=1:next=1"),
    "fftdnoiz_strong": ffmpeg("fftdnoiz", "sigma=20:prev=1:next=1"),
    "nlmeans": ffmpeg("nlmeans", "s=3"),
    "nlmeans_strong": ffmpeg("nlmeans", "s=8"),
}
"""Denoisers of video, for kinds that draw texture anew; they are run where they are named."""
SPATIAL = frozenset({"hqdn3d", "hqdn3d_strong", "fftdnoiz", "fftdnoiz_strong", "nlmeans", "nlmeans_strong"})
"""Peers that blur a still picture, too."""
PEERS: dict[str, Peer] = {
    "ffmpeg_deflicker": ffmpeg("deflicker"),
    "atadenoise": ffmpeg("atadenoise"),
    "ste": scale_time_equalisation,
    "bonneel": bonneel,
    "bonneel_flow": bonneel_flow,
    "reduceflicker": reduce_flicker,
    "destrobe": destrobe,
    **TEXTURE_PEERS,
}
ALONG_MOTION = frozenset({"bonneel", "bonneel_flow", "reduceflicker"})
"""Peers that ask for motion."""


def missing(name: str) -> str | None:
    """Why a peer cannot run here, or None."""
    needed = name.partition("_")[0] if name in TEXTURE_PEERS else None
    if needed is not None and needed not in av.filter.filters_available:
        return f"this FFmpeg is built without {needed}"
    if name == "destrobe":
        try:
            importlib.import_module("destrobe.core.filters")
        except ImportError as error:
            return f"it cannot be imported ({error})"
    return None
