"""The command as a user meets it: exit codes, one-line errors, what is on stderr, what is left behind."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from deflicker import __version__
from deflicker.cli import main as cli
from deflicker.cli.exit_codes import exit_status
from deflicker.core.errors import InputError, WeightsError
from deflicker.core.presets import PRESETS
from deflicker.core.progress import Progress
from deflicker.core.values import RawVideo, Span, TimePoint
from deflicker.report.model import Flicker, Plan, Report
from deflicker.report.text import outlook, summary
from tests.assets import make_sound, make_video
from tests.report.made import measures

Command = Callable[..., subprocess.CompletedProcess[str]]

REPORT = Report(
    source="in.mp4",
    target="out.mp4",
    frames=12,
    shots=1,
    frames_changed=9,
    duration_s=0.48,
    elapsed_s=2.0,
    device="cpu",
    device_reason="no GPU",
    flicker_before=Flicker(3.0, 2.0),
    flicker_after=Flicker(0.5, 0.25),
    codec="libx264",
    copied=("audio (aac)", "chapters"),
    dropped=("cover.png: mp4 holds no attachments",),
    notes=("the last frame has no timestamp",),
)
PLAN = Plan(
    source="in.mp4",
    target=Path("out.mp4"),
    video="h264, 96x64, 25 fps",
    streams=("audio (aac): copied",),
    shots=(0, 7),
    frames=12,
    encoder="libx264 crf 16",
    device="cpu",
    device_reason="no GPU",
    memory_bytes=2**30,
    seconds=3,
    notes=(),
)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- Asking for information -------------------------------------------------------------------------------------------


def test_version(command: Command) -> None:
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"deflicker {__version__}\n", "")


TWELVE = [
    "strength",
    "preset",
    "anchor",
    "exclude",
    "start",
    "end",
    "overwrite",
    "crf",
    "report",
    "compare",
    "dry-run",
    "output-dir",
]


def shown_options(text: str) -> set[str]:
    return set(re.findall(r"^│ --([a-z-]+)", text, re.MULTILINE))


def test_help_shows_the_twelve_usual_options_and_help_all_the_rest_by_panel(command: Command) -> None:
    usual, full = (command(option, COLUMNS="120", TERMINAL_WIDTH="120") for option in ("--help", "--help-all"))
    for done in (usual, full):
        assert (done.returncode, done.stderr) == (0, "")
        assert "Exit codes" in done.stdout
    assert shown_options(usual.stdout) == {*TWELVE, "help", "help-all"}
    rest = "precision encoder-preset decoder compare-style lpips autoencoder device codec keep-flashes log-json version"
    assert shown_options(full.stdout) > {*TWELVE, *rest.split()}
    panels = "Correction", "Input", "Output", "Many videos", "Hardware and weights", "Logging and information"
    assert [panel for panel in panels if panel not in full.stdout] == []


@pytest.mark.parametrize("word", ["doctor", "--doctor"])
def test_doctor(command: Command, tmp_path: Path, word: str) -> None:
    done = command(word, DEFLICKER_CACHE=str(tmp_path / "nothing"))
    assert done.returncode == 5, done.stderr
    subjects = [line.split()[0] for line in done.stdout.splitlines()]
    networks = sorted({preset.flow_network for preset in PRESETS.values()})
    assert subjects == ["deflicker", "python", "torch", "device", "av", "encoders", *networks, "cache"]
    assert "does not work" not in done.stdout
    assert str(tmp_path / "nothing") in done.stdout


# --- Mistakes ---------------------------------------------------------------------------------------------------------


def test_nothing_given_is_a_hint(command: Command) -> None:
    done = command()
    assert (done.returncode, done.stdout) == (2, "")
    for line in ("deflicker in.mp4 out.mp4", "deflicker explain in.mp4", "deflicker --help"):
        assert line in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["in.mp4", "out.mp4", "--strenght", "1"], "did you mean --strength?"),
        (["in.mp4", "out.mp4", "--keep-flash"], "did you mean --keep-flashes?"),
        (["mesure", "in.mp4"], "did you mean: deflicker measure?"),
        (["in.mp4"], "try: deflicker in.mp4 in_steady.mp4"),
        (["-"], "try: deflicker - steady.mp4"),
        (["nowhere.mp4"], "nowhere.mp4: no such file"),
        (["https://example.org/in.mp4", "out.mp4"], "download the video first"),
        (["in.mp4", "folder"], "such as folder/in.mp4"),
        (["in.mp4", "new/"], "there is no folder new/"),
        (["folder", "out.mp4"], "for its images folder/%03d.png"),
        (["folder/*.png", "out.mp4"], "frames/%05d.png"),
        (["folder/001.png", "folder/002.png", "out.mp4"], "for numbered images folder/%03d.png"),
        (["in.mp4", "out.mp4", "--strength"], "--strength' needs a value; usage: deflicker IN OUT"),
        (["in.mp4", "out.mp4", "--jobs", "some"], "it must be a valid integer"),
        (["explain"], "usage: deflicker explain IN, and deflicker explain --help"),
        (["explain", "in.mp4", "--preste", "fast"], "did you mean --preset? deflicker explain --help"),
    ],
)
def test_a_mistake_gets_the_nearest_thing_that_works(command: Command, clip: Path, words: list[str], hint: str) -> None:
    (clip.parent / "folder").mkdir()
    for number in (1, 2):
        (clip.parent / "folder" / f"00{number}.png").touch()
    done = command(*words)
    assert done.returncode in (2, 3, 4)
    assert (hint in done.stderr, done.stderr.count("\n")) == (True, 1), done.stderr


@pytest.mark.parametrize(
    ("words", "usage"), [(["help"], "deflicker IN OUT"), (["help", "explain"], "deflicker explain IN")]
)
def test_help_is_a_command_too(command: Command, words: list[str], usage: str) -> None:
    done = command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {usage} [OPTIONS]" in done.stdout
    assert [kind for kind in ("<bool>", "<Path>", "<list", "<float") if kind in done.stdout] == []


@pytest.mark.parametrize(("given", "meant"), [("matroska", "mkv"), ("yuv4mpegpipe", "y4m"), ("rawvideo", "raw")])
def test_ffmpeg_s_names_of_formats(pipeline: Any, clip: Path, tmp_path: Path, given: str, meant: str) -> None:
    seen: list[Any] = []
    pipeline.deflicker = lambda source, target, settings, on_progress: seen.append(settings) or REPORT
    assert main(pipeline, clip, tmp_path / "out.mp4", "-f", given) == 0
    assert seen[0].format == meant


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--strength", "1.5"], "strength"),
        (["--strength", "much"], "strength"),
        (["--strength", "nan"], "strength"),
        (["--preset", "best"], "fast, balanced, quality"),
        (["--anchor", "2"], "anchor"),
        (["--reference", "120f"], "set anchor"),
        (["--anchor", "1", "--reference", "nowhere.png"], "not an image file, a frame"),
        (["--without", "seams"], "--without"),
        (["--device", "tpu"], "cuda:N"),
        (["--precision", "fp8"], "bf16"),
        (["--crf", "low"], "crf"),
        (["--start", "soon"], "--start"),
        (["--end", "1:x"], "--end"),
        (["--exclude", "1:30"], "--exclude: '1:30' is not a part"),
        (["--exclude", "20f-10f"], "--exclude: 20f-10f ends before it begins"),
        (["--max-memory", "lots"], "--max-memory"),
        (["--max-memory", "0"], "max_memory"),
        (["-e", "tune"], "KEY=VALUE"),
        (["-q", "-v"], "exclude"),
        (["--sharpen"], "--sharpen"),
        (["third.mp4"], "third.mp4"),
        (["--log-json", "in.mp4"], "--log-json"),
        (["--log-json", "./out.mp4"], "--log-json"),
    ],
)
def test_bad_option(command: Command, clip: Path, tmp_path: Path, options: list[str], word: str) -> None:
    before = listing(tmp_path)
    done = command(clip, "out.mp4", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert word in done.stderr
    assert listing(tmp_path) == before


def bad_paths(folder: Path) -> dict[str, tuple[str, str, int]]:
    """By name: IN, OUT and the exit code they deserve. Makes the files."""
    make_video(folder / "in.mp4")
    make_sound(folder / "sound.m4a")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("This is no video.\n" * 50)
    (folder / "there.mp4").write_text("precious")
    (folder / "folder").mkdir()
    (folder / "link.mp4").symlink_to("in.mp4")
    return {
        "missing input": ("nowhere.mp4", "out.mp4", 3),
        "folder as input": ("folder", "out.mp4", 3),
        "empty input": ("empty.mp4", "out.mp4", 3),
        "device as input": ("/dev/null", "out.mp4", 3),
        "no folder for the output": ("in.mp4", "no/where/out.mp4", 4),
        "file as folder": ("in.mp4", "text.mp4/out.mp4", 4),
        "folder as output": ("in.mp4", "folder", 4),
        "existing output": ("in.mp4", "there.mp4", 4),
        "output is the input": ("in.mp4", "in.mp4", 4),
        "output is the input by another name": ("in.mp4", "link.mp4", 4),
        "text for a video": ("text.mp4", "out.mp4", 3),
        "sound only": ("sound.m4a", "out.mp4", 3),
        "no such container": ("in.mp4", "out.docx", 4),
    }


EARLY = [
    "missing input",
    "folder as input",
    "empty input",
    "device as input",
    "no folder for the output",
    "file as folder",
    "folder as output",
    "existing output",
    "output is the input",
    "output is the input by another name",
]
LATE = ["text for a video", "sound only", "no such container"]


@pytest.mark.parametrize("case", [*EARLY, *LATE])
def test_bad_path(command: Command, tmp_path: Path, case: str) -> None:
    source, target, code = bad_paths(tmp_path)[case]
    before = listing(tmp_path)
    overwrite = ["-y"] if "input by" in case or case == "output is the input" else []
    done = command(source, target, *overwrite)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    assert done.stderr.startswith("deflicker: ")
    assert "bug" not in done.stderr
    assert listing(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="a name no such system allows")
def test_odd_file_names_are_shown_as_they_are(command: Command) -> None:
    done = command("[red]two\nlines.mp4", "out.mp4")
    assert (done.returncode, done.stderr) == (3, "deflicker: [red]two lines.mp4: no such file\n")


@pytest.mark.parametrize("options", [["--codec", "nonsense"], ["--pix-fmt", "nonsense"], ["--device", "cuda:99"]])
def test_option_the_pipeline_refuses(command: Command, clip: Path, tmp_path: Path, raft: None, options: Any) -> None:
    before = listing(tmp_path)
    done = command(clip, "out.mp4", "--preset", "fast", *options)
    assert done.returncode in (1, 2, 4)
    assert done.stderr.splitlines()[-1].startswith("deflicker: ")
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr
    assert listing(tmp_path) == before


def test_offline_without_weights(command: Command, clip: Path, tmp_path: Path) -> None:
    before = listing(tmp_path)
    done = command(clip, "out.mp4", "--offline", DEFLICKER_CACHE=str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1), done.stderr
    assert listing(tmp_path) == before


# --- A run through the real pipeline ----------------------------------------------------------------------------------


def test_run(command: Command, clip: Path, tmp_path: Path, raft: None) -> None:
    done = command(clip, "out.mp4", "--preset", "fast", "--log-json", "log.jsonl")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    words = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert words[:3] == ["frames", "device", "flicker"]
    assert words[-1] == "written"
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
    with av.open(clip) as before, av.open(tmp_path / "out.mp4") as after:
        assert [stream.type for stream in after.streams] == ["video", "audio"]
        times = [[frame.time for frame in container.decode(video=0)] for container in (before, after)]
        assert times[0] == times[1]
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["start", "result"]
    assert events[-1]["frames"] == 12
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.mp4", "log.jsonl"}


def test_strict(command: Command, clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    middle = data.index(b"mdat") + 3000
    data[middle : middle + 400] = bytes(400)
    (tmp_path / "torn.mp4").write_bytes(data)
    done = command("torn.mp4", "out.mp4", "--strength", "0", "--strict", "--start", "0")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
    assert "leave out --strict" in done.stderr
    assert not (tmp_path / "out.mp4").exists()
    done = command("torn.mp4", "out.mp4", "--strength", "0", "--start", "0", "--log-json", "log")
    assert done.returncode == 0, done.stderr
    assert "\ndamaged: " in done.stderr
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    damage = {event["what"]: event["times"] for event in events if event["event"] == "damage"}
    assert damage == events[-1]["damage"] != {}


def test_overwrite(command: Command, clip: Path, tmp_path: Path, raft: None) -> None:
    (tmp_path / "out.mp4").write_text("old")
    done = command(clip, "out.mp4", "--preset", "fast", "-y", "-q", "--end", "6f")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with av.open(tmp_path / "out.mp4") as output:
        assert sum(1 for _ in output.decode(video=0)) == 6


def test_dry_run_writes_nothing(command: Command, clip: Path, tmp_path: Path, raft: None) -> None:
    before = listing(tmp_path)
    done = command(clip, "out.mp4", "--preset", "fast", "--dry-run")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.splitlines()[-1] == "output:  out.mp4 (dry run: nothing was written)"
    assert listing(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_interrupted_run_leaves_nothing(tmp_path: Path, raft: None, number: signal.Signals) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=250, width=192, height=144)
    words = [sys.executable, "-m", "deflicker", "in.mp4", "out.mp4", "--preset", "quality", "--log-json", "log"]
    with started(words, tmp_path) as process:
        wait_for(lambda: '"progress"' in (tmp_path / "log").read_text() if (tmp_path / "log").exists() else False)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "deflicker: interrupted\n")
    assert {path.name for path in tmp_path.iterdir()} == {clip.name, "log"}
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["exit_code"] == 130


@contextmanager
def started(words: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that minds signals, also where these tests run as a background job that does not; never left over."""

    def mind() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=mind) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- The command around a stand-in for the pipeline -------------------------------------------------------------------


