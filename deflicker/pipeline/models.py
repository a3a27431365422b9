"""The networks of a run, each loaded once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from deflicker.core import weights
from deflicker.core.device import Device, choose
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.loading import OWN, load_autoencoder
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.solve_oom import Solver, SparingSolver
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.flow_oom import SparingFlow
from deflicker.motion.raft.network import FLOW_NETWORKS
from deflicker.motion.tracking import Flow

if TYPE_CHECKING:
    from deflicker.pipeline.run_context import Run


class Models:
    """The networks that were loaded, to be used again. Threads may share them: they change nothing in use.

    flow, solver: what to use in place of the preset's flow network and of the product's solver. adjust: what to change
    of a run before its first frame, such as its tone options, for experiments and tests.
    """

    def __init__(
        self,
        *,
        flow: Flow | None = None,
        solver: Solver | None = None,
        adjust: Callable[[Run], Run] = lambda run: run,
    ) -> None:
        self._flow, self._solver, self.adjust = flow, solver, adjust
        self._lock = threading.Lock()
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._codecs: dict[tuple[object, ...], Codec] = {}

    def flow(self, preset: Preset, device: Device, settings: Settings, on_progress: OnProgress) -> Flow:
        """The preset's flow network on a device, its weights fetched first where that was never done."""
        if self._flow is not None:
            return self._flow
        key = (preset.flow_network, preset.flow_updates, str(device.torch_device), device.dtype, settings.weights)
        with self._lock:
            if key not in self._flows:
                on_progress(Progress("weights", 0, None))
                record = FLOW_NETWORKS[preset.flow_network]
                state = weights.load(record, path=settings.weights, offline=settings.offline)
                self._flows[key] = flow_network(state, preset, device)
            return self._flows[key]

    def solver(self, device: Device) -> Solver:
        """What decides the tone of a window; one for each run."""
        if self._solver is not None:
            return self._solver
        return solve if device.torch_device.type == "cpu" else SparingSolver()

    def codec(self, device: Device, settings: Settings) -> Codec:
        """The autoencoder on a device. Raises SettingsError where there is none, or it does not fit."""
        source = settings.autoencoder or OWN
        key = (source, str(device.torch_device), device.dtype)
        with self._lock:
            if key not in self._codecs:
                self._codecs[key] = load_autoencoder(source, device.torch_device, device.dtype)
            return self._codecs[key]


def flow_network(state: Mapping[str, Tensor], preset: Preset, device: Device) -> Flow:
    """The flow network of these weights as a preset and a device want it."""
    network = FlowEstimator(
        state,
        device=device.torch_device,
        dtype=device.dtype,
        updates=preset.flow_updates,
        workers=device.workers,
    )
    if device.torch_device.type == "cpu":
        return network
    return SparingFlow(network, lambda: flow_network(state, preset, choose("cpu")))
