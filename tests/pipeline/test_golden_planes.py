"""The frames that come out, by every route, are those that were recorded: see `golden`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipeline import golden

RECORDED = json.loads(Path(__file__).with_name("golden_planes.json").read_text(encoding="utf-8"))
QUICK = [*(f"made/fast/{route}" for route in golden.ROUTES), "made/balanced/resumed"]
SLOW = sorted(set(RECORDED["hashes"]) - set(QUICK))

pytestmark = pytest.mark.usefixtures("raft")


def assert_recorded(cases: list[str]) -> None:
    found = golden.run(cases)
    by_place = {case: found[case] for case in cases if not case.endswith("/frames")}
    for case, value in by_place.items():  # a resumed or divided run gives the frames of a plain one, on any machine
        clip, preset, _ = case.split("/")
        plain = by_place.get(f"{clip}/{preset}/file")
        assert plain is None or value == plain, case
    recorded, here = RECORDED["with"], golden.recorded_with()
    if cases == QUICK:  # small enough for the same sums on every x86 processor
        recorded, here = ({k: v for k, v in each.items() if k != "processor"} for each in (recorded, here))
    if here != recorded:
        pytest.skip(f"hashes were recorded with {recorded}, this is {here}; the routes agree")
    assert found == {case: RECORDED["hashes"][case] for case in cases}


def test_the_same_frames_by_every_route() -> None:
    assert_recorded(QUICK)


@pytest.mark.slow
def test_the_same_frames_of_the_samples() -> None:
    assert_recorded(SLOW)