@pytest.fixture
def pipeline() -> Iterator[types.SimpleNamespace]:
    """A pipeline that does nothing; tests replace its functions."""

    def work(source: Path, target: Path, settings: Any, *, on_progress: Callable[[Progress], None]) -> Report:
        for frame in range(13):
            on_progress(Progress("frames", frame, 12))
        return REPORT

    yield types.SimpleNamespace(deflicker=work, plan=lambda *_, on_progress: PLAN)
    assert logging.getLogger("deflicker").handlers == []


def main(pipeline: Any, *words: object) -> int:
    with pytest.raises(SystemExit) as exit:
        cli.main([str(word) for word in words], pipeline=pipeline)
    assert isinstance(exit.value.code, int)
    return exit.value.code


def test_summary_is_on_stderr(pipeline: Any, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(pipeline, clip, tmp_path / "out.mp4") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "frames:  12 in 1 shot, 2.0 s (6.0 frames a second)",
        "device:  cpu: no GPU",
        "flicker: whole picture 3.00 -> 0.50, regions 2.00 -> 0.25 (levels of 255)",
        "changed: 9 of 12 frames, encoded with libx264",
        "copied:  audio (aac), chapters",
        "dropped: cover.png: mp4 holds no attachments",
        "note:    the last frame has no timestamp",
        "written: out.mp4",
    ]


