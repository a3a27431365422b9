"""The verdict: "improved" takes less flicker and every guard, and nothing else does."""

import pytest

from deflicker.report.results import Guard, Metric
from deflicker.report.terms import GUARDS, LIMITS, METRICS
from deflicker.report.verdict import FLICKER, STEADY, judge_one, judge_pair

GOOD = {"sharpness": 1.0, "motion": 1.0, "psnr": 30.0, "ssim": 0.99, "lpips": 0.01, "exposure": 0.3, "changed": 80.0}


def metrics(before=2.0, after=1.0, **others):
    found = {name: Metric(name, before, after) for name in METRICS}
    return found | {name: Metric(name, *pair) for name, pair in others.items()}


def guards(**values):
    return [Guard(name, (GOOD | values)[name], *LIMITS[name]) for name in GUARDS]


def judge(found, bounds=None, *, touched=True):
    return judge_pair(found, bounds or guards(), touched=touched).judgement


def test_every_number_has_its_words():
    assert LIMITS.keys() == GUARDS.keys()
    assert set(STEADY) <= set(FLICKER) <= set(METRICS)
    for term in (*METRICS.values(), *GUARDS.values()):
        assert term.title
        assert term.meaning.endswith(".")


def test_less_flicker_and_every_guard():
    verdict = judge_pair(metrics(), guards(), touched=True)
    assert verdict.judgement == "improved"
    assert verdict.reasons[-1] == "every guard holds"
    assert any("2.00 → 1.00" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sharpness", 0.9), ("sharpness", 1.2), ("motion", 0.5), ("motion", 2.5), ("psnr", 10.0), ("ssim", 0.5),
        ("lpips", 0.4), ("exposure", 7.0),
    ],
)  # fmt: skip
def test_no_improvement_without_each_guard(name, value):
    verdict = judge_pair(metrics(), guards(**{name: value}), touched=True)
    assert verdict.judgement == "harmed"
    assert len(verdict.reasons) == 1
    assert GUARDS[name].title.lower() in verdict.reasons[0]


def test_a_guard_without_value_or_bounds_holds():
    assert judge(metrics(), guards(lpips=None)) == "improved"
    assert judge(metrics(), guards(changed=0.001)) == "improved"


@pytest.mark.parametrize(
    ("before", "after", "judgement"),
    [
        (2.0, 1.0, "improved"),
        (2.0, 2.0, "not improved"),
        (2.0, 1.95, "not improved"),
        (0.05, 0.03, "not improved"),
        (2.0, 2.5, "not improved"),
        (None, None, "not improved"),
    ],
)
def test_how_much_less(before, after, judgement):
    assert judge(metrics(before, after)) == judgement


def test_one_index_that_rises_spoils_it():
    assert judge(metrics(flicker_local_cr=(1.0, 1.5))) == "not improved"
    assert judge(metrics(flicker_local_cr=(1.0, 1.05))) == "improved"


def test_other_metrics_decide_nothing():
    """A blurred video has less warping error and better coherence."""
    better = {"ewarp_mse": (9.0, 1.0), "tcs": (0.5, 1.0), "vbench_flickering": (0.5, 1.0)}
    assert judge(metrics(1.0, 1.0, **better)) == "not improved"


def test_untouched():
    assert judge(metrics(2.0, 2.0), touched=False) == "unchanged"


@pytest.mark.parametrize(
    ("level", "judgement"), [(0.1, "steady"), (0.2, "steady"), (0.6, "flickers"), (None, "steady")]
)
def test_one_video(level, judgement):
    verdict = judge_one(metrics(level, None))
    assert verdict.judgement == judgement
    assert verdict.reasons
