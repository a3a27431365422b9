"""The correction, in one screen: what is seen, what is decided, what is carried on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deflicker.core.presets import Preset
from deflicker.core.settings import Settings
from deflicker.correction.apply import Correction, relight, spread
from deflicker.correction.curve import bend
from deflicker.correction.tone.gain_field import ToneOptions, solve_tone
from deflicker.correction.tone.highlights import highlight_light
from deflicker.correction.tone.observations import CLIPPED, Step, observe
from deflicker.correction.tone.reference_anchor import Anchors, find_drift
from deflicker.correction.tone.seam_correction import Seams, find_seams
from deflicker.correction.tone.state import State, Window, join
from deflicker.correction.tone.static_check import asked_everywhere, taken_back
from deflicker.correction.tone.tone_curve import CurveOptions, solve_curve
from deflicker.metrics.flicker import FlickerSums, flicker_sums
from deflicker.motion.correspondence import Match, build_matches
from deflicker.motion.filters import CELL_PX

_ABSURD = math.log(256)
"""Log gain that takes the darkest code value of 8 bits to white."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What a window decided about its core."""

    log_gain: Tensor
    """`[core, 3, h, w]` on cells of the proxy; exactly 0 where nothing flickers."""
    curve: Tensor
    """`[core, 3, KNOTS]`: log gain over log level; exactly 0 where no curve flickers."""
    highlights: Tensor | None
    """`[core, 3, H, W]` R'G'B' that clipped samples are kept at; None where nothing is clipped."""
    before: FlickerSums
    after: FlickerSums
    state: State
    """For the shot's next window."""

    def corrections(self) -> list[Correction | None]:
        """One per frame of the core; None where the frame stays as it is."""
        bent = self.curve.abs().amax((1, 2)).tolist()
        touched = self.log_gain.abs().amax((1, 2, 3)).tolist()
        highlights = self.highlights if self.highlights is not None else [None] * len(touched)
        return [
            Correction(gain, kept, curve if curved > 0 else None) if moved > 0 or curved > 0 else None
            for gain, kept, curve, moved, curved in zip(
                self.log_gain, highlights, self.curve, touched, bent, strict=True
            )
        ]


def solve(window: Window, state: State | None, preset: Preset, settings: Settings = Settings()) -> Solution:
    """Decide the correction of a window's core, given what the shot's earlier windows decided (None: nothing yet).

    Seams are taken off first, as whole steps. Then flow-warp consistency, temporal smoothness and fidelity are
    minimised over history, core and look-ahead together, for a tone curve of each frame and for the gains of cells; the
    history's correction is fixed, the look-ahead's is thrown away and decided by the next window. Last, drift away
    from the reference is taken back as far as the user asks.
    """
    height, width = window.proxies.shape[-2:]
    state = state or State.empty(window, (height // CELL_PX, width // CELL_PX))
    proxies, forward_px, backward_px = join(state, window)
    past, decided = len(state.proxies), len(state.proxies) + window.core

    matches = build_matches(forward_px, backward_px, preset.lags)
    steps = {offset: observe(proxies, match) for offset, match in matches.items()}
    gaps = [past + picture for picture in window.gaps]
    seams = _seams(proxies, matches, steps, state, settings, gaps)
    joined = _relit(proxies, seams.log_gain)
    curve, bent = _bent(proxies, joined, seams.log_gain, matches, state.curve, settings)
    tone = solve_tone(
        torch.where(proxies < CLIPPED, bent, 1.0),  # what was cut off must not pass for a grey that was seen
        matches,
        fixed=state.tone,
        options=ToneOptions(iterations=preset.iterations, without=settings.without),
        steps=steps if bent is proxies else None,
    )
    steady = tone + _taken_back(joined, _relit(bent, tone), settings)
    anchors = _anchors(_relit(bent, steady), matches, window, state, settings)
    relit = _relit(bent, steady + settings.anchor * anchors.log_gain)

    keep_lamps = relit is not proxies and "highlights" not in settings.without
    highlights = highlight_light(proxies, relit, matches, past, decided) if keep_lamps else None
    before = flicker_sums(proxies, matches, past, decided)
    after = flicker_sums(relit, matches, past, decided)
    kept = slice(max(0, decided - preset.history_frames), decided)
    links = slice(kept.start, decided - 1)
    memories = seams.memory(kept, window.core), anchors.memory(kept)
    carried = State(proxies[kept], forward_px[links], backward_px[links], tone[kept], curve[kept], *memories)
    log_gain = seams.log_gain + steady + settings.anchor * anchors.log_gain
    return Solution(log_gain[past:decided], curve[past:decided], highlights, before, after, carried)


def is_sound(solution: Solution, window: Window) -> bool:
    """Whether a window and its solution are finite and no gain is absurd; one wait for the device.

    NaN in flow alone need not reach the gains: it makes gates shut, and the window would pass for one without flicker.
    """
    gains = torch.stack([solution.log_gain.abs().amax(), solution.curve.abs().amax()])
    rest = [each.sum() for each in (window.proxies, window.forward_px, window.backward_px)]
    rest += [sums for each in (solution.before, solution.after) for sums in (each.whole, each.local)]
    if solution.highlights is not None:
        rest.append(solution.highlights.sum())
    return bool((gains < _ABSURD).all() & torch.stack(rest).isfinite().all())


def _seams(
    proxies: Tensor,
    matches: Mapping[int, Match],
    steps: Mapping[int, Step],
    state: State,
    settings: Settings,
    gaps: Sequence[int],
) -> Seams:
    if "seams" in settings.without:
        return Seams.none(len(proxies), state.seams)
    return find_seams(proxies, matches, steps, state.seams, gaps=gaps)


def _bent(
    proxies: Tensor,
    joined: Tensor,
    seams: Tensor,
    matches: Mapping[int, Match],
    fixed: Tensor,
    settings: Settings,
) -> tuple[Tensor, Tensor]:
    """Curves of the window's frames, and `joined` under them: the same object where no frame has any."""
    options = CurveOptions(without=settings.without)
    curve = solve_curve(joined, matches, fixed=fixed, options=options)
    bent = _relit(bend(proxies, curve).clamp(0, 1), seams) if bool(curve.any()) else joined
    if bent is joined or "shared" in settings.without or asked_everywhere(joined, bent):
        return curve, bent
    curve = torch.cat([fixed, torch.zeros_like(curve[len(fixed) :])])
    return curve, _relit(bend(proxies, curve).clamp(0, 1), seams) if bool(curve.any()) else joined


def _taken_back(frames: Tensor, corrected: Tensor, settings: Settings) -> Tensor | float:
    if corrected is frames or "in-place" in settings.without:
        return 0.0
    return taken_back(frames, corrected)


def _anchors(relit: Tensor, matches: Mapping[int, Match], window: Window, state: State, settings: Settings) -> Anchors:
    if settings.anchor == 0 or "anchors" in settings.without:
        return Anchors.none(len(relit), state.anchors)
    far = [replace(match, picture=match.picture + len(state.proxies)) for match in window.long_matches]
    return find_drift(relit, matches, far, state.anchors, window.reference)


def _relit(frames: Tensor, log_gain: Tensor) -> Tensor:
    """Corrected frames; the same object where there is no correction."""
    if not bool(log_gain.any()):
        return frames
    return relight(frames, spread(log_gain, (frames.shape[-2], frames.shape[-1]))).clamp(0, 1)
