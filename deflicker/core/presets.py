"""The named presets, and what each stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["fast", "balanced", "quality"]


Holds = Literal["never", "redrawn", "always"]
FlowNetwork = Literal["raft_small", "raft_large"]


@dataclass(frozen=True)
class Preset:
    """What a preset name stands for."""

    flow_network: FlowNetwork
    flow_max_side_px: int
    """Longer side of the proxy on which motion and tone are measured, in pixels."""
    flow_updates: int
    """Recurrent updates of RAFT."""
    lags: tuple[int, ...]
    """Frame distances along which tone is compared."""
    history_frames: int
    """Already corrected frames a window starts with; their correction is fixed."""
    core_frames: int
    """Frames whose correction a window decides."""
    lookahead_frames: int
    """Frames after the core that a window sees but does not decide."""
    iterations: tuple[int, ...]
    """Conjugate gradient steps of each reweighting round of the tone solver."""
    texture_reach: int
    """Neighbours on each side with which texture is compared; 0 leaves texture alone."""
    texture_max_side_px: int
    """Longer side of the frames whose texture is compared; larger ones keep their finest detail as it is."""

    latents: bool = True
    """Whether texture, where it is looked at, may be steadied in latents, which takes memory of its own."""
    holds: Holds = "never"
    """In which shots texture is held to what was drawn before."""

    @property
    def window_frames(self) -> int:
        return self.history_frames + self.core_frames + self.lookahead_frames


PRESETS: dict[PresetName, Preset] = {
    "fast": Preset("raft_large", 192, 2, (1, 2, 4), 12, 16, 12, (20, 15), 0, 0),
    "balanced": Preset("raft_large", 256, 4, (1, 2, 4), 16, 16, 16, (30, 25, 25, 20), 2, 960),
    "quality": Preset("raft_large", 320, 8, (1, 2, 4, 8), 24, 16, 16, (25, 20, 20), 4, 1920),
}
