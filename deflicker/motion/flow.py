"""Optical flow between frames, by RAFT, on frames whose flicker is divided out first.

RAFT: Teed & Deng, ECCV 2020 (arXiv:2003.12039). A frame's features are computed once however many pairs it is in, both
directions share one correlation matmul and one update loop, what does not change between updates is computed once, and
only the last one is upsampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.core.device import allowed_cores
from deflicker.motion.raft.network import LEVELS, Raft
from deflicker.motion.warp import resize_flow

T = TypeVar("T")
U = TypeVar("U")

MIN_SIDE_PX = 128
"""The longer side at which the network sees a frame, at least."""
SHORTEST_SIDE_PX = 96
"""The shorter one: 12 cells, of which RAFT's four pyramid levels leave one. With fewer, small clean videos begin to be
touched; more costs time and gains nothing."""
LOCAL_MEAN_PART = 65 / 480
"""Width of the local mean at half height, as a part of the frame's longer side."""


@dataclass(frozen=True)
class BatchLimits:
    """How much is computed at once."""

    frames: int
    """Frames whose features are computed together; a CPU is quicker with few."""
    correlation_bytes: int
    """Bound of the correlation volumes held at once; their size is quadratic in the pixels. On a CPU, about what its
    cache holds: a larger batch is slower."""


LIMITS = {"cpu": BatchLimits(1, 8 << 20), "gpu": BatchLimits(16, 1 << 30)}


@stored
@dataclass(frozen=True)
class Features:
    """What RAFT knows of one frame, on cells of 8 px of the padded frame."""

    matching: Tensor
    """[C, h, w], compared between frames."""
    hidden: Tensor
    """[Ch, h, w], start of the recurrent state."""
    context: Tensor
    """[Cc, h, w], what each update takes from it; see `RecurrentUpdate.prepare`."""
    size_px: tuple[int, int]
    """Height and width of the frame."""


