"""The correction, in one screen: what is seen, what is decided, what is carried on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from deflicker.correction.apply import Correction, apply_gain, upsample_cells
from deflicker.correction.colour_mix import apply_mix
from deflicker.correction.curve import apply_curve
from deflicker.correction.tone.colour_flicker import Mixes, solve_mixes
from deflicker.correction.tone.colour_or_contrast import mixes_beside_curves
from deflicker.correction.tone.gain_field import solve_gains
from deflicker.correction.tone.highlights import highlight_light
from deflicker.correction.tone.observations import CLIPPED, observe
from deflicker.correction.tone.reference_anchor import Anchors, find_drift
from deflicker.correction.tone.rolling_shutter import find_waves
from deflicker.correction.tone.seam_correction import Seams, find_seams
from deflicker.correction.tone.state import State, Window, join
from deflicker.correction.tone.static_check import is_global, rollback_gain
from deflicker.correction.tone.steady_part import find_part
from deflicker.correction.tone.tone_curve import solve_curve
from deflicker.correction.tone.tone_options import CurveOptions, ToneOptions
from deflicker.correction.tone.tone_problem import Energy
from deflicker.metrics.flicker import FlickerSums, flicker_sums
from deflicker.motion.correspondence import Match, build_matches
from deflicker.motion.filters import CELL_PX, cell_means

_ABSURD = math.log(256)
"""Log gain that takes the darkest code value of 8 bits to white."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What a window decided about its core."""

    log_gain: Tensor
    """`[core, 3, h, w]` on cells of the proxy, or on its pixels where a part with hard edges flickers; exactly 0 where
    nothing does."""
    curve: Tensor
    """`[core, 3, KNOTS]`: log gain over log level; exactly 0 where no curve flickers."""
    mix: Tensor
    """`[core, 3, 2]` of `correction.colour_mix`; exactly 0 where colours do not flicker."""
    highlights: Tensor | None
    """`[core, 3, H, W]` R'G'B' that clipped samples are kept at; None where nothing is clipped."""
    before: FlickerSums
    after: FlickerSums
    state: State
    """For the shot's next window."""
    energy: Mapping[str, Energy] = field(default_factory=dict)
    """Of what was solved: `losses.tone_energy` of the `curves` and the `gains`, `losses.anchor_energy` of the
    `anchors`; over the whole window."""

    def corrections(self) -> list[Correction | None]:
        """One per frame of the core; None where the frame stays as it is."""
        largest = torch.stack([each.abs().flatten(1).amax(1) for each in (self.curve, self.log_gain, self.mix)])
        curved, touched, mixed = largest.tolist()
        highlights = self.highlights if self.highlights is not None else [None] * len(touched)
        return [
            Correction(gain, kept, curve if bent > 0 else None, mix=mix if hued > 0 else None)
            if moved > 0 or bent > 0 or hued > 0
            else None
            for gain, kept, curve, mix, moved, bent, hued in zip(
                self.log_gain, highlights, self.curve, self.mix, touched, curved, mixed, strict=True
            )
        ]


