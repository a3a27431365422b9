"""What one run works with: the settings, the size of the frames, the device, and the networks on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from deflicker.core import memory, weights
from deflicker.core.device import Device, choose
from deflicker.core.memory import OVERLAY_SIDE_PX
from deflicker.core.oom import OomFallback
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.correction.apply import texture_size
from deflicker.correction.hold.hold_stage import hold_fallback
from deflicker.correction.sharpness.sharpness_stage import sharpness_fallback
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.loading import OWN, bytes_of, load_autoencoder
from deflicker.correction.texture.stabilize import texture_fallback
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.solve_oom import Solver, SolverWithOomFallback
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.media.color import proxy_size
from deflicker.media.frame import frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.flow_oom import FlowWithOomFallback
from deflicker.motion.raft.network import FLOW_NETWORKS
from deflicker.motion.tracking import Flow


@dataclass(frozen=True)
class VideoSize:
    """How large the frames are."""

    height: int
    width: int
    bytes: int
    """Of a frame's planes."""

    @classmethod
    def of(cls, info: VideoInfo) -> VideoSize:
        """Of the frames of a file."""
        return cls(info.height, info.width, frame_bytes(info.width, info.height, info.layout))

    def fitted(self, settings: Settings) -> Preset:
        """The settings' preset, made smaller where memory asks for it. Raises SettingsError."""
        codec_bytes = bytes_of(settings.autoencoder)
        return memory.fit(self.width, self.height, self.bytes, settings.plan, settings.max_memory, codec_bytes)

    def memory_bytes(self, preset: Preset, settings: Settings) -> int:
        """Memory that a run takes."""
        return memory.estimate(self.width, self.height, self.bytes, preset, bytes_of(settings.autoencoder))


@dataclass(frozen=True, eq=False)
class Run:
    """All that is settled before the first frame."""

    settings: Settings
    size: VideoSize
    device: Device
    preset: Preset
    """The settings' preset, fitted to memory."""
    flow: Flow
    solver: Solver
    tone: ToneOptions
    codec: Codec | None = None
    """What texture may be stabilised in the latents of; None where it is not to be."""
    flashes: bool = True
    """Find flashes and leave them as they are."""
    sharpness: bool = True
    """Steady sharpness that pulses, where the preset looks at texture."""
    locking: bool = True
    """Lock texture that boils with a memory to keyframes."""
    holding: OomFallback = field(default_factory=hold_fallback)
    texturing: OomFallback = field(default_factory=texture_fallback)
    sharpening: OomFallback = field(default_factory=sharpness_fallback)
    applying: OomFallback = field(default_factory=lambda: OomFallback("applying corrections", ("on the CPU",)))

    @classmethod
    def prepare(cls, size: VideoSize, settings: Settings, models: Models | None, on_progress: OnProgress) -> Run:
        """Choose the device, fit the preset to memory and load the networks.

        Raises DeviceError, WeightsError or SettingsError.
        """
        device, models = choose(settings.device, settings.precision), models or Models()
        preset = size.fitted(settings)
        codec = models.codec(device, settings) if preset.latents and preset.texture_reach else None
        flow = models.flow(preset, device, settings, on_progress)
        tone = ToneOptions.of(preset, settings.anchor)
        return models.adjust(cls(settings, size, device, preset, flow, models.solver(device), tone, codec))

    @property
    def proxy_size(self) -> tuple[int, int]:
        """Height and width at which motion and tone are measured."""
        return proxy_size(self.size.height, self.size.width, self.preset.flow_max_side_px)

    @property
    def overlay_size(self) -> tuple[int, int]:
        """Height and width at which pixels are looked at that lie still over the picture."""
        return texture_size(self.size.height, self.size.width, OVERLAY_SIDE_PX)

    @property
    def texture_size(self) -> tuple[int, int]:
        """Height and width at which texture is looked at."""
        return texture_size(self.size.height, self.size.width, self.preset.texture_max_side_px)


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
        return solve if device.torch_device.type == "cpu" else SolverWithOomFallback()

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
    return FlowWithOomFallback(network, lambda: flow_network(state, preset, choose("cpu")))
