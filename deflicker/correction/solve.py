"""The correction, in one screen: what is seen, what is decided, what is carried on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from deflicker.correction.anchors import Anchors, find_drift
from deflicker.correction.apply import Correction, relight, spread
from deflicker.correction.highlights import highlight_light
from deflicker.correction.observe import observe
from deflicker.correction.seams import Seams, find_seams
from deflicker.correction.tone import ToneOptions, solve_tone
from deflicker.correction.window import State, Window, join
from deflicker.metrics.flicker import FlickerSums, flicker_sums
from deflicker.motion.cells import CELL_PX
from deflicker.motion.matches import build_matches
from deflicker.settings import Preset, Settings


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


def solve(window: Window, state: State | None, preset: Preset, settings: Settings = Settings()) -> Solution:
    """Decide the correction of a window's core, given what the shot's earlier windows decided (None: nothing yet).

    Seams are taken off first, as whole steps. Then flow-warp consistency, temporal smoothness and fidelity are
    minimised over history, core and look-ahead together; the history's correction is fixed, the look-ahead's is thrown
    away and decided by the next window. Last, drift away from the reference is taken back as far as the user asks.
    """
    height, width = window.proxies.shape[-2:]
    state = state or State.empty(window, (height // CELL_PX, width // CELL_PX))
    proxies, forward_px, backward_px = join(state, window)
    past, decided = len(state.proxies), len(state.proxies) + window.core

    matches = build_matches(forward_px, backward_px, preset.lags)
    steps = {offset: observe(proxies, match) for offset, match in matches.items()}
    if "seams" in settings.without:
        seams = Seams.none(len(proxies), state.seams)
    else:
        seams = find_seams(proxies, matches, steps, state.seams)
    joined = _relit(proxies, seams.log_gain)
    tone = solve_tone(
        joined,
        matches,
        fixed=state.tone,
        options=ToneOptions(iterations=preset.iterations),
        steps=steps if joined is proxies else None,
    )
    log_gain = seams.log_gain + tone
    if settings.anchor == 0 or "anchors" in settings.without:
        anchors = Anchors.none(len(proxies), state.anchors)
    else:
        far = [replace(match, picture=match.picture + past) for match in window.long_matches]
        anchors = find_drift(_relit(proxies, log_gain), matches, far, state.anchors, window.reference)
    log_gain = log_gain + settings.anchor * anchors.log_gain

    relit = _relit(proxies, log_gain)
    highlights = highlight_light(proxies, relit, matches, past, decided) if relit is not proxies else None
    before = flicker_sums(proxies, matches, past, decided)
    after = flicker_sums(relit, matches, past, decided)
    kept = slice(max(0, decided - preset.history_frames), decided)
    links = slice(kept.start, decided - 1)
    carried = State(
        proxies[kept],
        forward_px[links],
        backward_px[links],
        tone[kept],
        seams.memory(kept, window.core),
        anchors.memory(kept),
    )
    return Solution(log_gain[past:decided], highlights, before, after, carried)


def _relit(proxies: Tensor, log_gain: Tensor) -> Tensor:
    """Corrected proxies; the same object where there is no correction."""
    if not bool(log_gain.any()):
        return proxies
    return relight(proxies, spread(log_gain, (proxies.shape[-2], proxies.shape[-1]))).clamp(0, 1)
