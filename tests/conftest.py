"""A small video, the command as a user starts it, and weights where they can be had."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

# Read when torch is imported: threads that spin while they wait slow everything on a machine with few cores.
# One thread: clips here are tiny, and late in a long run torch pools of two threads were seen to crawl.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

from deflicker.cli.main import main
from deflicker.core.presets import PRESETS
from tests import forked
from tests.assets import make_video


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("cuda") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no GPU that this PyTorch can use")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """`in.mp4`, a dozen small flickering frames with sound."""
    return make_video(tmp_path / "in.mp4")


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `deflicker` with these arguments in the test's folder."""
    return lambda *words, **environment: forked.run(main, words, tmp_path, environment)


@pytest.fixture(scope="session")
def raft() -> None:
    """The presets' flow networks in the cache, fetched if need be. CI promises that they can be."""
    from deflicker.core import weights
    from deflicker.core.errors import WeightsError
    from deflicker.motion.raft.network import FLOW_NETWORKS

    for name in {preset.flow_network for preset in PRESETS.values()}:
        try:
            weights.load(FLOW_NETWORKS[name])
        except WeightsError as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