def solve(window: Window, state: State | None, options: ToneOptions) -> Solution:
    """Decide the correction of a window's core, given what the shot's earlier windows decided (None: nothing yet).

    Colours are mixed back first, then waves over the rows and seams are taken off whole. Then flow-warp consistency,
    temporal smoothness and fidelity are minimised over history, core and look-ahead together, for a tone curve of each
    frame and for the gains of cells; the history's correction is fixed, the look-ahead's is discarded and decided by
    the next window. Last, drift away from the reference is removed as far as the user asks.
    """
    height, width = window.proxies.shape[-2:]
    state = state or State.empty(window, (height // CELL_PX, width // CELL_PX))
    proxies, forward_px, backward_px = join(state, window)
    past, decided = len(state.proxies), len(state.proxies) + window.core

    matches = build_matches(forward_px, backward_px, options.lags)
    original, mixes = proxies, Mixes.none(len(proxies), state.mixes)
    if options.mixes:
        mixes = solve_mixes(proxies, matches, state.mixes)
        mixes = mixes_beside_curves(proxies, matches, mixes, fixed=state.curve, options=options.curve)
    if not mixes.is_zero:
        proxies = apply_mix(proxies, mixes.total)
    steps = {offset: observe(proxies, match) for offset, match in matches.items()}
    rolling = find_waves(steps, len(proxies), state.rolling) if options.rolling else None
    even = proxies if rolling is None else _corrected(proxies, rolling)
    if even is not proxies:
        steps = {offset: observe(even, match) for offset, match in matches.items()}
    seams = Seams.none(len(proxies), state.seams)
    if options.seams:
        seams = find_seams(even, matches, steps, state.seams, gaps=[past + picture for picture in window.gaps])
    known = seams.log_gain if rolling is None else seams.log_gain + rolling
    joined = _corrected(proxies, known)
    curve, curved, curve_energy = _solve_curves(proxies, joined, known, matches, state.curve, options.curve)
    tone, gain_energy = solve_gains(
        torch.where(proxies < CLIPPED, curved, 1.0),  # what was clipped must not pass for a grey that was seen
        matches,
        fixed=state.tone,
        options=options.gains,
        steps=steps if curved is proxies else None,
    )
    corrected = _corrected(curved, tone)
    stable = tone
    if options.static_check and corrected is not joined:
        stable = tone + rollback_gain(joined, corrected)
    if options.parts and curved is proxies and corrected is not joined:
        part = find_part(proxies, matches, steps, stable, fixed=state.tone, options=options.gains)
        if part is not None:
            tone, stable = cell_means(part), part  # what later windows hold on to is what was applied
    done, anchors = _corrected(curved, stable), Anchors.none(len(proxies), state.anchors)
    if options.anchor > 0:
        anchors = _anchors(done, matches, window, state)
        done = _corrected(curved, _sum(stable, options.anchor * anchors.log_gain))

    highlights = None
    if options.highlights and done is not original:
        highlights = highlight_light(original, done, matches, past, decided)
    before = flicker_sums(original, matches, past, decided)
    after = flicker_sums(done, matches, past, decided)
    history = slice(max(0, decided - options.history_frames), decided)
    links = slice(history.start, decided - 1)
    memories = (
        mixes.memory(history),
        rolling if rolling is None else rolling[history],
        seams.memory(history, window.core),
        anchors.memory(history),
    )
    carried = State(original[history], forward_px[links], backward_px[links], tone[history], curve[history], *memories)
    log_gain = _sum(_sum(stable, known), options.anchor * anchors.log_gain)
    energies = {"curves": curve_energy, "gains": gain_energy, "anchors": anchors.energy}
    energy = {name: each for name, each in energies.items() if each is not None}
    core = slice(past, decided)
    return Solution(log_gain[core], curve[core], mixes.total[core], highlights, before, after, carried, energy)


def is_sound(solution: Solution, window: Window) -> bool:
    """Whether a window and its solution are finite and no gain is absurd; one wait for the device.

    NaN in flow alone need not reach the gains: it makes gates shut, and the window would pass for one without flicker.
    """
    gains = torch.stack([each.abs().amax() for each in (solution.log_gain, solution.curve, solution.mix)])
    rest = [each.sum() for each in (window.proxies, window.forward_px, window.backward_px)]
    rest += [sums for each in (solution.before, solution.after) for sums in (each.whole, each.local)]
    if solution.highlights is not None:
        rest.append(solution.highlights.sum())
    return bool((gains < _ABSURD).all() & torch.stack(rest).isfinite().all())


def _solve_curves(
    proxies: Tensor, joined: Tensor, known: Tensor, matches: Mapping[int, Match], fixed: Tensor, options: CurveOptions
) -> tuple[Tensor, Tensor, Energy | None]:
    """Curves `[T, 3, KNOTS]`, none beyond the fixed ones where what flickers is not global; the frames under them, and
    the energy.

    joined: the proxies under the log gain known before.
    """
    curve, energy = solve_curve(joined, matches, fixed=fixed, options=options)
    curved = _curved(proxies, curve, known, joined)
    if curved is joined or not options.shared or is_global(joined, curved):
        return curve, curved, energy
    curve = torch.cat([fixed, torch.zeros_like(curve[len(fixed) :])])
    return curve, _curved(proxies, curve, known, joined), None


def _curved(proxies: Tensor, curve: Tensor, known: Tensor, joined: Tensor) -> Tensor:
    """The frames under curves and the gains known before; `joined` itself where no frame has a curve."""
    return _corrected(apply_curve(proxies, curve).clamp(0, 1), known) if bool(curve.any()) else joined


def _anchors(frames: Tensor, matches: Mapping[int, Match], window: Window, state: State) -> Anchors:
    far = [replace(match, picture=match.picture + len(state.proxies)) for match in window.long_matches]
    return find_drift(frames, matches, far, state.anchors, window.reference)


def _sum(gains: Tensor, cells: Tensor) -> Tensor:
    """Log gains of cells or pixels, and those of cells."""
    if gains.shape != cells.shape:
        cells = upsample_cells(cells, (gains.shape[-2], gains.shape[-1]))
    return gains + cells


def _corrected(frames: Tensor, log_gain: Tensor) -> Tensor:
    """Frames under a log gain of cells or pixels; the same object where that is 0."""
    if not bool(log_gain.any()):
        return frames
    return apply_gain(frames, upsample_cells(log_gain, (frames.shape[-2], frames.shape[-1]))).clamp(0, 1)
