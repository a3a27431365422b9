"""The guards of a run: frames before and after compared at the video's own size, some of it on every so many frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.media.color import as_tensors, bt709_luma, luma_range, normalise
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.metrics import guardrails as guards
from deflicker.motion.tracking import Flow

_DETAIL_EVERY, _STRUCTURE_EVERY, _MOTION_EVERY = 4, 16, 32
"""Every how many of the changed frames sharpness is measured, SSIM, and the motion of the result: these cost most."""


class GuardrailMeter:
    """Adds up what the guards need. Frames that were not changed cost nothing."""

    def __init__(self, flow: Flow, device: torch.device, before: PlaneLayout, after: PlaneLayout) -> None:
        self._flow, self._device, self._layouts = flow, device, (before, after)
        self._samples = self._changed = self._frames = self._motion_due = 0
        self._errors: list[Tensor] = []
        self._detail: list[Tensor] = []
        self._ssim: list[Tensor] = []
        self._motion: list[Tensor] = []

    def compare(self, before: Frame, after: Frame) -> None:
        """Take the next frame; the same object where nothing was changed."""
        self._samples += sum(plane.size for plane in before.planes)
        if after is before:
            self._errors.append(torch.zeros(()))
            return
        old, new = (_luma(x, layout, self._device) for x, layout in zip((before, after), self._layouts, strict=True))
        if old.shape != new.shape:
            new = F.interpolate(new[None, None], size=old.shape, mode="area")[0, 0]
        self._changed += self._count_changed(before, after, old, new)
        self._errors.append(guards.squared_error(old, new).cpu())
        if self._frames % _DETAIL_EVERY == 0:
            self._detail.append(torch.stack([guards.detail(old), guards.detail(new)]).cpu())
        if self._frames % _STRUCTURE_EVERY == 0:
            self._ssim.append(guards.ssim(old, new).cpu())
        self._frames += 1

    def _count_changed(self, before: Frame, after: Frame, old: Tensor, new: Tensor) -> int:
        """Samples that differ; of videos of different kinds or sizes, the same share of them as of luma."""
        same_shape = [plane.shape for plane in before.planes] == [plane.shape for plane in after.planes]
        if same_shape and self._layouts[0] == self._layouts[1]:
            return sum(int((a != b).sum()) for a, b in zip(before.planes, after.planes, strict=True))
        return round(float(guards.changed_share(old, new)) * sum(plane.size for plane in before.planes))

    def compare_motion(self, last: Tensor, here: Tensor, forward_px: Tensor) -> None:
        """Take a pair of neighbours of the result, small `[3, h, w]`, and the flow `[2, h, w]` of the input there."""
        if self._frames <= self._motion_due:
            return
        self._motion_due = self._frames + _MOTION_EVERY
        features = self._flow.features(torch.stack([last, here]))
        forward, _ = self._flow.flow(features[:1], features[1:])
        lengths = [flow.square().sum(0).sqrt().mean() for flow in (forward_px, forward[0])]
        self._motion.append(torch.stack(lengths).cpu())

    def values(self) -> dict[str, float | None]:
        """By the names of `report.terms.GUARDS`; None where there was nothing to see."""
        untouched = not self._changed
        return {
            "sharpness": _ratio(guards.sharpness_ratio, self._detail, untouched=untouched),
            "motion": _ratio(guards.motion_ratio, self._motion, untouched=untouched),
            "psnr": float(guards.psnr(torch.stack(self._errors))) if self._errors else None,
            "ssim": float(torch.stack(self._ssim).mean()) if self._ssim else 1.0 if untouched else None,
            "changed": 100 * self._changed / self._samples if self._samples else None,
        }


def _ratio(of: Callable[[Tensor, Tensor], Tensor], pairs: list[Tensor], *, untouched: bool) -> float | None:
    """A ratio of (before, after) of some frames; 1 where nothing was changed, None where there was nothing to see."""
    if not pairs:
        return 1.0 if untouched else None
    value = float(of(*torch.stack(pairs).unbind(1)))
    return None if value != value else value


def _luma(frame: Frame, layout: PlaneLayout, device: torch.device) -> Tensor:
    """Luma at the frame's own size, in code values of 255 with black at 0."""
    if layout.family != "rgb":
        black, span = luma_range(layout)
        return (torch.as_tensor(frame.planes[0]).to(device).float() - black) * (255 / span)
    green, blue, red = normalise(as_tensors(frame.planes, layout, device), layout)
    return 255 * bt709_luma(torch.stack([red, green, blue]))
