"""Try every file of a folder: the real command on each, and what an independent probe finds before and after.

python -m scripts.try_files FOLDER [--into docs/results/odd_files.md] [--readme FILE] [--only WORD] [--timeout 600]

Each file is run as a user would (where nothing flickers, packets are copied), and once more so that every frame is
encoded (`--start 0 --strength 0`). Outputs go to a temporary folder and are deleted.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from scripts.files.compare import Finding, compare
from scripts.files.facts import facts_of

TARGET = {".webp": ".mp4"}
"""Endings the command does not write, and what is written instead."""
HEAD = (
    "| file | what is odd | outcome | frames | survives | named as changed or lost |",
    "| --- | --- | --- | --- | --- | --- |",
)
START, END = "<!-- table:", "<!-- end of table -->"
RUNS = ([], ["--start", "0", "--strength", "0"])


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    code: int
    line: str
    """The one line of a refusal; empty for success."""
    report: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Processed with nothing lost in silence, or refused with one line and exit code 3."""
        if self.code:
            return self.code == 3 and "\n" not in self.line and "Traceback" not in self.line
        return all(finding.verdict != "lost" for finding in self.findings)


def try_file(source: Path, folder: Path, options: list[str], timeout_s: float) -> Outcome:
    """Run the command on one file and look at what it wrote."""
    target = folder / f"out{TARGET.get(source.suffix.lower(), source.suffix.lower())}"
    log = folder / "log.jsonl"
    for path in folder.iterdir():
        path.unlink()
    command = [sys.executable, "-m", "deflicker", str(source), str(target), "--preset", "fast", "--log-json", str(log)]
    done = subprocess.run(
        [*command, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
    )
    left = sorted(path.name for path in folder.iterdir() if path not in (target, log))
    if left or (done.returncode and target.exists()):
        raise RuntimeError(f"{source}: left behind: {left or target.name}")
    if done.returncode:
        return Outcome(done.returncode, done.stderr.strip().replace(f"{source}", source.name), {}, ())
    report = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    said = [*report["copied"], *report["dropped"], *report["notes"], *report["damage"]]
    return Outcome(0, "", report, tuple(compare(facts_of(source), facts_of(target), said)))


def what_is_odd(readme: Path) -> dict[str, str]:
    """The last column of a README's table, by file name."""
    if not readme.exists():
        return {}
    rows = [line.strip("|").split("|") for line in readme.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    return {cells[0].strip(): cells[-1].strip() for cells in rows if len(cells) > 3}


def row(source: Path, odd: str, outcome: Outcome) -> str:
    """One line of the table."""
    if outcome.code:
        said = f"refused, exit code {outcome.code}: {outcome.line.removeprefix('deflicker: ')}"
        return f"| {source.name} | {odd} | {_cell(said)} | | | |"
    report, findings = outcome.report, outcome.findings
    frames = next((finding.detail for finding in findings if finding.name == "frames"), str(report["frames"]))
    done = "packets copied" if report["codec"] == "copy" else f"encoded with {report['codec']}"
    kept = ", ".join(f.name for f in findings if f.verdict == "kept" and f.name != "frames")
    lost = [f"**{f.name} lost in silence** {f.detail}" for f in findings if f.verdict == "lost"]
    said = [*report["dropped"], *(f"damaged: {what} ({n}x)" for what, n in report["damage"].items()), *report["notes"]]
    return f"| {source.name} | {odd} | {done} | {frames} | {kept} | {_cell('; '.join([*lost, *said]))} |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def rows(folder: Path, odd: dict[str, str], only: str, timeout_s: float) -> Iterator[tuple[str, bool]]:
    """Lines of the table, each with whether the run is as it should be; a line like the one before is left out."""
    with tempfile.TemporaryDirectory() as scratch:
        for source in sorted(path for path in folder.iterdir() if path.is_file() and only in path.name):
            last = ""
            for extra in RUNS:
                outcome = try_file(source, Path(scratch), extra, timeout_s)
                line = row(source, odd.get(source.name, ""), outcome)
                if line != last or not outcome.sound:
                    yield line, outcome.sound
                last = line


def put_into(document: str, table: str) -> str:
    """The document with the table between its marks. Raises ValueError where it has none."""
    made, count = re.subn(rf"({START}.*?-->\n).*?(?={END})", lambda m: f"{m[1]}{table}\n", document, flags=re.DOTALL)
    if not count:
        raise ValueError(f"the document has no marks {START} … --> and {END}")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readme", type=Path, help="where a table says what each file is; default: beside the folder")
    parser.add_argument("--into", type=Path, help="a document that has the marks of the table")
    parser.add_argument("--only", default="", help="files whose name has this word")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each run")
    options = parser.parse_args()
    odd = what_is_odd(options.readme or options.folder.parent / "README.md")
    versions = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    lines, sound = [f"Made on {datetime.date.today()} with {versions}.", "", *HEAD], True
    print("\n".join(HEAD))
    for line, good in rows(options.folder, odd, options.only, options.timeout):
        print(line, flush=True)
        lines.append(line)
        sound = sound and good
    if options.into:
        document = options.into.read_text(encoding="utf-8")
        options.into.write_text(put_into(document, "\n".join(lines)), encoding="utf-8")
    print("every run is as it should be" if sound else "some runs are not as they should be", file=sys.stderr)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
