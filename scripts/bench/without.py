"""One run without an ingredient of the correction, which the command line does not offer.

`python without.py TERM SOURCE TARGET LOG PRESET` appends the result event to LOG, as `deflicker --log-json LOG` does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deflicker import Settings, deflicker
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.pipeline.run_context import Models, Run


def _gains(**changes: Any) -> Callable[[ToneOptions], ToneOptions]:
    return lambda options: replace(options, gains=replace(options.gains, **changes))


def _curve(**changes: Any) -> Callable[[ToneOptions], ToneOptions]:
    return lambda options: replace(options, curve=replace(options.curve, **changes))


def _both(**changes: Any) -> Callable[[ToneOptions], ToneOptions]:
    return lambda options: _gains(**changes)(_curve(**changes)(options))


TONE: dict[str, Callable[[ToneOptions], ToneOptions]] = {
    "seams": lambda options: replace(options, seams=False),
    "rolling": lambda options: replace(options, rolling=False),
    "curve": _curve(iterations=()),
    "shared": _curve(shared=False),
    "gate": _both(gate=False),
    "places": _gains(places=False),
    "trend": _both(trend=False),
    "first-order": _both(first_order=0.0),
    "second-order": _both(second_order=0.0),
    "robust": _gains(robust=False),
    "precision": _gains(noise=0.0),
    "agreement": _gains(agreement=False),
    "bounds": _gains(bounds=False),
    "centring": lambda options: _gains(centring=0.0)(_curve(centring=0.0, centring_by_noise=0.0)(options)),
    "in-place": lambda options: replace(options, static_check=False),
    "parts": lambda options: replace(options, parts=False),
    "highlights": lambda options: replace(options, highlights=False),
}
"""What leaves an ingredient of the tone correction out."""
OTHERS: dict[str, Callable[[Run], Run]] = {
    "texture": lambda run: replace(run, preset=replace(run.preset, texture_reach=0)),
    "sharpness": lambda run: replace(run, sharpness=False),
    "locking": lambda run: replace(run, locking=False),
    "flashes": lambda run: replace(run, flashes=False),
}
TERMS = (*TONE, "anchors", *OTHERS)
"""All that a run can do without; anchors, which settings ask for, among them."""


def left_out(term: str) -> Callable[[Run], Run]:
    """What changes a run to one without the term."""
    return OTHERS.get(term) or (lambda run: replace(run, tone=TONE[term](run.tone)))


def main(term: str, source: str, target: str, log: str, preset: str) -> None:
    settings = Settings(preset=preset, codec="ffv1", overwrite=True)  # type: ignore[arg-type]  # Settings checks it
    report = deflicker(Path(source), Path(target), settings, models=Models(adjust=left_out(term)))
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": "result"} | report.to_dict(), default=str) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
