#!/usr/bin/env python
"""Show that the fault tests can fail: `scripts/break_protections.py [WORD ...]`.

In a copy of this tree each protection is taken out, one at a time, and its test is run: it must fail. Prints the table
of docs/faults.md, of all or of those lines that hold one of the words, and exits with 1 where a test still passes. A
protection is found by its text, in whatever module it is; tests/test_break_protections.py holds that each is there
once, and its test too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HANG_S = 300
COPIED = ("deflicker", "tests", "samples", "scripts", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Break:
    """One protection, and how it is taken out."""

    fault: str
    without: str
    old: str
    new: str
    test: str

    def places(self, root: Path = ROOT) -> list[Path]:
        """The module of the protection, once for each time that its text is there."""
        texts = {path: path.read_text(encoding="utf-8") for path in sorted((root / "deflicker").rglob("*.py"))}
        return [path for path, text in texts.items() for _ in range(text.count(self.old))]


FAULTS, FILES, WEIGHTS, THREADS, RUNNER, CHAIN = (
    "tests/test_faults.py",
    "tests/core/test_files.py",
    "tests/core/test_weights.py",
    "tests/core/test_threads.py",
    "tests/pipeline/checkpoint/test_runner.py",
    "tests/pipeline/checkpoint/test_chain.py",
)
_STALE = ("        remove_stale(parent, prefix, suffix, lock_type)\n", "")
_DISCARD = ("    except BaseException:\n        writer.discard()\n", "    except BaseException:\n        pass\n")
_FFMPEG = (
    "except (av.FFmpegError, OSError) as error:\n            reason",
    "except ZeroDivisionError as error:\n            reason",
)
BREAKS = (
    Break("`kill -9`", "what is stale is not looked for", *_STALE, f"{FAULTS}::test_killed_at_any_point[2]"),
    Break("killed with images under way", "what is stale is not looked for", *_STALE,
          f"{FILES}::test_images_of_a_killed_run_are_removed_by_the_next"),
    Break("killed while a pipe is stored", "what is stale is not looked for", *_STALE,
          f"{FILES}::test_a_stored_pipe_of_a_killed_run_is_removed_by_the_next"),
    Break("killed in a download", "what is stale is not looked for", *_STALE,
          f"{FILES}::test_a_download_of_a_killed_run_is_removed_by_the_next"),
    Break("killed while weights are kept", "what is stale is not looked for", *_STALE,
          f"{WEIGHTS}::test_what_a_killed_fetch_left_in_the_cache_goes_and_what_others_write_stays"),
    Break("`kill -9` with `--resume`", "frames that the stages hold are not counted",
          "for _ in range(last.frames, last.frames_in):", "for _ in range(0):",
          f"{RUNNER}::test_killed_and_taken_up_again[1]"),
    Break("`kill -9` with `--resume`", "what is unfinished has its name at once",
          'path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")', "path",
          f"{CHAIN}::test_what_is_unfinished_goes"),
    Break("damaged progress", "hashes are not compared",
          'if hashlib.file_digest(file, "sha256").hexdigest() != value:', "if not file:",
          f"{CHAIN}::test_damage_is_found"),
    Break("progress that asks for code", "any class is built",
          "return _CLASSES[name](", "return _CLASSES.get(name, dict)(",
          "tests/core/test_blocks.py::test_nothing_but_what_is_marked_is_built"),
    Break("other circumstances", "they are not compared", "if before.get(name) != now.get(name)", "if name is None",
          f"{RUNNER}::test_other_settings_start_afresh"),
    Break("progress cannot be written", "that ends the run",
          "        self._keeps = False\n        self._chain.give_up()\n",
          "        raise error\n", f"{RUNNER}::test_progress_that_cannot_be_kept_does_not_end_the_run"),
    Break("two runs with `--resume`, one OUT", "no lock", "            lock.acquire(blocking=False)\n",
          "            folder.joinpath(name).touch()\n", f"{RUNNER}::test_a_second_run_is_refused"),
    Break("two runs, one OUT", "a folder that is in use passes for a stale one",
          "        return  # another run writes there, or has just finished\n", "        shutil.rmtree(folder)\n",
          f"{FAULTS}::test_two_runs_write_the_same_output"),
    Break("two runs, one OUT", "the later one replaces what is there",
          "            os.link(self.written, self.path)", "            os.replace(self.written, self.path)",
          f"{FAULTS}::test_two_runs_write_the_same_output[False]"),
    Break("Ctrl-C", "what is unfinished stays", *_DISCARD, f"{FAULTS}::test_interrupted_at_any_point[2-True]"),
    Break("the encoder fails", "what is unfinished stays", *_DISCARD, f"{FAULTS}::test_an_exception_anywhere"),
    Break("disk full", "FFmpeg's errors pass as they are", *_FFMPEG, f"{FAULTS}::test_a_full_disk[0.5]"),
    Break("the output folder vanishes", "FFmpeg's errors pass as they are", *_FFMPEG,
          f"{FAULTS}::test_the_output_folder_vanishes"),
    Break("disk full", "no fsync before the move",
          '            with self.written.open("rb+") as file:\n                os.fsync(file.fileno())\n', "",
          f"{FAULTS}::test_a_disk_that_fills_up_at_the_last_moment"),
    Break("read error in mid-file", "taken for damage", "    if lost:\n        raise InputError(",
          "    if lost and not path:\n        raise InputError(",
          "tests/media/test_storage.py::test_a_read_error_of_the_system_in_mid_file_is_an_error"),
    Break("truncated source", "`--strict` is not looked at", "        if self._strict:", "        if not self._path:",
          "tests/pipeline/test_video.py::test_strict_refuses_a_damaged_file"),
    Break("an exception in a thread", "it is forgotten", "            self._failure = error\n", "            pass\n",
          f"{FAULTS}::test_an_exception_anywhere"),
    Break("an exception while reading ahead", "it is forgotten", "            failure.append(error)\n",
          "            pass\n", f"{FAULTS}::test_an_exception_anywhere"),
    Break("the source hangs", "no bound on the wait",
          "            if time.monotonic() > deadline:\n                raise _stalled(\"read\")",
          "            if time.monotonic() > deadline + 20:\n                raise _stalled(\"read\")",
          f"{THREADS}::test_a_source_that_stalls_is_given_up"),
    Break("the encoder hangs", "no bound on the wait",
          "            if time.monotonic() > deadline:\n                raise _stalled(\"written\")",
          "            if time.monotonic() > deadline + 20:\n                raise _stalled(\"written\")",
          f"{THREADS}::test_a_consumer_that_stalls_is_given_up"),
    Break("GPU out of memory", "it passes for a bug", '("MemoryError", "OutOfMemoryError")', '("MemoryError",)',
          f"{FAULTS}::test_the_gpu_runs_out_of_memory"),
    Break("GPU out of memory, once", "no step down",
          '    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)', "    return False",
          f"{FAULTS}::test_the_gpu_runs_out_of_memory_and_the_run_goes_on"),
    Break("no number reaches the encoder", "a window is not looked at",
          "        diverged = not is_sound(solution, window)", "        diverged = False",
          "tests/correction/tone/test_windows.py::test_a_solve_that_diverges_changes_nothing"),
    Break("damaged weight file", "what the unpickler raises passes",
          "        except Exception as error:  # a damaged or foreign file",
          "        except ZeroDivisionError as error:  # a damaged or foreign file",
          f"{FAULTS}::test_a_damaged_weight_file"),
    Break("damaged cache", "its fingerprint is not looked at",
          "    if fingerprint(state) != network.fingerprint:", "    if not state:",
          f"{WEIGHTS}::test_damaged_cache_is_fetched_again"),
    Break("an altered download", "its hash is not looked at",
          "    if not found.startswith(prefix):", "    if not found:",
          "tests/core/test_download.py::test_an_archive_of_another_hash_is_not_even_opened"),
    Break("one cache, many runs", "it is written in its place",
          "            unfinished = folder.path / target.name\n            torch.save",
          "            unfinished = target\n            torch.save",
          f"{WEIGHTS}::test_parallel_fetches_leave_one_good_file"),
)  # fmt: skip


def outcome(folder: Path, test: str) -> str:
    """`fails`, `passes`, or what else came of a test."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-n0", "-x", "-q", "-p", "no:cacheprovider", test]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_HANG_S)
    except subprocess.TimeoutExpired:
        return "fails"  # it waits for what never comes
    return {0: "passes", 1: "fails"}.get(done.returncode, f"cannot be run: {done.stdout[-300:]}")


def main() -> int:
    words, wrong = sys.argv[1:], 0
    print("| fault | without its protection | the test |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="broken-") as place:
        folder = Path(place)
        for name in COPIED:
            source, target = ROOT / name, folder / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        for each in BREAKS:
            if words and not any(word in f"{each.fault} {each.without} {each.test}" for word in words):
                continue
            (path,) = each.places(folder)
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(each.old, each.new), encoding="utf-8")
            found = outcome(folder, each.test)
            path.write_text(text, encoding="utf-8")
            wrong += found != "fails"
            module = path.relative_to(folder / "deflicker").as_posix()
            print(f"| {each.fault} | {each.without} (`{module}`) | `{each.test}` {found} |", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
