"""How wrong a result is, in the words of those who report flicker. Each measure is a function of (case, result).

Levels are 8-bit code values of BT.709 luma. Cells are means over 8 × 8 pixels. Whatever is "left" is a part of what the
input has, 0 where it has none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..scores import gradient_energy, psnr_pooled
from .case import Case
from .light import grey, to_linear

_CELL_PX = 8
_KEPT_DB = 50.0
"""A result this near to the truth is as good as the truth."""
_KEPT_LUMA_DB = 45.0
"""The same of luma, where colour may have been mended: 1.4 levels rms."""
_NOTHING = 0.05
"""A rms in levels that cannot be seen: below it, there is nothing of a fault."""
_EDGE_ROWS = 3


def levels(frames: Tensor) -> Tensor:
    """Luma `[T, 1, H, W]`, 0 to 255."""
    return 255 * grey(frames)


def cells(values: Tensor) -> Tensor:
    """Means over cells."""
    return F.avg_pool2d(values, _CELL_PX, ceil_mode=True, count_include_pad=False)


def rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def errors(case: Case, result: Tensor) -> Tensor:
    """Luma of the result minus that of the truth, levels."""
    return levels(result) - levels(case.truth)


def part(left: float, given: float, nothing: float = _NOTHING) -> float:
    return left / given if given > nothing else (0.0 if left <= nothing else float("inf"))


# --- Against the input ------------------------------------------------------------------------------------------------


def gain_db(case: Case, result: Tensor) -> float:
    """PSNR of all frames together above that of the input, dB; an input better than 50 dB counts as 50 dB."""
    return psnr_pooled(result, case.truth) - min(psnr_pooled(case.flickering, case.truth), _KEPT_DB)


def luma_gain_db(case: Case, result: Tensor) -> float:
    """The same of luma alone; an input better than 45 dB counts as 45 dB."""
    given, found, truth = (grey(each) for each in (case.flickering, result, case.truth))
    return psnr_pooled(found, truth) - min(psnr_pooled(given, truth), _KEPT_LUMA_DB)


def worst_shot_gain_db(case: Case, result: Tensor) -> float:
    """`gain_db` of the shot that gained least; shots start at the marked frames."""
    found = []
    for start, end in zip(case.marked, (*case.marked[1:], len(result)), strict=True):
        shot = Case(case.flickering[start:end], case.truth[start:end])
        found.append(gain_db(shot, result[start:end]))
    return min(found)


def detail(case: Case, result: Tensor) -> float:
    """Gradients (rms) over those of the input or of the truth, whichever has less."""
    given, found, truth = (gradient_energy(grey(each)) for each in (case.flickering, result, case.truth))
    return (found / min(given, truth)) ** 0.5


# --- Tone in time -----------------------------------------------------------------------------------------------------


def flicker(case: Case, result: Tensor, where: Tensor | None = None) -> float:
    """RMS change from frame to frame of the error of cells, levels; `where [1, 1, H, W]` keeps cells wholly in it."""
    changes = cells(errors(case, result)).diff(dim=0)
    return rms(changes if where is None else changes[:, :, _whole(where)[0, 0]])


def _whole(where: Tensor) -> Tensor:
    return cells(where.float()) > 0.999


def flicker_left(case: Case, result: Tensor) -> float:
    return part(flicker(case, result), flicker(case, case.flickering))


def flicker_left_between(case: Case, result: Tensor) -> float:
    """The same of pairs of frames of which none is marked."""
    quiet = [t for t in range(len(result) - 1) if t not in case.marked and t + 1 not in case.marked]
    left, given = (cells(errors(case, each)).diff(dim=0)[quiet] for each in (result, case.flickering))
    return part(rms(left), rms(given))


def _tone_stops(case: Case, result: Tensor) -> Tensor:
    """Mean light of each frame against the truth's, stops, `[T]`."""
    found, truth = (to_linear(grey(each)).mean((1, 2, 3)).clamp_min(1e-4) for each in (result, case.truth))
    return (found / truth).log2()


