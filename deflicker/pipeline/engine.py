"""What a run loads once, and the small copies of frames that it looks at."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from deflicker.core import weights
from deflicker.core.device import Device, choose
from deflicker.core.memory import fit
from deflicker.core.oom import Ladder, moved
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.correction.apply import Correction, relit
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.loading import OWN, bytes_of, load_autoencoder
from deflicker.correction.texture.stabilize import step_down
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.solve_oom import Solver, SparingSolver
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.flow_oom import SparingFlow
from deflicker.motion.raft.network import FLOW_NETWORKS
from deflicker.motion.tracking import Flow


@dataclass(frozen=True, eq=False)
class Engine:
    """The device, the networks on it, and the preset fitted to memory."""

    device: Device
    flow: Flow
    preset: Preset
    solver: Solver = solve
    codec: Codec | None = None
    """What texture may be steadied in the latents of; None where it is not to be."""
    texturing: Ladder = field(default_factory=step_down)
    applying: Ladder = field(default_factory=lambda: Ladder("applying corrections", ("on the CPU",)))

    @classmethod
    def load(
        cls,
        width: int,
        height: int,
        frame_bytes: int,
        settings: Settings,
        tell: OnProgress,
        networks: Networks | None = None,
    ) -> Engine:
        """Choose the device and load the weights for frames of this size, whose planes take `frame_bytes`.

        networks: those loaded before, to be used again. Raises DeviceError, WeightsError or SettingsError.
        """
        device = choose(settings.device, settings.precision)
        preset = fit(width, height, frame_bytes, settings.plan, settings.max_memory, bytes_of(settings.autoencoder))
        networks = networks or Networks()
        codec = networks.codec(device, settings) if preset.latents and preset.texture_reach else None
        flow = networks.flow(preset, device, settings, tell)
        return cls(device, flow, preset, solve if device.torch_device.type == "cpu" else SparingSolver(), codec)

    @property
    def named(self) -> dict[str, object]:
        """Its parts that what is remembered of a run refers to."""
        return {"flow": self.flow, "preset": self.preset, "solver": self.solver, "texturing": self.texturing}

    def relit(self, frame: Frame, layout: PlaneLayout, correction: Correction | None) -> Frame:
        """As the function `relit`, on the CPU once the GPU's memory has ended."""
        return self.applying.run(lambda rung: relit(frame, layout, moved(correction, "cpu") if rung else correction))


class Networks:
    """The networks that were loaded, each once. Threads may share them: they change nothing in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[tuple[object, ...], Flow] = {}
        self._codecs: dict[tuple[object, ...], Codec] = {}

    def flow(self, preset: Preset, device: Device, settings: Settings, tell: OnProgress) -> Flow:
        """The preset's flow network on a device, as `load_flow` gives it."""
        key = (preset.flow_network, preset.flow_updates, str(device.torch_device), device.dtype, settings.weights)
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = load_flow(preset, device, settings, tell)
            return self._loaded[key]

    def codec(self, device: Device, settings: Settings) -> Codec:
        """The autoencoder on a device. Raises SettingsError where there is none, or it does not fit."""
        source = settings.autoencoder or OWN
        key = (source, str(device.torch_device), device.dtype)
        with self._lock:
            if key not in self._codecs:
                self._codecs[key] = load_autoencoder(source, device.torch_device, device.dtype)
            return self._codecs[key]


def load_flow(preset: Preset, device: Device, settings: Settings, tell: OnProgress) -> Flow:
    """The preset's flow network with its weights, fetched first where that was never done."""
    tell(Progress("weights", 0, None))
    state = weights.load(FLOW_NETWORKS[preset.flow_network], path=settings.weights, offline=settings.offline)
    return flow_network(state, preset, device)


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
