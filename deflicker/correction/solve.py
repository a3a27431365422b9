"""The correction, in one screen: what is seen, what is decided, what is carried on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from deflicker.correction.apply import Correction, relight, spread
from deflicker.correction.highlights import highlight_light
from deflicker.correction.tone import ToneOptions, solve_tone
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
    highlights: Tensor | None
    """`[core, 3, H, W]` R'G'B' that clipped samples are kept at; None where nothing is clipped."""
    before: FlickerSums
    after: FlickerSums
    state: State
    """For the shot's next window."""

    def corrections(self) -> list[Correction | None]:
        """One per frame of the core; None where the frame stays as it is."""
        touched = self.log_gain.abs().amax((1, 2, 3)).tolist()
        highlights = self.highlights if self.highlights is not None else [None] * len(touched)
        return [
            Correction(gain, kept) if moved > 0 else None
            for gain, kept, moved in zip(self.log_gain, highlights, touched, strict=True)
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
    log_gain = solve_tone(proxies, matches, fixed=state.log_gain, options=ToneOptions(iterations=preset.iterations))

    relit = relight(proxies, spread(log_gain, (height, width))).clamp(0, 1)
    highlights = highlight_light(proxies, relit, matches, past, decided) if bool(log_gain.any()) else None
    before = flicker_sums(proxies, matches, past, decided)
    after = flicker_sums(relit, matches, past, decided)
    kept = slice(max(0, decided - preset.history_frames), decided)
    links = slice(kept.start, decided - 1)
    carried = State(proxies[kept], forward_px[links], backward_px[links], log_gain[kept])
    return Solution(log_gain[past:decided], highlights, before, after, carried)