def test_summary_of_what_went_wrong() -> None:
    values = vars(REPORT) | {"damage": (("a picture is torn", 2), ("it ends early", 1)), "frames_diverged": 1}
    assert summary(Report(**values))[6:9] == [
        "damaged: a picture is torn (2 times)",
        "damaged: it ends early",
        "uncorrected: 1 frame, for which no valid correction was found",
    ]


def test_summary_of_nothing_to_do() -> None:
    values = vars(REPORT) | {"frames_changed": 0, "flicker_before": None, "copied": (), "dropped": (), "notes": ()}
    assert summary(Report(**values))[2] == "changed: nothing to correct; encoded with libx264"
    values["codec"] = "copy"
    copied = "changed: nothing to correct: source packets copied"
    assert summary(Report(**values))[2:] == [copied, "why:     deflicker explain in.mp4", "written: out.mp4"]
    for given in ({"source": "-"}, {"device": "none"}):  # a pipe is gone; strength 0 was not to correct anything
        assert summary(Report(**values | given))[2:] == [copied, "written: out.mp4"]


def test_summary_says_what_was_measured_where_it_was() -> None:
    lines = summary(Report(**vars(REPORT) | {"measures": measures()}))
    assert lines[2] == "flicker: whole picture 2.00 -> 0.50, regions 2.00 -> 0.50 (levels of 255)"


