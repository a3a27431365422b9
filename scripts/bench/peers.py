"""Other methods on the same input: `[T, 3, H, W]` R'G'B' in [0, 1] goes in and comes out, as many frames as went in."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import torch
from torch import Tensor

from deflicker.media.color import chroma_range, luma_range, normalise, rgb_from_ycc, to_rgb
from deflicker.media.frame import PlaneLayout
from deflicker.motion.warp import compose, warp

from .motion import Motion

NeedsMotion = Callable[[], Motion]
"""Gives the motion of the flickering clip, estimated when first asked for."""
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
        graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
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


def bonneel(flickering: Tensor, motion: NeedsMotion) -> Tensor:
    """Bonneel et al., "Blind Video Temporal Consistency", SIGGRAPH Asia 2015, with RAFT's flow and no guide.

    (L + Λ) O_t = L P_t + Λ W(O_{t−1}), Λ = exp(−|P_t − W P_{t−1}|² / (2 · 0.05²)), 0 within 2 px of the border and
    where there is no match: gradients come from the frame, levels from the past. λ = 1 as in the authors' code.
    """
    flow = motion()
    result = [flickering[0]]
    border = torch.zeros(1, 1, *flickering.shape[-2:])
    border[..., 2:-2, 2:-2] = 1
    for t in range(1, len(flickering)):
        now, past = flickering[t : t + 1], flickering[t - 1 : t]
        back_px = flow.back_px[t - 1 : t]
        change = (now - warp(past, back_px)).square().sum(1, keepdim=True)
        weight = (-change / (2 * 0.05**2)).exp() * border * flow.back_visible[t - 1 : t]
        result.append(screened_poisson(now, warp(result[-1][None], back_px), weight)[0])
    return torch.stack(result).clamp(0, 1)


def laplace(image: Tensor) -> Tensor:
    """L, the graph Laplacian of the pixel grid (positive), `[B, C, H, W]`; nothing flows over the border."""
    x, y = image.diff(dim=-1), image.diff(dim=-2)
    out = torch.zeros_like(image)
    out[..., :-1] -= x
    out[..., 1:] += x
    out[..., :-1, :] -= y
    out[..., 1:, :] += y
    return out


def screened_poisson(frame: Tensor, past: Tensor, weight: Tensor, iterations: int = 200) -> Tensor:
    """Solve (L + Λ) O = L P + Λ Q by conjugate gradients with Jacobi's preconditioner, from O = P.

    frame P, past Q `[1, C, H, W]`, weight Λ `[1, 1, H, W]`. A whisper of weight keeps it solvable where Λ vanishes.
    """
    held = weight + 1e-6
    right = laplace(frame) + weight * past + 1e-6 * frame
    diagonal = laplace_diagonal(frame) + held
    solution = frame.clone()
    residual = right - laplace(solution) - held * solution
    ready = residual / diagonal
    direction, energy = ready, (residual * ready).sum()
    start = energy
    for _ in range(iterations):
        if energy <= 1e-8 * start or energy <= 1e-20:
            break
        image = laplace(direction) + held * direction
        length = energy / (direction * image).sum()
        solution = solution + length * direction
        residual = residual - length * image
        ready = residual / diagonal
        energy, before = (residual * ready).sum(), energy
        direction = ready + energy / before * direction
    return solution


def laplace_diagonal(image: Tensor) -> Tensor:
    """Number of neighbours of each pixel, `[1, 1, H, W]`."""
    count = torch.full((1, 1, *image.shape[-2:]), 4.0)
    for edge in (count[..., 0], count[..., -1], count[..., 0, :], count[..., -1, :]):
        edge -= 1
    return count


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


PEERS: dict[str, Peer] = {
    "ffmpeg_deflicker": ffmpeg("deflicker"),
    "atadenoise": ffmpeg("atadenoise"),
    "ste": scale_time_equalisation,
    "bonneel": bonneel,
    "reduceflicker": reduce_flicker,
    "destrobe": destrobe,
}


def missing(name: str) -> str | None:
    """Why a peer cannot run here, or None."""
    if name == "destrobe" and importlib.util.find_spec("destrobe") is None:
        return "destrobe is not installed"
    return None
