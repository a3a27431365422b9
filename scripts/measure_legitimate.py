#!/usr/bin/env python
"""How much of the change of light that is meant a correction leaves: `scripts/measure_legitimate.py [CLIP ...]`.

Prints a table of the made scenes (`bench/legitimate.py`) and of the clips given: the energy of the change from frame
to frame before, and what part of it is there after, without and with `--keep-flashes`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from bench.legitimate import BOUND, SCENES, temporal_energy
from torch import Tensor

from deflicker import Settings, deflicker_frames
from deflicker.media.color import as_tensors, normalise, to_rgb
from deflicker.media.reader import Reader

_CLIP_FRAMES = 60


def from_clip(path: Path) -> Tensor:
    """The first frames of a clip, `[T, 3, H, W]` R'G'B' in [0, 1]."""
    frames = []
    with Reader(path) as reader:
        layout = reader.info.layout
        for frame in reader.frames():
            planes = normalise(as_tensors(frame.planes, layout, torch.device("cpu")), layout)
            frames.append(to_rgb(planes, layout, frame.planes[0].shape).clamp(0, 1))
            if len(frames) == _CLIP_FRAMES:
                break
    return torch.stack(frames)


def left(frames: Tensor, *, keep_flashes: bool) -> float:
    """Part of the energy that is there after a correction."""
    pictures = [np.ascontiguousarray((f * 255).round().byte().permute(1, 2, 0).numpy()) for f in frames]
    settings = Settings(keep_flashes=keep_flashes)
    after = np.stack(list(deflicker_frames(pictures, settings=settings)))
    before = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    return temporal_energy(torch.from_numpy(after).permute(0, 3, 1, 2) / 255) / temporal_energy(before)


def main() -> None:
    scenes = {name: make for name, (make, _) in SCENES.items()}
    scenes |= {Path(name).stem: lambda name=name: from_clip(Path(name)) for name in sys.argv[1:]}
    print("| scene | energy of change | left | left with `--keep-flashes` |\n|---|---|---|---|")
    changes = []
    for name, make in scenes.items():
        frames = make()
        plain, kept = (left(frames, keep_flashes=keep) for keep in (False, True))
        print(f"| {name} | {temporal_energy(frames):.1f} | {plain:.3f} | {kept:.3f} |", flush=True)
        changes.append(abs(1 - (kept if name in SCENES and SCENES[name][1] else plain)))
    print(f"\nmean change {sum(changes) / len(changes):.3f}; the bound is {BOUND}")


if __name__ == "__main__":
    main()