def greatest_step_stops(case: Case, result: Tensor) -> float:
    """Greatest change of tone from one frame to the next that the truth does not have."""
    return float(_tone_stops(case, result).diff().abs().max())


def ramp_error_stops(case: Case, result: Tensor) -> float:
    """How far, over the clip, the result's ramp ends from the truth's: a straight line through all frames."""
    stops = _tone_stops(case, result)
    time = torch.arange(len(stops), dtype=torch.float32)
    time -= time.mean()
    return float(((time * stops).sum() / time.square().sum()).abs()) * (len(stops) - 1)


def marked_levels(case: Case, result: Tensor) -> Tensor:
    """Mean error of luma of each marked frame, levels."""
    means = errors(case, result).mean((1, 2, 3))
    return means[list(case.marked)] if case.marked else means[:1] * 0


def worst_marked_level(case: Case, result: Tensor) -> float:
    return float(marked_levels(case, result).abs().max())


def marked_spread(case: Case, result: Tensor) -> float:
    found = marked_levels(case, result)
    return float(found.max() - found.min())


def unmarked_change(case: Case, result: Tensor) -> float:
    """Mean |change| of the cells of all frames but the marked ones, levels."""
    others = [t for t in range(len(result)) if t not in case.marked]
    return float(cells(levels(result[others]) - levels(case.flickering[others])).abs().mean())


def flash_error(case: Case, result: Tensor) -> float:
    """How much more or less than in the truth the worst flash stands out from its neighbours, as a part."""
    worst = 0.0
    for t in case.marked:
        beside = [n for n in (t - 2, t - 1, t + 1, t + 2) if n not in case.marked]
        found, truth = (float(levels(each[[t]]).mean() - levels(each[beside]).mean()) for each in (result, case.truth))
        worst = max(worst, abs(found / truth - 1))
    return worst


def row_error_left(case: Case, result: Tensor) -> float:
    """RMS error of the mean of each row, as a part of the input's."""
    left, given = (rms(errors(case, each).mean(3)) for each in (result, case.flickering))
    return part(left, given)


# --- Colour -----------------------------------------------------------------------------------------------------------


def chroma_errors(case: Case, result: Tensor) -> Tensor:
    """Errors of B' − Y' and R' − Y' of cells, levels, `[T, 2, H/8, W/8]`."""
    found, truth = (255 * (each[:, [2, 0]] - grey(each)) for each in (result, case.truth))
    return cells(found - truth)


def chroma_error_left(case: Case, result: Tensor) -> float:
    return part(rms(chroma_errors(case, result)), rms(chroma_errors(case, case.flickering)))


def chroma_flicker_left(case: Case, result: Tensor) -> float:
    left, given = (rms(chroma_errors(case, each).diff(dim=0)) for each in (result, case.flickering))
    return part(left, given)


def marked_chroma_left(case: Case, result: Tensor) -> float:
    """Error of chroma of the marked frames, as a part of the input's."""
    at = list(case.marked)
    return part(rms(chroma_errors(case, result)[at]), rms(chroma_errors(case, case.flickering)[at])) if at else 0.0


def alternation_left(case: Case, result: Tensor) -> float:
    """Chroma that swings from one frame to the next and back, as a part of the input's."""
    sign = (-1.0) ** torch.arange(len(result)).view(-1, 1, 1, 1)
    left, given = (rms((sign * chroma_errors(case, each)).mean(0)) for each in (result, case.flickering))
    return part(left, given)


def saturation_drift(case: Case, result: Tensor) -> float:
    """How much the saturation of the last marked frame is off that of the first one, against the truth, as a part."""
    found, truth = (
        (255 * (each[:, [2, 0]] - grey(each))).square().mean((1, 2, 3)).sqrt() for each in (result, case.truth)
    )
    ratio = found / truth.clamp_min(1e-3)
    return float((ratio[case.marked[-1]] / ratio[case.marked[0]] - 1).abs())


# --- Places that stay -------------------------------------------------------------------------------------------------


