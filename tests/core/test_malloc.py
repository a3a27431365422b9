"""Memory that was freed goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from deflicker.core import malloc

HOLES = """
import sys
from pathlib import Path

from deflicker.core import malloc


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


blocks = [bytearray(60_000) for _ in range(4000)]
kept, blocks = blocks[-1], None  # the last one holds the pool's end where it is
before = resident_mb()
assert list(malloc.trim_periodically(iter(range(20)), float(sys.argv[1]))) == list(range(20))
print(before - resident_mb())
"""

POOLS = """
import ctypes
import sys
import threading

from deflicker.core.malloc import use_single_arena

if sys.argv[1] == "one":
    use_single_arena()
libc = ctypes.CDLL(None)
blocks, meet = [], threading.Barrier(6)


def work():
    meet.wait()
    blocks.append(bytearray(60_000))
    meet.wait()


threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""

LARGE = """
import resource
import sys

from deflicker.core.malloc import use_single_arena

if sys.argv[1] == "one":
    use_single_arena()
for _ in range(20):
    bytearray(40_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def pools(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", POOLS, how], capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


def cleared_pages(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", LARGE, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def given_back_mb(every_s: float) -> float:
    done = subprocess.run([sys.executable, "-c", HOLES, str(every_s)], capture_output=True, text=True, check=True)
    return float(done.stdout)


glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no glibc here")


@glibc
def test_threads_share_one_pool() -> None:
    assert pools("many") > 1
    assert pools("one") == 1


@glibc
def test_large_blocks_are_not_cleared_by_the_system_each_time() -> None:
    assert cleared_pages("one") < cleared_pages("many") / 4


@glibc
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no such figures on this system")
def test_holes_go_back_to_the_system_now_and_then() -> None:
    assert given_back_mb(1000) < 20
    assert given_back_mb(0) > 150


def test_a_c_library_that_cannot() -> None:
    assert malloc.trim_of(object())() is None
    assert malloc.trim_of(None)() is None


def test_all_frames_pass() -> None:
    assert list(malloc.trim_periodically(range(40), every_s=0)) == list(range(40))
