"""The whole pipeline on the test device: nothing mixes devices, and what comes out is what the CPU makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from deflicker import deflicker_frames
from deflicker.core.memory import BATCH_FRAMES
from deflicker.correction.apply import _interpolation
from deflicker.correction.texture.stabilize import BLOCK
from deflicker.correction.texture.temporal_attention import load_attention
from deflicker.pipeline.run_context import Models
from tests.fake_cuda import FakeCuda
from tests.fakes import Still
from tests.pipeline.gpu_cases import LONG, QUICK, Case, boiling, brief, pumping, settings

pytestmark = [pytest.mark.usefixtures("raft"), pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*CSR")]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """What was put on the test device must not meet a real one."""
    yield
    load_attention.cache_clear()
    _interpolation.cache_clear()


def check(case: Case) -> FakeCuda:
    expected = case("cpu")
    with FakeCuda.active() as device:
        found = case("cuda")
    assert sum(device.operations.values()) > 200
    for ours, its in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, its)
    return device


@pytest.mark.parametrize("case", QUICK)
def test_it_makes_what_the_cpu_makes(case: str) -> None:
    check(QUICK[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG)
def test_so_does_what_takes_longer(case: str) -> None:
    check(LONG[case])


A_BATCH = {f"motion/{file}.py": 1 for file in ("flashes", "tracking", "duplicates", "cuts", "flow_cuts")}
"""Waits for each batch of motion, by file."""
A_WINDOW = {
    "correction/tone/solve.py": 6,  # what is to be applied, whether it is sound, and which frames it touches
    "correction/tone/pyramid.py": 2,  # which levels flicker: of curves, of cells
    "correction/tone/colour_flicker.py": 2,
    "correction/tone/seam_detection.py": 1,
    "correction/tone/rolling_shutter.py": 1,  # rows are looked at on the CPU
    "correction/tone/tone_course.py": 1,
    "correction/tone/tone_curve.py": 1,
    "correction/tone/gain_field.py": 1,
    "correction/tone/highlights.py": 1,
    "correction/tone/steady_part.py": 1,  # whether there are parts
    "metrics/flicker.py": 2,  # asked for by who wants a report of each window
}
A_SHOT = {"correction/tone/seam_detection.py": 1, "correction/tone/settling.py": 1}
A_BLOCK = {"correction/texture/boil_gate.py": 4, "correction/sharpness/sharpness_stage.py": 1}
"""For each block of texture; see `stabilize.BLOCK` and `sharpness_stage.BLOCK`."""
A_FRAME = {"correction/apply.py": 1}
"""The copy of a frame that goes to the encoder."""


@pytest.mark.parametrize(("preset", "count"), [pytest.param("fast", 34, marks=pytest.mark.slow), ("balanced", 9)])
def test_waits_for_the_device_are_few(preset: str, count: int) -> None:
    """Nothing waits in a loop over frames, levels, rounds or neighbours."""
    windows: list[object] = []
    frames = pumping(count) if preset == "fast" else boiling(count)
    models = Models(flow=Still(), adjust=brief)
    with FakeCuda.active() as device:
        asked = settings("cuda", preset=preset)
        list(deflicker_frames(frames, 24, asked, on_window=windows.append, models=models))
    times = (
        (A_BATCH, count // BATCH_FRAMES + 2),
        (A_WINDOW, len(windows)),
        (A_SHOT, 1),
        (A_BLOCK, count // BLOCK + 2),
        (A_FRAME, count),
    )
    allowed: Counter[str] = Counter()
    for each, often in times:
        allowed.update({file: waits * often for file, waits in each.items()})
    by_file: Counter[str] = Counter()
    for line, waits in device.waits.items():
        by_file[line.split()[-1].rpartition(":")[0]] += waits
    too_many = {file: (waits, allowed[file]) for file, waits in by_file.items() if waits > allowed[file]}
    assert not too_many, device.waits.most_common()
    assert len(windows) >= 1
    assert by_file["motion/cuts.py"] > 0