def test_dry_run_shows_the_plan(pipeline: Any, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(pipeline, clip, tmp_path / "out.mp4", "--dry-run") == 0
    assert capsys.readouterr() == ("", "\n".join(outlook(PLAN)) + "\n")
    assert "frames:  12 in 2 shots, starting at frame 0, 7" in outlook(PLAN)


def test_options_become_settings(pipeline: Any, clip: Path, tmp_path: Path) -> None:
    seen: list[Any] = []
    pipeline.deflicker = lambda source, target, settings, on_progress: seen.append(settings) or REPORT
    words = "--strength 0.5 --preset fast --device cpu --precision fp32 --codec libx265 --crf 20.5 "
    words += "--encoder-preset slow --space both --autoencoder own --decoder h264 "
    words += "--pix-fmt yuv420p10le -e tune=grain -e x=a=b --start 1:30.5 --end 2700f --max-memory 8G --weights w "
    words += "--offline -y --strict --anchor 0.7 --reference 120f --guide g.mp4 "
    words += "--exclude 1:30-1:35.5 --exclude 120f-140f --keep-flashes --resume "
    words += "--texture hold --hold 0.6 "
    words += "--format mkv --fps 23.976 --rawvideo 64x48@24 --deinterlace auto"
    assert main(pipeline, clip, tmp_path / "out.mp4", *words.split()) == 0
    values = vars(seen[0])
    assert (values.pop("start"), values.pop("end")) == (TimePoint(seconds=Fraction(181, 2)), TimePoint(frame=2700))
    assert values == {
        "strength": 0.5,
        "preset": "fast",
        "device": "cpu",
        "precision": "fp32",
        "space": "both",
        "autoencoder": "own",
        "decoder": "h264",
        "max_memory": 8 * 2**30,
        "codec": "libx265",
        "crf": 20.5,
        "encoder_preset": "slow",
        "pix_fmt": None,
        "format": "mkv",
        "fps": Fraction(2997, 125),
        "raw_video": RawVideo(64, 48, Fraction(24), "yuv420p10le"),
        "encoder_options": {"tune": "grain", "x": "a=b"},
        "anchor": 0.7,
        "reference": TimePoint(frame=120),
        "guide": Path("g.mp4"),
        "exclude": (Span.parse("90-95.5"), Span(TimePoint(frame=120), TimePoint(frame=140))),
        "keep_flashes": True,
        "texture": "hold",
        "hold": 0.6,
        "weights": Path("w"),
        "offline": True,
        "overwrite": True,
        "strict": True,
        "resume": True,
        "deinterlace": "auto",
    }


def test_a_reference_is_an_image_where_there_is_one(pipeline: Any, clip: Path, tmp_path: Path) -> None:
    seen: list[Any] = []
    pipeline.deflicker = lambda source, target, settings, on_progress: seen.append(settings.reference) or REPORT
    image = tmp_path / "12f"
    image.write_bytes(b"an image")
    for reference in (image, "12f", "1:30"):
        assert main(pipeline, clip, tmp_path / "out.mp4", "--anchor", 1, "--reference", reference) == 0
    assert seen == [image, TimePoint(frame=12), TimePoint(seconds=Fraction(90))]


def test_json_log(pipeline: Any, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = pipeline.deflicker

    def warn(*arguments: Any, **options: Any) -> Report:
        logging.getLogger("deflicker").warning("odd: %s", "thing")
        logging.getLogger("deflicker").info("detail")
        return replace(work(*arguments, **options), damage=(("a picture is torn", 2),))

    pipeline.deflicker = warn
    log = tmp_path / "log"
    log.write_text('{"event": "earlier"}\n')
    assert main(pipeline, clip, tmp_path / "out.mp4", "--log-json", log, "-q", "--start", "3f") == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events] == ["earlier", "start", "warning", "progress", "damage", "result"]
    assert events[2]["message"] == "odd: thing"
    assert events[3]["frames_total"] == 12
    assert (events[4]["what"], events[4]["times"]) == ("a picture is torn", 2)
    assert events[5]["flicker_after"] == {"whole": 0.5, "local": 0.25}
    assert capsys.readouterr() == ("", "")


def test_json_log_of_a_failure(pipeline: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert main(pipeline, tmp_path / "nowhere.mp4", tmp_path / "out.mp4", "--log-json", log) == 3
    event = json.loads(log.read_text().splitlines()[-1])
    assert (event["event"], event["type"], event["exit_code"]) == ("error", "InputError", 3)


def test_unwritable_log(pipeline: Any, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(pipeline, clip, tmp_path / "out.mp4", "--log-json", tmp_path) == 4
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (InputError("broken"), 3, "broken"),
        (WeightsError("none"), 5, "none"),
        (ValueError("two\nlines"), 1, "this is a bug in deflicker: ValueError: two lines"),
        (MemoryError(), 1, "out of memory"),
        (OSError(28, "No space left on device"), 4, "disk is full"),
        (ModuleNotFoundError("No module named 'torch'"), 1, "deflicker doctor"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures(
    pipeline: Any, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Any, code: int, word: str
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    pipeline.deflicker = fail
    assert main(pipeline, clip, tmp_path / "out.mp4") == code == exit_status(error)[0]
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert word in err
    assert main(pipeline, clip, tmp_path / "out.mp4", "-v") == code
    assert "Traceback" in capsys.readouterr().err


def test_progress_bar(pipeline: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main(pipeline, clip, tmp_path / "out.mp4") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "12/12" in err
    assert "\nwritten: out.mp4" in err
    assert main(pipeline, clip, tmp_path / "out.mp4", "-q") == 0
    assert capsys.readouterr() == ("", "")


STAND_IN = """
    import sys, time, types, pathlib
    from deflicker.cli.main import main
    def work(source, target, settings, on_progress):
        part = pathlib.Path("out.part")
        try:
            part.touch()
            time.sleep(30)
        finally:
            time.sleep(0.3)  # a clean-up that a second signal could break into
            part.unlink()
    main(["in.mp4", "out.mp4"], pipeline=types.SimpleNamespace(deflicker=work))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_run_the_clean_up(clip: Path, tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", textwrap.dedent(STAND_IN)]
    with started(words, tmp_path) as process:
        wait_for((tmp_path / "out.part").exists)
        process.send_signal(number)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "deflicker: interrupted\n")
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}
