"""The table of docs/results/metric_clips.md: every video of some folders, measured as it is.

python scripts/measure_clips.py FOLDER … [--frames 96] [--no-lpips] > table.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deflicker import DeflickerError, Measurement, Settings, TimePoint, measure
from deflicker.report.terms import METRICS, show

COLUMNS = {
    "flicker_whole_y": "whole Y",
    "flicker_local_y": "local Y",
    "flicker_whole_cb": "whole Cb",
    "flicker_whole_cr": "whole Cr",
    "variance_trajectory": "σ² along motion",
    "ewarp_mse": "E_warp × 1000",
    "ewarp_l1": "L1",
    "boil": "boil",
    "tcs": "TCS",
    "tcs_moved": "TCS along motion",
    "vbench_flickering": "VBench",
}


def row(path: Path, found: Measurement) -> str:
    measures = found.measures
    numbers = [show(METRICS[name], measures.metric(name).before) for name in COLUMNS]
    cells = [f"{path.parent.name}/{path.name}", str(found.frames), *numbers, measures.verdict.judgement]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=96, help="frames of each, from the first")
    parser.add_argument("--no-lpips", action="store_true")
    options = parser.parse_args()
    print(f"| clip | frames | {' | '.join(COLUMNS.values())} | verdict |")
    print(f"| --- | ---: | {'---: | ' * len(COLUMNS)}--- |")
    settings = Settings(end=TimePoint(frame=options.frames))
    for path in sorted(path for folder in options.folders for path in folder.iterdir()):
        try:
            print(row(path, measure(path, settings=settings, lpips=not options.no_lpips)), flush=True)
        except DeflickerError as error:
            print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
