"""A damaged file is read as far as it goes; a disk that fails is an error, whatever the demuxer makes of it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from deflicker.core.errors import InputError
from deflicker.media.demux import check_storage
from deflicker.media.probe import packets
from tests.media.making import make

UNREADABLE = Path("/proc/self/mem")
"""Reading from its start gives EIO."""


class Demuxer:
    """A container that yields one packet and then fails, as often as it is asked."""

    def __init__(self, path: Path, number: int) -> None:
        self.name, self._number, self.format = str(path), number, SimpleNamespace(name="matroska")

    def demux(self) -> Iterator[str]:
        yield "packet"
        raise av.error.FFmpegError(self._number, os.strerror(self._number))


def test_damage_in_a_file_that_can_be_read_is_counted(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mkv")
    container: Any = Demuxer(path, errno.EIO)
    losses: list[str] = []
    assert len(list(packets(container, losses=losses))) == len(losses) == 100


@pytest.mark.skipif(not UNREADABLE.exists(), reason="no file here that gives EIO")
def test_a_file_that_cannot_be_read_is_an_error() -> None:
    container: Any = Demuxer(UNREADABLE, errno.EIO)
    with pytest.raises(InputError, match=r"could not be read to its end: .*check its disk or network"):
        list(packets(container, losses=[]))


@pytest.mark.parametrize("name", ["ENODEV", "ENXIO", "ESTALE", "ENOTCONN", "ETIMEDOUT"])
def test_a_share_that_is_gone_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="check its disk or network"):
        check_storage(make(tmp_path / "in.mkv"), OSError(getattr(errno, name), name))


READ = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
ssize_t read(int fd, void *to, size_t n) {  /* EIO from byte FAIL_AT of the file FAIL_NAME on */
    ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length > 0) {
        name[length] = 0;
        if (!strcmp(name, getenv("FAIL_NAME"))) {
            off_t here = lseek(fd, 0, SEEK_CUR), at = atol(getenv("FAIL_AT"));
            if (here >= at) { errno = EIO; return -1; }
            if (here + (off_t) n > at) n = at - here;
        }
    }
    return real(fd, to, n);
}
"""
RUN = """
import sys
from deflicker.core.errors import InputError
from deflicker.media.reader import Reader
try:
    with Reader(sys.argv[1]) as reader:
        print(len(list(reader.frames())), reader.notes)
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler and LD_PRELOAD")
@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_read_error_of_the_system_in_mid_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "read.c").write_text(READ)
    library = tmp_path / "read.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "read.c", "-ldl"], check=True)
    path = make(tmp_path / f"in.{suffix}", pts=range(100), size=(160, 120))
    fault = {"LD_PRELOAD": str(library), "FAIL_NAME": str(path), "FAIL_AT": str(path.stat().st_size * 2 // 3)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, path], env=os.environ | fault, capture_output=True, text=True, timeout=60
    )
    assert "could not be read to its end: Input/output error: check its disk or network" in done.stdout, done
