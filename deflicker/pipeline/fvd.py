"""Fréchet video distance between two folders of videos, or between the overlapping clips of two videos."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from deflicker.core import weights
from deflicker.core.device import choose
from deflicker.core.errors import InputError
from deflicker.core.memory import QUEUED_FRAMES
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.media.color import proxy_of
from deflicker.media.reader import Reader
from deflicker.metrics.frechet import FEW_CLIPS, TOO_FEW_CLIPS, FeatureSums, frechet_distance
from deflicker.metrics.i3d import CLASSES, I3D, I3D_KINETICS, prepare, stretch
from deflicker.report.model import Fvd

CLIP_FRAMES = 16
"""Frames of a clip, as papers have it."""
_STEP_FRAMES = 8
"""From one clip's first frame to the next one's."""


def fvd(
    real: str | os.PathLike[str],
    generated: str | os.PathLike[str],
    settings: Settings = Settings(),
    *,
    on_progress: OnProgress | None = None,
) -> Fvd:
    """Fréchet distance between I3D's views of two sets of clips, each a folder of videos or one video.

    Every video gives overlapping clips of 16 frames. Raises InputError where a set gives fewer than two clips,
    WeightsError where I3D's weights are not available.
    """
    tell = on_progress or (lambda _: None)
    device = choose(settings.device, settings.precision).torch_device
    tell(Progress("weights", 0, None))
    folder = settings.weights if settings.weights and settings.weights.is_dir() else None
    network = I3D().eval().requires_grad_(False)
    network.load_state_dict(weights.load(I3D_KINETICS, path=folder, offline=settings.offline))
    network.to(device)
    notes: list[str] = []
    sums = [_features(Path(path), network, device, tell, notes) for path in (real, generated)]
    distance = frechet_distance(sums[0].moments(), sums[1].moments())
    counts = [each.count for each in sums]
    return Fvd(
        real=os.fspath(real),
        generated=os.fspath(generated),
        fvd=float(distance),
        real_clips=counts[0],
        generated_clips=counts[1],
        clip_frames=CLIP_FRAMES,
        notes=(*notes, *_remarks(counts)),
    )


def _remarks(counts: list[int]) -> Iterator[str]:
    fewest = min(counts)
    if fewest < TOO_FEW_CLIPS:
        yield f"{fewest} clips are too few for this number to mean anything: below {TOO_FEW_CLIPS} it is mostly bias"
    elif fewest < FEW_CLIPS:
        yield f"{fewest} clips: papers use {FEW_CLIPS}, and the distance falls as clips are added"
    if counts[0] != counts[1]:
        yield "the two sets have different numbers of clips, and so different bias"


def _videos(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))


def _features(path: Path, network: I3D, device: torch.device, tell: OnProgress, notes: list[str]) -> FeatureSums:
    sums = FeatureSums(CLASSES)
    for video in _videos(path):
        try:
            for clip in _clips(video, device):
                with torch.no_grad():
                    sums.add(network(prepare(clip)))
                tell(Progress("scan", sums.count, None))
        except InputError as error:
            if not path.is_dir():
                raise
            notes.append(f"left out: {error}")
    if sums.count < 2:
        raise InputError(f"{path} gives {sums.count} clips of {CLIP_FRAMES} frames: at least two are needed")
    return sums


def _clips(video: Path, device: torch.device) -> Iterator[Tensor]:
    """Overlapping clips `[16, 3, 224, 224]` of a video, in [0, 1]."""
    with Reader(video) as reader, closing(prefetch(reader.frames(), QUEUED_FRAMES)) as frames:
        window: deque[Tensor] = deque(maxlen=CLIP_FRAMES)
        for number, frame in enumerate(frames):
            height, width = frame.planes[0].shape
            window.append(stretch(proxy_of(frame, reader.info.layout, (height, width), device)[None])[0])
            if len(window) == CLIP_FRAMES and (number + 1 - CLIP_FRAMES) % _STEP_FRAMES == 0:
                yield torch.stack(list(window))
