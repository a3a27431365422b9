"""The benchmark of redrawn pairs: its drawings, its other methods, and what it counts."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from scripts.bench.options import pair
from scripts.bench.output import read_json, write_json
from scripts.bench.redrawn import methods, page
from scripts.bench.redrawn.run import INPUT, SOURCE, Row
from scripts.bench.redrawn.scores import Judge, Scores, far_places, laplacian_energy
from scripts.bench.redrawn.styles import STYLES, redrawn
from tests.stills import no_motion, still

SOURCE_CLIP = still(8)


def judge(drawn: torch.Tensor) -> Judge:
    """Of a source that stands still."""
    return Judge(drawn, no_motion(SOURCE_CLIP), no_motion(still(len(far_places(8)) + 1)))


@pytest.mark.parametrize("style", STYLES)
def test_each_frame_is_drawn_anew_in_the_tone_of_its_source(style: str) -> None:
    drawn = redrawn(SOURCE_CLIP, style, 3)
    assert torch.equal(drawn, redrawn(SOURCE_CLIP, style, 3))
    assert (drawn[0] - drawn[1]).abs().mean() > 0.005
    assert (drawn.mean((1, 2, 3)) - SOURCE_CLIP.mean((1, 2, 3))).abs().max() < 0.03


def test_a_drawing_that_stays_has_no_error_near_or_far() -> None:
    drawn = redrawn(SOURCE_CLIP, "mosaic", 1)
    stays = drawn[:1].expand_as(drawn)
    found, given = judge(drawn).scores(stays), judge(drawn).scores(drawn)
    assert (found.ewarp, found.far) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3))
    assert given.ewarp > 1
    assert given.far > 1
    assert given.sharpness == pytest.approx(1)
    assert found.lpips is None


def test_far_places_end_with_the_last_frame() -> None:
    assert far_places(24)[-1] == 23
    assert 0 not in far_places(24)


@pytest.mark.parametrize("name", [*methods.GUIDED, *methods.BLIND])
def test_every_method_steadies_a_redrawn_still(name: str) -> None:
    drawn = redrawn(SOURCE_CLIP, "network", 1)
    method = (methods.GUIDED | methods.BLIND)[name]
    result = method(drawn, SOURCE_CLIP, no_motion(drawn))
    assert result.shape == drawn.shape
    assert torch.equal(result[0], drawn[0])
    assert judge(drawn).scores(result).ewarp < 0.9 * judge(drawn).scores(drawn).ewarp


def test_recursion_blurs() -> None:
    drawn = redrawn(SOURCE_CLIP, "network", 1)
    result = methods.recursion(0.8)(drawn, SOURCE_CLIP, no_motion(drawn))
    assert laplacian_energy(result[4:]) < 0.6 * laplacian_energy(drawn[4:])


def test_the_table_says_what_is_left_beyond_the_source() -> None:
    rows = [
        Row(pair, method, 8, 1.0, Scores(ewarp, far, 1.0, None))
        for pair in ("a", "b")
        for method, ewarp, far in ((SOURCE, 10.0, 4.0), (INPUT, 110.0, 20.0), ("deflicker", 30.0, 10.0))
    ]
    table = page.table(rows)
    assert all(len(row) == len(table[0]) for row in table)
    assert table[3][3] == table[-1][3] == "−80 %"
    assert table[3][5] == table[-1][5] == "−50 %"
    assert table[-1][0] == "mean of 2"


def test_rows_are_written_without_paths_and_read_back(tmp_path: Path) -> None:
    row = Row("a", "deflicker", 8, 1.0, Scores(30.0, 10.0, 1.0, None))
    file = tmp_path / "rows.json"
    write_json(argparse.Namespace(json=file, pairs=[pair("edit.mp4=source.mp4")], command="redrawn", frames=8), [row])
    command, files = read_json([file])
    assert (command, files[0]["settings"]) == ("redrawn", {"frames": 8})
    assert [Row.from_dict(each) for each in files[0]["rows"]] == [row]


def test_a_pair_needs_a_source() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="EDIT=SOURCE"):
        pair("edit.mp4")
