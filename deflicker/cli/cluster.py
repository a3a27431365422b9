"""The Ray cluster that a command uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from deflicker.cli.json_log import JsonLog
from deflicker.core.settings import Settings

if TYPE_CHECKING:
    from deflicker.pipeline.distributed.ray_cluster import Cluster, Hello


@contextmanager
def connect(address: str, settings: Settings, count: int | None, log: JsonLog) -> Iterator[Cluster]:
    """The workers of a cluster, `count` of them or as many as it has room for."""
    from deflicker.pipeline.distributed.ray_cluster import Cluster

    def on_worker(state: str, worker: Hello) -> None:
        log.event("worker", state=state, host=worker.host, pid=worker.pid)

    # Ray prints what befalls its machines, and standard output is for programs.
    with redirect_stdout(sys.stderr), Cluster(address, settings, count, on_worker) as cluster:
        yield cluster
