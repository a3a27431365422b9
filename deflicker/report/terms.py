"""What each number is called, in which unit, which way is better, and what it means in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True)
class Term:
    """How one number is shown."""

    title: str
    unit: str
    better: Better
    digits: int
    meaning: str
    """One or two plain sentences, with what the number cannot see."""


_LEVELS = "levels of 255"

METRICS: dict[str, Term] = {
    "flicker_whole_y": Term(
        "Flicker of the whole picture", _LEVELS, "lower", 2,
        "How much the brightness of the whole picture jumps back and forth. Motion, fades and slow light do not count.",
    ),
    "flicker_local_y": Term(
        "Flicker of regions", _LEVELS, "lower", 2,
        "The same for small regions, each followed along its motion. Fire and glittering water count too.",
    ),
    "flicker_whole_cb": Term(
        "Colour flicker, blue–yellow, whole", _LEVELS, "lower", 2, "How much the picture's tint jumps back and forth."
    ),
    "flicker_local_cb": Term(
        "Colour flicker, blue–yellow, regions", _LEVELS, "lower", 2, "The same for small regions along their motion."
    ),
    "flicker_whole_cr": Term(
        "Colour flicker, red–green, whole", _LEVELS, "lower", 2, "How much the picture's tint jumps back and forth."
    ),
    "flicker_local_cr": Term(
        "Colour flicker, red–green, regions", _LEVELS, "lower", 2, "The same for small regions along their motion."
    ),
    "seams": Term("Seams", "", "lower", 0, "Single jumps of tone that stay, as where a generator joined two chunks."),
    "seam_period": Term("Frames from seam to seam", "frames", "neither", 0, "Given where seams come regularly."),
    "variance_trajectory": Term(
        "Variance along motion", "levels²", "lower", 2,
        "How much points change over five frames while they are followed. Blur lowers it as well.",
    ),
    "variance_pixel": Term(
        "Variance at fixed pixels", "levels²", "lower", 1,
        "How much each pixel changes over a shot. Whatever moves counts, so compare before with after only.",
    ),
    "ewarp_mse": Term(
        "Warping error (Lai), × 1000", "", "lower", 3,
        "Squared difference of neighbouring frames brought onto each other along motion. Blur lowers it as well.",
    ),
    "ewarp_l1": Term(
        "Warping error, neighbours", "", "lower", 4,
        "Absolute difference of neighbouring frames along motion, of 1. Blur lowers it as well.",
    ),
    "ewarp_l1_first": Term(
        "Warping error, to the shot's first frame", "", "lower", 4,
        "The same to the first frame of the shot: drift counts, and so does light that really changes.",
    ),
    "boil": Term(
        "Texture boil", "", "lower", 3,
        "How much the finest texture is drawn anew from frame to frame: 0 moves along, 1 is new in every frame.",
    ),
    "tcs": Term(
        "Coherence (TCS)", "", "higher", 4,
        "1 minus how different neighbours look to a network. Motion lowers it; blur and a frozen picture raise it.",
    ),
    "tcs_moved": Term(
        "Coherence along motion", "", "higher", 4, "The same with motion taken out. Blur raises it as well."
    ),
    "drift_slope": Term(
        "Drift of looks, per 100 frames", "", "lower", 3,
        "How fast pictures come to look different from earlier ones (LPIPS). Motion counts too.",
    ),
    "vbench_flickering": Term(
        "VBench temporal flickering", "", "higher", 4,
        "Mean difference of neighbours without motion taken out: meant for still cameras, and nearly blind to flicker.",
    ),
    "motion_smoothness": Term(
        "Motion smoothness", "", "higher", 4,
        "How well each frame is predicted from its neighbours along motion, as VBench does with a network of its own.",
    ),
}  # fmt: skip

GUARDS: dict[str, Term] = {
    "sharpness": Term(
        "Sharpness", "× input", "neither", 3, "Detail after over detail before. Below 1 is blur, above 1 noise."
    ),
    "motion": Term("Motion", "× input", "neither", 3, "Motion after over motion before. Below 1 something was frozen."),
    "psnr": Term("PSNR to the input", "dB", "neither", 1, "How close the brightness stayed to the input; 99 is equal."),
    "ssim": Term("SSIM to the input", "", "neither", 4, "How much of the input's structure stayed; 1 is all of it."),
    "lpips": Term("LPIPS to the input", "", "neither", 4, "How different it looks from the input; 0 is the same."),
    "exposure": Term(
        "Largest exposure change", "stops", "neither", 2, "The strongest brightening or darkening of any region."
    ),
    "changed": Term("Samples changed", "%", "neither", 1, "Share of the video's samples that are not what they were."),
}

LIMITS: dict[str, tuple[float | None, float | None]] = {
    "sharpness": (0.95, 1.08),
    "motion": (0.8, 2.0),
    "psnr": (18.0, None),
    "ssim": (0.85, None),
    "lpips": (None, 0.15),
    "exposure": (None, 6.0),
    "changed": (None, None),
}
"""(at least, at most) of each guard; None is no bound."""


def show(term: Term, value: float | None) -> str:
    """A number with its digits, or a dash."""
    return "–" if value is None else f"{value:.{term.digits}f}"


def allowed_range(at_least: float | None, at_most: float | None) -> str:
    """Bounds in short, such as `0.95 … 1.08` or `≥ 18`; empty where there are none."""
    if at_least is not None and at_most is not None:
        return f"{at_least:g} … {at_most:g}"
    return f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}" if at_most is not None else ""
