"""One run without an ingredient of the correction, which the command line does not offer.

`python without.py TERM SOURCE TARGET LOG PRESET` appends the result event to LOG, as `deflicker --log-json LOG` does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deflicker import Settings, deflicker


def main(term: str, source: str, target: str, log: str, preset: str) -> None:
    settings = Settings(
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        codec="ffv1",
        overwrite=True,
        without=frozenset({term}),
    )
    report = deflicker(Path(source), Path(target), settings)
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": "result"} | report.to_dict(), default=str) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
