"""Where the output goes: a pipe gets nothing before that is certain, and no ending where a run fails."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from deflicker.core.errors import OutputError, ReaderGone
from deflicker.media.destination import PipeTarget, name_of, open_target
from deflicker.media.file_target import FileTarget


class Stream(io.BytesIO):
    """Takes three bytes at a time, and fails once it has taken `limit`."""

    def __init__(self, limit: int = 1000, error: type[OSError] = BrokenPipeError) -> None:
        super().__init__()
        self.limit, self.error = limit, error

    def write(self, data: Any) -> int:
        if self.tell() >= self.limit:
            raise self.error(5, "no more")
        return super().write(bytes(data[:3]))


def test_nothing_is_passed_on_before_it_is_certain() -> None:
    stream = Stream()
    pipe = PipeTarget(stream)
    assert pipe.write(b"abcdefgh") == 8
    assert stream.getvalue() == b""
    pipe.confirm()
    assert stream.getvalue() == b"abcdefgh"
    pipe.write(b"ij")
    assert stream.getvalue() == b"abcdefghij"
    pipe.commit()
    pipe.discard()
    assert stream.getvalue() == b"abcdefghij"


def test_what_is_held_back_is_passed_on_in_the_end() -> None:
    stream = Stream()
    pipe = PipeTarget(stream)
    pipe.write(b"whole")
    pipe.commit()
    assert stream.getvalue() == b"whole"


def test_what_is_given_up_never_arrives() -> None:
    stream = Stream()
    pipe = PipeTarget(stream)
    pipe.write(b"half")
    pipe.stop()
    assert pipe.write(b"an ending") == 9
    pipe.discard()
    pipe.confirm()
    assert stream.getvalue() == b""


@pytest.mark.parametrize(("error", "told"), [(BrokenPipeError, ReaderGone), (OSError, OutputError)])
def test_a_stream_that_fails(error: type[OSError], told: type[OutputError]) -> None:
    stream = Stream(limit=6, error=error)
    pipe = PipeTarget(stream)
    pipe.confirm()
    with pytest.raises(told) as raised:
        pipe.write(b"abcdefgh")
    assert type(raised.value) is told
    pipe.write(b"an ending")
    assert stream.getvalue() == b"abcdef"


def test_a_trial_touches_nothing(tmp_path: Path) -> None:
    stream = Stream()
    pipe = PipeTarget(stream, dry_run=True)
    assert isinstance(pipe.sink, io.BytesIO)
    pipe.commit()
    assert stream.getvalue() == b""
    assert os.listdir(tmp_path) == []


def test_names_and_streams(tmp_path: Path) -> None:
    assert name_of(Stream()) == "-"
    assert name_of("out.mp4") == "out.mp4"
    assert isinstance(open_target(tmp_path / "out.mp4", source=tmp_path, overwrite=False), FileTarget)
    assert isinstance(open_target(Stream(), source=tmp_path, overwrite=False), PipeTarget)