class FlowEstimator:
    """RAFT with its weights on a device, ready to run."""

    def __init__(
        self,
        state_dict: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        updates: int = 12,
        workers: int = 1,
        limits: BatchLimits | None = None,
    ) -> None:
        """`state_dict`: the weights of RAFT, small or large, under torchvision's names; ValueError for others.

        `dtype`: of the convolutions; coordinates, correlations and flow stay float32. `updates`: recurrent updates, at
        least 1. `workers`: threads that take frames and pairs side by side, which keeps CPU cores busier than several
        threads for each operation do. `limits`: None for those of the device.
        """
        if updates < 1:
            raise ValueError(f"at least one update: {updates = }")
        self._raft = Raft(state_dict, device=device, dtype=dtype)
        self._device, self._dtype, self._updates = torch.device(device), dtype, updates
        self._limits = limits or LIMITS["cpu" if self._device.type == "cpu" else "gpu"]
        self._workers = workers
        self._cores = allowed_cores()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="deflicker-flow") if workers > 1 else None

    def features(self, frames: Tensor) -> list[Features]:
        """Return what flow needs of each frame.

        `frames`: [B, 3, H, W] R'G'B' in [0, 1], of any size and dtype.
        """
        if frames.ndim != 4 or frames.shape[1] != 3:
            raise ValueError(f"frames are [B, 3, H, W]: {frames.shape = }")
        parts = self._each(self._features, torch.split(frames, self._limits.frames))
        return [one for part in parts for one in part]

    def flow(self, first: Sequence[Features], second: Sequence[Features]) -> tuple[Tensor, Tensor]:
        """Return the flow first → second and second → first of each pair.

        Both are [B, 2, H, W] float32 (dx, dy) in pixels of the frames: the pixel at x in `first` is at x + flow in
        `second`. All frames have one size.
        """
        if len(first) != len(second) or not first or len({one.size_px for one in (*first, *second)}) > 1:
            sizes = [one.size_px for one in first], [one.size_px for one in second]
            raise ValueError(f"as many first frames as second, at least one, all of one size: {sizes = }")
        cells = first[0].matching[0].numel()
        # Both directions in float32, and a third more for the coarser levels.
        most = max(1, self._limits.correlation_bytes // (cells * cells * 4 * 2 * 4 // 3))
        batch = min(most, -(-len(first) // self._workers))
        starts = range(0, len(first), batch)
        parts = self._each(lambda i: self._flow(first[i : i + batch], second[i : i + batch]), starts)
        forward, backward = zip(*parts, strict=True)
        return torch.cat(forward), torch.cat(backward)

    def _each(self, work: Callable[[T], U], pieces: Iterable[T]) -> list[U]:
        """`work` on each piece, in order; by all workers where an operation of this thread leaves them cores."""
        room = torch.get_num_threads() * self._workers <= self._cores
        return list(self._pool.map(work, pieces) if self._pool and room else map(work, pieces))

    @torch.no_grad()  # which holds for one thread only
    def _features(self, frames: Tensor) -> list[Features]:
        size_px = frames.shape[-2], frames.shape[-1]
        inputs = even_light(frames.to(self._device, torch.float32)) * 2 - 1
        if (enlarged_px := _enlarged(*size_px)) != size_px:
            inputs = F.interpolate(inputs, enlarged_px, mode="bicubic", align_corners=False)
        inputs = F.pad(inputs, _padding(*enlarged_px), mode="replicate")
        inputs = inputs.to(self._dtype, memory_format=torch.channels_last)
        matching = self._raft.matching(inputs)
        hidden, context = self._raft.context(inputs).tensor_split([self._raft.hidden_channels], dim=1)
        hidden, context = torch.tanh(hidden), self._raft.recur.prepare(torch.relu(context))
        return [Features(*parts, size_px) for parts in zip(matching, hidden, context, strict=True)]

    @torch.no_grad()
    def _flow(self, first: Sequence[Features], second: Sequence[Features]) -> tuple[Tensor, Tensor]:
        matching = [torch.stack([one.matching for one in frames]) for frames in (first, second)]
        pyramid = _correlation(*matching, radius=self._raft.radius)
        both = [*first, *second]
        hidden = torch.stack([one.hidden for one in both]).contiguous(memory_format=torch.channels_last)
        context = torch.stack([one.context for one in both]).contiguous(memory_format=torch.channels_last)
        height, width = hidden.shape[-2:]
        start = _grid(height, width, self._device)
        flow = torch.zeros(len(both), 2, height, width, device=self._device)
        for _ in range(self._updates):
            correlation = _look_up(pyramid, start + flow).to(self._dtype)
            motion = self._raft.motion(flow.to(self._dtype), correlation)
            hidden = self._raft.recur(hidden, context, motion)
            flow = flow + self._raft.step(hidden).float()
        flow = _fit(_upsample(flow, self._raft.upsampling(hidden)), first[0].size_px)
        forward, backward = flow.chunk(2)
        return forward, backward


def even_light(frames: Tensor) -> Tensor:
    """Divide frames by their local mean, so that flicker of brightness is not seen as motion.

    `frames`: [B, 3, H, W] in [0, 1]. The same shape and range comes back, 0.4 being the local mean. All channels are
    divided by the same number, so colours stay and only flicker of brightness goes.
    """
    height_px, width_px = frames.shape[-2:]
    # On cells of 4 px: a mean this wide needs no more. (Adaptive pooling cannot do every size on Apple GPUs.)
    cells = F.avg_pool2d(frames.mean(1, keepdim=True), 4, ceil_mode=True)
    radius = round(max(height_px, width_px) * LOCAL_MEAN_PART / 4) // 2
    for _ in range(2):  # twice a box is a tent: no edge of the window moves along with the frame
        cells = F.avg_pool2d(cells, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)
    mean = F.interpolate(cells, scale_factor=4, mode="bilinear", align_corners=False)[..., :height_px, :width_px]
    return (0.4 * frames / (mean + 0.02)).clamp(0, 1)


def _enlarged(height_px: int, width_px: int) -> tuple[int, int]:
    """The size at which the network sees a frame: its own, but the longer side at least MIN_SIDE_PX.

    Measured on crops of 32 px, motion is found 4 to 8 times more precisely than by padding alone; of 96 px, the same.
    """
    factor = max(1.0, MIN_SIDE_PX / max(height_px, width_px))
    return round(height_px * factor) or 1, round(width_px * factor) or 1


def _padding(height_px: int, width_px: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom padding to a multiple of 8 px of at least SHORTEST_SIDE_PX."""
    x, y = (max(SHORTEST_SIDE_PX, -(-side // 8) * 8) - side for side in (width_px, height_px))
    return x // 2, x - x // 2, y // 2, y - y // 2


def _fit(flow_px: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Undo padding and enlargement: the flow of frames of this size, in their own pixels."""
    height_px, width_px = _enlarged(*size_px)
    left, _, top, _ = _padding(height_px, width_px)
    flow_px = flow_px[..., top : top + height_px, left : left + width_px]
    return flow_px if (height_px, width_px) == size_px else resize_flow(flow_px, size_px, antialias=True)


def _grid(height: int, width: int, device: torch.device) -> Tensor:
    """[1, 2, h, w] float32: x and y of each cell."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([x, y])[None].float()


@dataclass(frozen=True)
class _Level:
    """One level of the correlation pyramid."""

    volume: Tensor
    """[2 B h w, 1, h', w'] float32: each cell's likeness to the cells of the other frame."""
    scale: Tensor
    """[2]: a place in cells of the finest level times this is one in grid_sample's coordinates, but for the offset."""
    window: Tensor
    """[2 radius + 1, 2 radius + 1, 2]: the cells around a place, and the offset, in grid_sample's coordinates."""


def _correlation(first: Tensor, second: Tensor, *, radius: int) -> list[_Level]:
    """Compare every cell with every cell of the other frame, both ways. `first`, `second`: [B, C, h, w]."""
    height, width = first.shape[-2:]
    # RAFT divides the products by √C; half of that on each side keeps them in the range of fp16.
    first, second = (one.flatten(2) * one.shape[1] ** -0.25 for one in (first, second))
    volume = (first.transpose(1, 2) @ second).float()
    # The way back is the same products, transposed.
    volume = torch.cat([volume, volume.transpose(1, 2)]).reshape(-1, 1, height, width)
    cells = torch.arange(-radius, radius + 1, device=first.device, dtype=torch.float32)
    # x varies slowest: so the weights were trained.
    around = torch.stack(torch.meshgrid(cells, cells, indexing="ij"), dim=-1)
    pyramid = []
    for level in range(LEVELS):
        # grid_sample with its corners aligned knows no distances along a side of one cell; outside, all is 0 anyway.
        volume = F.pad(volume, [max(0, 2 - side) * end for side in volume.shape[:1:-1] for end in (0, 1)])
        unit = torch.stack([torch.full_like(cells[0], 2 / (side - 1)) for side in volume.shape[:1:-1]])
        pyramid.append(_Level(volume, unit / 2**level, around * unit - 1))
        volume = F.avg_pool2d(volume, 2)
    return pyramid


def _look_up(pyramid: Sequence[_Level], places: Tensor) -> Tensor:
    """Return each level's values around the places, [B, levels · (2 radius + 1)², h, w].

    `places`: [B, 2, h, w], (x, y) in cells of the finest level. Bilinear; outside the frame the likeness is 0.
    """
    batch, _, height, width = places.shape
    places = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = [F.grid_sample(one.volume, places * one.scale + one.window, align_corners=True) for one in pyramid]
    return torch.cat([one.reshape(batch, height, width, -1) for one in found], dim=-1).permute(0, 3, 1, 2)


def _upsample(flow: Tensor, weights: Tensor | None) -> Tensor:
    """Return the flow of cells, [B, 2, h, w], as one of pixels, [B, 2, 8 h, 8 w].

    `weights`: [B, 9 · 8 · 8, h, w], logits of the convex combination of 3 × 3 cells that each pixel takes (RAFT's
    appendix B), or None for bilinear interpolation (the small network).
    """
    batch, _, height, width = flow.shape
    if weights is None:
        return 8 * F.interpolate(flow, scale_factor=8, mode="bilinear", align_corners=True)
    weights = weights.float().reshape(batch, 1, 9, 8, 8, height, width).softmax(2)
    neighbours = F.unfold(8 * flow, 3, padding=1).reshape(batch, 2, 9, 1, 1, height, width)
    fine = (weights * neighbours).sum(2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, 8 * height, 8 * width)
