#!/usr/bin/env python
"""Show that the fault tests can fail: `scripts/break_protections.py [WORD ...]`.

In a copy of this tree each protection is taken out, one at a time, and its test is run: it must fail. Prints the table
of docs/faults.md, of all or of those lines that hold one of the words, and exits with 1 where a test still passes.
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
    file: str
    old: str
    new: str
    test: str


FAULTS, KEEPING, CHAIN = (
    "tests/test_faults.py",
    "tests/pipeline/checkpoint/test_runner.py",
    "tests/pipeline/checkpoint/test_chain.py",
)
BREAKS = (
    Break("`kill -9`", "leftovers are not looked for", "core/files.py",
          "    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:",
          "    with contextlib.suppress(OSError), os.scandir(path.parent / 'nowhere') as entries:",
          f"{FAULTS}::test_killed_at_any_point[2]"),
    Break("`kill -9` with `--resume`", "frames that the stages hold are not counted", "pipeline/checkpoint/runner.py",
          "for _ in range(last.frames, last.frames_in):", "for _ in range(0):",
          f"{KEEPING}::test_killed_and_taken_up_again[1]"),
    Break("`kill -9` with `--resume`", "what is unfinished has its name at once", "pipeline/store/block_files.py",
          "path.with_name(f\"{path.name}.{secrets.token_hex(4)}{PART}\")", "path",
          f"{CHAIN}::test_what_is_unfinished_goes"),
    Break("damaged progress", "hashes are not compared", "pipeline/checkpoint/chain.py",
          "if hashlib.file_digest(file, \"sha256\").hexdigest() != value:", "if not value:",
          f"{CHAIN}::test_damage_is_found"),
    Break("progress that asks for code", "any class is built", "core/blocks.py",
          "return _CLASSES[name](", "return _CLASSES.get(name, dict)(",
          "tests/core/test_blocks.py::test_nothing_but_what_is_marked_is_built"),
    Break("other circumstances", "they are not compared", "pipeline/store/fingerprint.py",
          "if before.get(name) != now.get(name)", "if name is None", f"{KEEPING}::test_other_settings_start_afresh"),
    Break("progress cannot be written", "that ends the run", "pipeline/checkpoint/runner.py",
          "        self._chain.give_up()\n        log", "        raise error\n        log",
          f"{KEEPING}::test_progress_that_cannot_be_kept_does_not_end_the_run"),
    Break("two runs with `--resume`, one OUT", "no lock", "core/files.py",
          "            if os.path.samestat(os.fstat(file), os.stat(path)):",
          "            fcntl.flock(file, fcntl.LOCK_UN)\n"
          "            if os.path.samestat(os.fstat(file), os.stat(path)):",
          f"{KEEPING}::test_a_second_run_is_refused"),
    Break("Ctrl-C", "the unfinished file stays", "pipeline/video.py",
          "    except BaseException:\n        writer.discard()\n", "    except BaseException:\n        pass\n",
          f"{FAULTS}::test_interrupted_at_any_point[2-True]"),
    Break("disk full", "FFmpeg's errors pass as they are", "media/writer.py",
          "except (av.FFmpegError, OSError) as error:", "except ZeroDivisionError as error:",
          f"{FAULTS}::test_a_full_disk[0.5]"),
    Break("disk full", "no fsync before the move", "media/file_target.py",
          "                self._lock.sync()", "                pass",
          f"{FAULTS}::test_a_disk_that_fills_up_at_the_last_moment"),
    Break("the output folder vanishes", "FFmpeg's errors pass as they are", "media/writer.py",
          "except (av.FFmpegError, OSError) as error:", "except ZeroDivisionError as error:",
          f"{FAULTS}::test_the_output_folder_vanishes"),
    Break("read error in mid-file", "taken for damage", "media/demux.py",
          "    if lost:", "    if lost and not path:",
          "tests/media/test_storage.py::test_a_read_error_of_the_system_in_mid_file_is_an_error"),
    Break("truncated source", "`--strict` is not looked at", "media/damage.py",
          "        if self._strict:", "        if not self._path:",
          "tests/pipeline/test_video.py::test_strict_refuses_a_damaged_file"),
    Break("an exception in a thread", "it is forgotten", "core/threads.py",
          "            self._failure = error\n", "            pass\n", f"{FAULTS}::test_an_exception_anywhere"),
    Break("an exception while reading ahead", "it is forgotten", "core/threads.py",
          "            failure.append(error)\n", "            pass\n", f"{FAULTS}::test_an_exception_anywhere"),
    Break("the encoder fails", "the unfinished file stays", "pipeline/video.py",
          "    except BaseException:\n        writer.discard()\n", "    except BaseException:\n        pass\n",
          f"{FAULTS}::test_an_exception_anywhere"),
    Break("GPU out of memory", "it passes for a bug", "report/text.py",
          '("MemoryError", "OutOfMemoryError")', '("MemoryError",)', f"{FAULTS}::test_the_gpu_runs_out_of_memory"),
    Break("GPU out of memory, once", "no step down", "core/oom.py",
          '    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)', "    return False",
        f"{FAULTS}::test_the_gpu_runs_out_of_memory_and_the_run_goes_on"),
    Break("damaged weight file", "what the unpickler raises passes", "core/jax_pickle.py",
          "        except Exception as error:", "        except ZeroDivisionError as error:",
          f"{FAULTS}::test_a_damaged_weight_file"),
    Break("damaged cache", "its fingerprint is not looked at", "core/weights.py",
          "    if fingerprint(state) != TABLE[name].fingerprint:", "    if not state:",
          "tests/core/test_weights.py::test_damaged_cache_is_fetched_again"),
    Break("killed while weights are kept", "leftovers are not looked for", "core/weights.py",
          "        remove_stale(target)\n", "",
          "tests/core/test_weights.py::test_what_a_killed_fetch_left_in_the_cache_goes_and_what_others_write_stays"),
    Break("killed with images, a pipe or weights under way", "leftovers are not looked for", "core/files.py",
          "        remove_stale_folders(parent, prefix, suffix)\n", "",
          "tests/core/test_files.py::test_images_of_a_killed_run_are_removed_by_the_next"),
    Break("killed while a pipe is stored", "leftovers are not looked for", "media/source.py",
          "    remove_stale(place)\n", "",
          "tests/core/test_files.py::test_what_a_killed_run_left_in_the_system_s_folder[pipe]"),
    Break("one cache, many runs", "it is written in its place", "core/weights.py",
          "    beside = part_name(target)", "    beside = target",
          "tests/core/test_weights.py::test_parallel_fetches_leave_one_good_file"),
    Break("two runs, one OUT", "the later one replaces what is there", "media/file_target.py",
          "            os.link(self.temporary, self.path)", "            os.replace(self.temporary, self.path)",
          f"{FAULTS}::test_two_runs_write_the_same_output[False]"),
    Break("two runs, one OUT", "a file that is written passes for a leftover", "core/files.py",
          "                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n                if not stat",
          "                if not stat", f"{FAULTS}::test_two_runs_write_the_same_output"),
    Break("the source hangs", "no bound on the wait", "core/threads.py",
          "            if time.monotonic() > deadline:\n                raise _stalled(\"read\")",
          "            if time.monotonic() > deadline + 20:\n                raise _stalled(\"read\")",
          "tests/core/test_threads.py::test_a_source_that_stalls_is_given_up"),
    Break("the encoder hangs", "no bound on the wait", "core/threads.py",
          "            if time.monotonic() > deadline:\n                raise _stalled(\"written\")",
          "            if time.monotonic() > deadline + 20:\n                raise _stalled(\"written\")",
          "tests/core/test_threads.py::test_a_consumer_that_stalls_is_given_up"),
    Break("no number reaches the encoder", "a window is not looked at", "correction/tone/windows.py",
          "        diverged = not is_sound(solution, window)", "        diverged = False",
          "tests/correction/tone/test_windows.py::test_a_solve_that_diverges_changes_nothing"),
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
            if words and not any(word in f"{each.fault} {each.file} {each.test}" for word in words):
                continue
            path = folder / "deflicker" / each.file
            text = path.read_text(encoding="utf-8")
            if text.count(each.old) == 0:
                found = "cannot be run: the protection is not where it was"
            else:
                path.write_text(text.replace(each.old, each.new), encoding="utf-8")
                found = outcome(folder, each.test)
                path.write_text(text, encoding="utf-8")
            wrong += found != "fails"
            print(f"| {each.fault} | {each.without} (`{each.file}`) | `{each.test}` {found} |", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
