"""How the machines of a cluster are shared out among workers. Pure arithmetic; nothing here knows a cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deflicker.core.errors import SettingsError


@dataclass(frozen=True)
class Share:
    """How many workers there are, and what each of them has."""

    workers: int
    cpus: int
    gpus: float


def share(nodes: Sequence[Mapping[str, float]], device: str, workers: int | None) -> Share:
    """What each worker gets of `nodes`, each with its numbers of `CPU` and `GPU`.

    Without a number of workers: one on each GPU or, where there is none or `device` is `cpu`, one on each node that has
    cores. More of them share GPUs and cores evenly, as many as fit. Raises SettingsError where none does, or the
    device is a certain GPU: a worker sees only its own.
    """
    if ":" in device:
        raise SettingsError(f"--device {device} names one GPU, but --ray gives each worker its own: use cuda")
    having_gpus = [node for node in nodes if node.get("GPU", 0) >= 1] if device in ("auto", "cuda") else []
    if having_gpus:
        return _on_gpus(having_gpus, workers)
    if device == "cuda":
        raise SettingsError("--device cuda: no machine of the cluster has a GPU; leave it out")
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise SettingsError("no machine of the cluster has a free core")
    wanted = workers or len(cores)
    cpus = max(1, min(cores) // math.ceil(wanted / len(cores)))
    return Share(min(wanted, sum(count // cpus for count in cores)), cpus, 0)


def _on_gpus(nodes: Sequence[Mapping[str, float]], workers: int | None) -> Share:
    total = sum(int(node["GPU"]) for node in nodes)
    wanted = workers or total
    on_each = math.ceil(wanted / total)
    cpus = min(int(node.get("CPU", 0) // (int(node["GPU"]) * on_each)) for node in nodes)
    return Share(wanted, cpus, 1 if on_each == 1 else 1 / on_each)
