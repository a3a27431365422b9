"""How a cluster is shared out; every number by hand."""

from __future__ import annotations

import pytest

from deflicker import SettingsError
from deflicker.pipeline.distributed.resources import Share, share

NODE = {"CPU": 8.0, "memory": 2.0**34}
GPUS = {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("nodes", "device", "workers", "expected"),
    [
        ([NODE, NODE], "auto", None, Share(2, 8, 0)),
        ([NODE, {"CPU": 4.0}], "cpu", None, Share(2, 4, 0)),  # one on each, though another would fit
        ([NODE, NODE], "auto", 1, Share(1, 8, 0)),
        ([NODE, NODE], "auto", 5, Share(5, 2, 0)),  # three on one, so 2 of 8 cores for each
        ([{"CPU": 2.0}], "auto", 9, Share(2, 1, 0)),  # no more than there are cores
        ([{"memory": 1.0}, NODE], "auto", None, Share(1, 8, 0)),
        ([GPUS, NODE], "auto", None, Share(2, 8, 1)),
        ([GPUS, GPUS], "cuda", 3, Share(3, 8, 1)),
        ([GPUS], "auto", 3, Share(3, 4, 0.5)),
        ([GPUS, NODE], "cpu", None, Share(2, 8, 0)),
    ],
)
def test_share(nodes: list[dict[str, float]], device: str, workers: int | None, expected: Share) -> None:
    assert share(nodes, device, workers) == expected


@pytest.mark.parametrize(
    ("nodes", "device", "message"),
    [([NODE], "cuda", "no machine"), ([GPUS], "cuda:1", "use cuda"), ([{"CPU": 0.0}], "auto", "no machine")],
)
def test_nothing_to_share(nodes: list[dict[str, float]], device: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        share(nodes, device, None)
