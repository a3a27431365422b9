"""Training samples: crops of aligned, flickering frames, some pictures in a row, and what they should look like.

Alignment is the product's own, flow of the flickering frames refined by Lucas–Kanade (`correction.texture.links`),
so that its errors are in the data. A crop follows the motion from picture to picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from deflicker.correction.apply import texture_size
from deflicker.correction.texture.links import Link, View, walked
from deflicker.media.color import proxy_of, proxy_size
from deflicker.media.reader import Reader
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.warp import warp

REACH = 4
"""Aligned neighbours on each side."""
ROWS = (0, *range(1, REACH + 1), *range(-1, -REACH - 1, -1))
"""Distances in time of the rows of a stack."""
CROP_PX = 72
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Sample:
    """One crop of R pictures in a row, the last of which is the latest; everything as bytes but the flow."""

    stack: Tensor
    """`[R, 9, 3, S, S]`: each picture and its aligned neighbours, in the order of ROWS."""
    visible: Tensor
    """`[R, 9, S, S]`: 0 outside the clip."""
    error: Tensor
    """`[R, S, S]`: how wrong motion may be, 127 for one pixel."""
    truth: Tensor
    """`[R, 3, S, S]`."""
    flow_px: Tensor
    """`[R - 1, 2, S, S]` float16: from each crop but the first to the one before."""
    flow_visible: Tensor
    """`[R - 1, S, S]`."""


def read(path: Path, start: int, count: int, side_px: int, every: int = 1) -> Tensor | None:
    """`count` frames of a video from `start` on, `[T, 3, H, W]` R'G'B' in multiples of 1/255.

    None where it ends first.
    """
    frames: list[Tensor] = []
    with Reader(path) as reader:
        size = texture_size(reader.info.height, reader.info.width, side_px)
        for number, frame in enumerate(reader.frames()):
            if number >= start and (number - start) % every == 0:
                frames.append(proxy_of(frame, reader.info.layout, size, CPU))
            if len(frames) == count:
                break
    return (torch.stack(frames) * 255).round() / 255 if len(frames) == count else None


class Aligned:
    """A flickering clip `[T, 3, H, W]`, its motion known."""

    def __init__(self, clip: Tensor, flow: FlowEstimator, proxy_px: int) -> None:
        self.clip = clip
        height, width = clip.shape[-2:]
        proxies = F.interpolate(clip, proxy_size(height, width, proxy_px), mode="area")
        features = flow.features(proxies)
        views = [View.of(frame) for frame in clip]
        self.links: list[Link] = []
        for at in range(1, len(clip)):
            there, back = flow.flow(features[at - 1 : at], features[at : at + 1])
            self.links.append(Link.between(views[at - 1], views[at], there[0], back[0]))

    def link(self, at: int) -> Link:
        """From picture `at - 1` to `at`."""
        return self.links[at - 1]

    def stack(self, at: int) -> tuple[Tensor, Tensor, Tensor]:
        """A picture and its neighbours `[9, 3, H, W]`, what is visible `[9, H, W]`, the flow's error `[H, W]`."""
        last = len(self.clip) - 1
        ahead = walked(self.link(i) for i in range(at + 1, min(at + REACH, last) + 1))
        behind = walked(self.link(i).reversed() for i in range(at, max(at - REACH, 0), -1))
        frames, visible = [self.clip[at]], [torch.ones(self.clip.shape[-2:])]
        for sign, ways in ((1, ahead), (-1, behind)):
            for distance in range(1, REACH + 1):
                if distance > len(ways):
                    frames.append(self.clip[at])
                    visible.append(torch.zeros_like(visible[0]))
                    continue
                flow_px, seen = ways[distance - 1]
                there = self.clip[at + sign * distance][None]
                frames.append(warp(there, flow_px, "bicubic")[0])
                visible.append(seen[0, 0])
        errors = [self.link(at + 1).there_error_px] if at < last else []
        errors += [self.link(at).back_error_px] if at > 0 else []
        return torch.stack(frames), torch.stack(visible), torch.stack(errors).mean(0)[0, 0]


def samples_of(aligned: Aligned, truth: Tensor, pictures: range, count: int, rng: Generator) -> list[Sample]:
    """`count` crops of some pictures in a row."""
    stacks = [aligned.stack(at) for at in pictures]
    found = []
    for _ in range(count):
        places = _places(aligned, pictures, truth[pictures[-1]], rng)
        flows, seen = zip(
            *(_between(aligned, at, places[row - 1], places[row]) for row, at in enumerate(pictures) if row),
            strict=True,
        )
        cut = [tuple(_cut(part, place) for part in stack) for stack, place in zip(stacks, places, strict=True)]
        frames, visible, error = (torch.stack(parts) for parts in zip(*cut, strict=True))
        wanted = torch.stack([_cut(truth[at], place) for at, place in zip(pictures, places, strict=True)])
        found.append(
            Sample(
                _bytes(frames), _bytes(visible), _bytes(error.clamp(max=2) / 2), _bytes(wanted),
                torch.stack(flows).half(), _bytes(torch.stack(seen)),
            )
        )  # fmt: skip
    return found


def _places(aligned: Aligned, pictures: range, picture: Tensor, rng: Generator) -> list[tuple[int, int]]:
    """Top and left of the crop in each picture, following what the last one shows; busy places are taken more often."""
    height, width = picture.shape[-2:]
    best, most = (0, 0), -1.0
    for _ in range(int(torch.randint(1, 4, (), generator=rng))):
        top = int(torch.randint(height - CROP_PX + 1, (), generator=rng))
        left = int(torch.randint(width - CROP_PX + 1, (), generator=rng))
        busy = float(_cut(picture, (top, left)).std((-2, -1)).mean())
        if busy > most:
            best, most = (top, left), busy
    places = [best]
    for at in reversed(pictures[1:]):
        top, left = places[-1]
        dx, dy = _cut(aligned.link(at).back_px[0], (top, left)).flatten(1).median(1).values.round().int().tolist()
        places.append((min(max(0, top + dy), height - CROP_PX), min(max(0, left + dx), width - CROP_PX)))
    return places[::-1]


def _between(aligned: Aligned, at: int, before: tuple[int, int], here: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Flow from the crop of picture `at` to the crop of the one before, and where it can be seen there."""
    link = aligned.link(at)
    moved = torch.tensor([before[1] - here[1], before[0] - here[0]]).view(2, 1, 1)
    return _cut(link.back_px[0], here) - moved, _cut(link.back_visible[0, 0], here)


def _cut(image: Tensor, place: tuple[int, int]) -> Tensor:
    return image[..., place[0] : place[0] + CROP_PX, place[1] : place[1] + CROP_PX]


def _bytes(values: Tensor) -> Tensor:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def store(path: Path, samples: Sequence[Sample]) -> None:
    """Write samples into one file, uncompressed."""
    parts = {name: torch.stack([getattr(one, name) for one in samples]).numpy() for name in vars(samples[0])}
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, **parts)
    path.with_suffix(".part").rename(path)


def stored(paths: Sequence[Path]) -> Sample:
    """All samples of several files, stacked along a first axis."""
    parts: dict[str, list[np.ndarray]] = {}
    for path in paths:
        with np.load(path) as found:
            for name in found.files:
                parts.setdefault(name, []).append(found[name])
    return Sample(**{name: torch.from_numpy(np.concatenate(each)) for name, each in parts.items()})
