"""The correction, in one screen: what is seen, what is decided, what is carried on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.apply import Correction, relight, spread
from deflicker.correction.curve import bend
from deflicker.correction.highlights import highlight_light
from deflicker.correction.observe import CLIPPED
from deflicker.correction.tone import ToneOptions, solve_tone
from deflicker.correction.tone_curve import solve_curve
from deflicker.correction.window import State, Window, join
from deflicker.metrics.flicker import FlickerSums, flicker_sums
from deflicker.motion.cells import CELL_PX
from deflicker.motion.matches import build_matches
from deflicker.settings import Preset


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


def solve(window: Window, state: State | None, preset: Preset) -> Solution:
    """Decide the correction of a window's core, given what the shot's earlier windows decided (None: nothing yet).

    Flow-warp consistency, temporal smoothness and fidelity are minimised over history, core and look-ahead together;
    the history's correction is fixed, the look-ahead's is thrown away and decided by the next window.
    """
    height, width = window.proxies.shape[-2:]
    state = state or State.empty(window, (height // CELL_PX, width // CELL_PX))
    proxies, forward_px, backward_px = join(state, window)
    past, decided = len(state.proxies), len(state.proxies) + window.core

    matches = build_matches(forward_px, backward_px, preset.lags)
    curve = solve_curve(proxies, matches, fixed=state.curve)
    bent = bend(proxies, curve).clamp(0, 1) if bool(curve.any()) else proxies
    # What was cut off must not pass for a grey that was seen.
    seen = torch.where(proxies < CLIPPED, bent, 1.0)
    log_gain = solve_tone(seen, matches, fixed=state.log_gain, options=ToneOptions(iterations=preset.iterations))

    relit = relight(bent, spread(log_gain, (height, width))).clamp(0, 1)
    touched = bool(log_gain.any()) or bool(curve.any())
    highlights = highlight_light(proxies, relit, matches, past, decided) if touched else None
    before = flicker_sums(proxies, matches, past, decided)
    after = flicker_sums(relit, matches, past, decided)
    kept = slice(max(0, decided - preset.history_frames), decided)
    links = slice(kept.start, decided - 1)
    carried = State(proxies[kept], forward_px[links], backward_px[links], log_gain[kept], curve[kept])
    return Solution(log_gain[past:decided], curve[past:decided], highlights, before, after, carried)