def _mean_in(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the places of each frame, `[T]`; 0 where there are none."""
    where = where.expand_as(values).float()
    return (values * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp_min(1)


def _letters(case: Case) -> Tensor:
    """Places that stay and are not black."""
    assert case.stays is not None
    return case.stays & (levels(case.truth) > 1)


def overlay_moves(case: Case, result: Tensor) -> float:
    """Greatest |change| of the mean of what lies over the picture, levels."""
    return float(_mean_in(errors(case, result), _letters(case)).abs().max())


def overlay_steps(case: Case, result: Tensor) -> float:
    """RMS step of that mean from frame to frame."""
    return rms(_mean_in(errors(case, result), _letters(case)).diff())


def overlay_worst(case: Case, result: Tensor) -> float:
    """99th percentile of |change| of what lies over the picture, levels."""
    changes = errors(case, result).abs()[_letters(case).expand(len(result), -1, -1, -1)]
    return float(changes.kthvalue(max(1, round(0.99 * changes.numel()))).values) if changes.numel() else 0.0


def bars_worst(case: Case, result: Tensor) -> float:
    """Greatest value in places that are black and stay, levels of any channel."""
    assert case.stays is not None
    black = case.stays & (levels(case.truth) <= 1)
    return float((255 * (result - case.truth).abs().amax(1, keepdim=True))[black.expand(len(result), -1, -1, -1)].max())


def edge_rows_excess(case: Case, result: Tensor) -> float:
    """How much greater the mean error of the picture's outermost rows is than that of the picture, levels."""
    assert case.stays is not None
    rows = torch.nonzero(~case.stays[0, 0].all(1)).flatten()
    inside = errors(case, result)[:, :, rows]
    edges = torch.cat([inside[:, :, :_EDGE_ROWS], inside[:, :, -_EDGE_ROWS:]], 2)
    return float(edges.mean((1, 2, 3)).abs().mean() - inside.mean((1, 2, 3)).abs().mean())


def part_gain_db(case: Case, result: Tensor) -> float:
    """`gain_db` of the part that flickers."""
    assert case.stays is not None
    where = (~case.stays).expand_as(result)
    before, after = (float((each - case.truth)[where].square().mean()) for each in (case.flickering, result))
    before = max(before, 10 ** (-_KEPT_DB / 10))
    return 10 * float(torch.tensor(before / max(after, 1e-10)).log10())


def steady_part_change(case: Case, result: Tensor) -> float:
    """Mean |change| of the cells of the part that stays, levels."""
    assert case.stays is not None
    return float(cells(errors(case, result)).abs()[:, :, _whole(case.stays)[0, 0]].mean())


def steady_part_flicker(case: Case, result: Tensor) -> float:
    """Flicker put into the part that stays, levels rms."""
    return flicker(case, result, case.stays)


# --- Sharpness and held frames ----------------------------------------------------------------------------------------


def _sharpness(case: Case, result: Tensor) -> Tensor:
    """Log ratio of the gradients of each frame to the truth's, `[T]`."""
    found, truth = (
        torch.tensor([gradient_energy(frame[None]) for frame in grey(each)]) for each in (result, case.truth)
    )
    return 0.5 * (found / truth).log()


def sharpness_pulse_left(case: Case, result: Tensor) -> float:
    """Spread of sharpness over the frames, as a part of the input's."""
    left, given = (float(_sharpness(case, each).std()) for each in (result, case.flickering))
    return part(left, given, nothing=1e-3)


def marked_sharpness(case: Case, result: Tensor) -> float:
    """Gradients of the marked frames, over those of the input."""
    at = list(case.marked)
    found, given = (gradient_energy(grey(each[at])) for each in (result, case.flickering))
    return (found / given) ** 0.5


def _held(case: Case) -> list[int]:
    return [t for t, (a, b) in enumerate(zip(case.drawing, case.drawing[1:], strict=False)) if a == b]


def held_difference(case: Case, result: Tensor) -> float:
    """Mean |difference| of frames that show one drawing, levels."""
    return float(255 * result.diff(dim=0)[_held(case)].abs().mean())


def held_tone_difference(case: Case, result: Tensor) -> float:
    """Mean |difference| of the cells of frames that show one picture, levels."""
    return float(cells(levels(result)).diff(dim=0)[_held(case)].abs().mean())
