"""The nodes. IMAGE is a torch tensor [frames, height, width, channels], R'G'B' in 0 … 1."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from .host import check_interrupted, output_folder, watched

_CATEGORY = "video/deflicker"
_PRESETS = ["fast", "balanced", "quality"]


class Deflicker:
    """IMAGE in, IMAGE out, and what became of the flicker in words."""

    CATEGORY = _CATEGORY
    DESCRIPTION = "Take the flicker out of a video, and nothing else. Frames that need no correction stay as they are."
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("images", "summary")
    FUNCTION = "run"

    def __init__(self) -> None:
        self._session: Any = None

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "The frames of one video, in order, all of them in one batch."}),
                "strength": ("FLOAT", {
                    "default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05,
                    "tooltip": "How much of the correction to apply; 0 changes nothing.",
                }),
                "preset": (_PRESETS, {
                    "default": "balanced",
                    "tooltip": "Speed against quality. fast leaves texture alone, quality compares more frames.",
                }),
                "anchor": ("FLOAT", {
                    "default": 0.0, "min": 0.0, "max": 1.0, "step": 0.05,
                    "tooltip": "How much slow drift of tone and colour is taken back; slow light that is meant goes "
                    "with it.",
                }),
                "device": (["auto", "cpu", "cuda", "mps"], {"default": "auto", "tooltip": "Where to compute."}),
            },
        }  # fmt: skip

    def run(self, images: Any, strength: float, preset: str, anchor: float, device: str) -> tuple[Any, str]:
        import torch

        from deflicker import Deflicker as Session
        from deflicker import Settings, WindowReport

        settings = Settings(strength=strength, preset=preset, anchor=anchor, device=device)
        if self._session is None or self._session.settings != settings:
            self._session = Session(settings)
        windows: list[WindowReport] = []
        frames = (image.movedim(-1, 0) for image in images)
        steady = torch.empty_like(images)
        count = len(images)
        for number, frame in enumerate(watched(self._session(frames, on_window=windows.append), count)):
            steady[number] = frame.movedim(0, -1)
        return steady, _summary(windows, count)


def _summary(windows: list[Any], frames: int) -> str:
    pairs = [(w.flicker_before, w.flicker_after, w.frames) for w in windows if w.flicker_before and w.flicker_after]
    corrected = sum(window.frames_corrected for window in windows)
    lines = [f"frames: {frames}, corrected: {corrected}"]
    if seen := sum(count for *_, count in pairs):
        before, after = (sum(pair[k].whole * pair[2] for pair in pairs) / seen for k in (0, 1))
        lines.append(f"flicker of the whole picture: {before:.2f} -> {after:.2f} (levels of 255)")
    return "\n".join(lines)


class DeflickerReport:
    """Measure two videos that show the same, and write a report."""

    CATEGORY = _CATEGORY
    DESCRIPTION = "Measure before and after: flicker, and what it cost. Writes an HTML report to the output folder."
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("report",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "before": ("IMAGE", {"tooltip": "The frames as they were."}),
                "after": ("IMAGE", {"tooltip": "The same frames, steady; whoever made them so."}),
                "filename_prefix": ("STRING", {"default": "deflicker", "tooltip": "The report's name begins with it."}),
                "lpips": ("BOOLEAN", {
                    "default": False, "tooltip": "Also the metrics that need LPIPS: slow, 64 MB are fetched once.",
                }),
            },
        }  # fmt: skip

    def run(self, before: Any, after: Any, filename_prefix: str, lpips: bool) -> dict[str, Any]:
        from deflicker import RawVideo, Settings, SettingsError, measure
        from deflicker.report.text import coherence

        if before.shape[:3] != after.shape[:3]:
            raise SettingsError(f"before and after are not alike: {list(before.shape)} and {list(after.shape)}")
        _, height, width, _ = before.shape
        settings = Settings(raw_video=RawVideo(width, height, Fraction(24), "rgb48le"))
        with _raw(before) as first, _raw(after) as second:
            found = measure(first, second, settings, lpips=lpips, on_progress=lambda step: check_interrupted())
        name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in filename_prefix)
        path = output_folder() / f"{name}_{secrets.token_hex(4)}.html"
        found.save(path)
        text = "\n".join([*coherence(found), f"report: {path}"])
        return {"ui": {"text": [text]}, "result": (text,)}


@contextlib.contextmanager
def _raw(images: Any) -> Iterator[Path]:
    """The frames in a file, 16 bits a sample, gone afterwards."""
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="deflicker-") as folder:
        path = Path(folder) / "frames"
        with path.open("wb") as file:
            for image in images:
                check_interrupted()
                codes = (image[..., :3].clamp(0, 1) * 65535).round().cpu().numpy().astype(np.dtype("<u2"))
                file.write(codes.tobytes())
        yield path


NODE_CLASS_MAPPINGS = {"Deflicker": Deflicker, "DeflickerReport": DeflickerReport}
NODE_DISPLAY_NAME_MAPPINGS = {"Deflicker": "Deflicker", "DeflickerReport": "Deflicker Report"}
