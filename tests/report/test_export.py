"""Reports as files: the same numbers in each, whole or not at all, an error that helps."""

import csv
import json
from pathlib import Path

import pytest

from deflicker.core.errors import OutputError
from deflicker.report.export import check
from deflicker.report.results import SCHEMA
from deflicker.report.terms import GUARDS, METRICS
from tests.report.made import measurement, report


@pytest.mark.parametrize("make", [report, measurement])
def test_json_holds_every_number(make, tmp_path: Path):
    make().save(tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert found["schema"] == SCHEMA
    assert found["measures"]["metrics"].keys() == METRICS.keys()
    assert found["measures"]["metrics"]["boil"] == {
        "before": 2.0,
        "after": 0.5 if make is report else None,
        "reason": "",
    }
    assert found["measures"]["metrics"]["tcs"]["reason"]
    assert found["measures"]["guards"].keys() == (GUARDS.keys() if make is report else set())
    assert found["measures"]["course"]["frames"] == [0, 1, 2]
    assert "gallery" not in found


def test_guards_say_whether_they_hold():
    found = report().to_dict()["measures"]["guards"]
    assert found["ssim"]["holds"]
    assert not found["psnr"]["holds"]


def test_the_report_s_own_fields_are_there_too():
    found = report().to_dict()
    assert found["frames"] == 3
    assert found["settings"] == {"strength": "1.0", "codec": "None"}
    assert found["frames_per_second"] == 3


def test_csv_holds_the_same(tmp_path: Path):
    report().save(tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows if row["kind"] == "metric"} == METRICS.keys()
    assert next(row for row in rows if row["name"] == "boil")["after"] == "0.5"
    assert [(row["at"], row["before"]) for row in rows if row["name"] == "flicker"] == [
        ("0", "1"),
        ("1", ""),
        ("2", "3"),
    ]
    assert [row["at"] for row in rows if row["kind"] == "shot"] == ["0", "2"]


def test_metrics_by_name():
    found = report().measures
    assert found.metric("boil").after == 0.5
    with pytest.raises(KeyError):
        found.metric("nonsense")


@pytest.mark.parametrize("kind", ["html", "json", "csv"])
def test_nothing_is_replaced_unasked(kind, tmp_path: Path):
    path = tmp_path / f"r.{kind}"
    path.write_text("mine")
    with pytest.raises(OutputError, match="-y"):
        report().save(path)
    assert path.read_text() == "mine"
    report().save(path, overwrite=True)
    assert path.read_text(encoding="utf-8") != "mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [("r.pdf", r"\.html, \.json, \.csv"), ("none/r.html", "no folder"), ("folder.html", "a folder")],
)
def test_what_cannot_be_written(name, message, tmp_path: Path):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OutputError, match=message):
        check(tmp_path / name, overwrite=True)


def test_names_that_are_no_text(tmp_path: Path):
    report(source="in\udcff.mp4").save(tmp_path / "r.html")
    report(source="in\udcff.mp4").save(tmp_path / "r.json")
    assert "in?.mp4" in (tmp_path / "r.html").read_text(encoding="utf-8")
