"""Every kind that people report, with its generator and its criteria.

The bounds were set by hand: a near miss says little, a number that is worse than the input's says a lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import detail, held, places, pumps, windows
from . import measures as m
from .case import Case, Make
from .criteria import NO_HARM, OVERLAY, REST_UNCHANGED, Criterion, at_least, at_most, flicker_left, gain


@dataclass(frozen=True)
class Kind:
    """One kind of flicker."""

    make: Make
    criteria: Sequence[Criterion]
    """Beside those of every kind (`NO_HARM`)."""
    options: tuple[str, ...] = ()
    """The product's, with which the kind is run."""
    untagged: bool = False
    """Stored as 4:2:0 without colour tags, instead of as R'G'B'."""

    def all_criteria(self) -> tuple[Criterion, ...]:
        return (*NO_HARM, *self.criteria)

    def case(self, clean: Tensor, seed: int, strength: float) -> Case:
        """The case of a clean clip `[T, 3, H, W]` R'G'B' in [0, 1]. The same seed gives the same case."""
        return self.make(clean, torch.Generator().manual_seed(seed), strength)


def _alike(makes: dict[str, Make], criteria: Sequence[Criterion]) -> dict[str, Kind]:
    """Kinds by name that are right by the same criteria."""
    return {name: Kind(make, criteria) for name, make in makes.items()}


KINDS: dict[str, Kind] = {
    "ramp-steps": Kind(
        windows.ramp_steps,
        [
            at_most("greatest step, stops", m.greatest_step_stops, 0.1),
            at_most("ramp off, stops", m.ramp_error_stops, 0.15),
        ],
    ),
    "overlay": Kind(places.overlay, [*OVERLAY, flicker_left(0.35), gain(4)]),
    "letterbox": Kind(
        places.letterbox,
        [
            at_most("bars, levels", m.bars_worst, 0),
            at_most("subtitle moves, levels", m.overlay_moves, 1),
            at_most("edge rows worse by, levels", m.edge_rows_excess, 1),
            flicker_left(0.3),
        ],
    ),
    "half": Kind(
        places.half,
        [
            at_least("gain of the part, dB", m.part_gain_db, 4),
            at_most("change of the steady part, levels", m.steady_part_change, 0.5),
            at_most("flicker put into the steady part, levels", m.steady_part_flicker, 0.15),
        ],
    ),
    "tiles": Kind(places.tiles, [flicker_left(0.45), gain(3)]),
    "lingering": Kind(places.lingering, [flicker_left(0.5)]),
    "alternate": Kind(
        pumps.alternate,
        [
            at_most("alternation of chroma left", m.alternation_left, 0.15),
            at_least("sharpness of right frames", m.marked_sharpness, 0.97),
            flicker_left(0.6),
        ],
    ),
    "cuts": Kind(held.cuts, [at_least("worst shot, dB", m.worst_shot_gain_db, -0.2)]),
    "flashes": Kind(
        pumps.flashes,
        [
            at_most("flash off by a part of", m.flash_error, 0.2),
            at_most("other flicker left", m.flicker_left_between, 0.3),
        ],
        options=("--keep-flashes",),
    ),
    "cross-fades": Kind(
        windows.cross_fades,
        [at_most("windows apart, levels", m.marked_spread, 3), at_most("chroma error left", m.chroma_error_left, 0.5)],
    ),
    "saturation-stairs": Kind(
        windows.saturation_stairs,
        [
            at_most("saturation of the last window off by", m.saturation_drift, 0.06),
            at_most("windows' luma off, levels", m.worst_marked_level, 2.5),
        ],
    ),
    **_alike(
        {"first-frame": windows.first_frame, "first-frames": windows.first_frames},
        [
            at_most("first frames' luma off, levels", m.worst_marked_level, 1.5),
            at_most("first frames' chroma error left", m.marked_chroma_left, 0.5),
            REST_UNCHANGED,
        ],
    ),
    "last-frames": Kind(
        windows.last_frames,
        [at_most("last frames' luma off, levels", m.worst_marked_level, 1.5), REST_UNCHANGED],
    ),
    **_alike(
        {"saturation": pumps.saturation, "hue": pumps.hue},
        [
            at_most("chroma error left", m.chroma_error_left, 0.5),
            at_most("chroma flicker left", m.chroma_flicker_left, 0.4),
        ],
    ),
    "contrast": Kind(pumps.contrast, [flicker_left(0.35), gain(4)]),
    "bands": Kind(pumps.bands, [flicker_left(0.4), gain(3)]),
    "slow-bands": Kind(pumps.slow_bands, [at_most("error of rows left", m.row_error_left, 0.5), gain(3)]),
    "sharp-frames": Kind(
        detail.sharp_frames,
        [
            at_most("pulse of sharpness left", m.sharpness_pulse_left, 0.6),
            at_least("sharpness of usual frames", m.marked_sharpness, 0.97),
        ],
    ),
    **_alike(
        {"soft-frames": detail.soft_frames, "key-frames": detail.key_frames, "sharpness-step": detail.sharpness_step},
        [
            at_most("pulse of sharpness left", m.sharpness_pulse_left, 0.6),
            at_least("sharpness of sharp frames", m.marked_sharpness, 0.97),
        ],
    ),
    "drawings": Kind(
        held.drawings,
        [at_most("held frames apart, levels", m.held_difference, 0.5), flicker_left(0.3), gain(4)],
    ),
    "pulldown": Kind(
        held.pulldown,
        [at_most("tone of held frames apart, levels", m.held_tone_difference, 0.5), flicker_left(0.35), gain(3)],
    ),
    "jumps": Kind(pumps.jumps, [flicker_left(0.2), gain(6)]),
    "small": Kind(pumps.small, [flicker_left(0.5), gain(3)], untagged=True),
}
