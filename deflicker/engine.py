"""What a run loads once, and the small copies of frames that it looks at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from deflicker import weights
from deflicker.correction.apply import Correction, corrected_planes
from deflicker.correction.solve import solve
from deflicker.correction.sparing import Solver, SparingSolver
from deflicker.correction.steady import step_down
from deflicker.device import Device, choose
from deflicker.ladder import Ladder, moved
from deflicker.latent.codec import Codec
from deflicker.latent.loading import OWN, bytes_of, load_autoencoder
from deflicker.media.color import as_tensors, normalise, proxy_size, to_rgb
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.media.opening import MAX_PIXELS, Limits
from deflicker.memory import fit, most_pixels
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.sparing import SparingFlow
from deflicker.motion.track import Flow
from deflicker.report.model import Progress
from deflicker.settings import Preset, Settings

OnProgress = Callable[[Progress], None]
_LUMA = (0.2126, 0.7152, 0.0722)


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
    state = weights.load(preset.flow_network, path=settings.weights, offline=settings.offline)
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


def limits_of(settings: Settings) -> Limits:
    """How much of a file to accept under these settings."""
    if settings.max_memory is None:
        return Limits(strict=settings.strict)
    return Limits(pixels=min(MAX_PIXELS, most_pixels(settings.max_memory)), strict=settings.strict)


def frame_bytes(width: int, height: int, layout: PlaneLayout) -> int:
    """Bytes of one frame's planes."""
    shift_x, shift_y = layout.chroma_shift
    samples = {"gray": 1.0, "rgb": 3.0, "yuv": 1 + 2 / (1 << (shift_x + shift_y))}[layout.family]
    return int(width * height * (samples + layout.has_alpha) * (2 if layout.bit_depth > 8 else 1))


def with_proxies(
    frames: Iterable[Frame], layout: PlaneLayout, preset: Preset, device: torch.device
) -> Iterator[tuple[Frame, Tensor]]:
    """Each frame with its small R'G'B' copy `[3, h, w]` in [0, 1] on the device."""
    for frame in frames:
        height, width = frame.planes[0].shape
        yield frame, proxy_of(frame, layout, proxy_size(height, width, preset.flow_max_side_px), device)


def proxy_of(frame: Frame, layout: PlaneLayout, size: tuple[int, int], device: torch.device) -> Tensor:
    """The small R'G'B' copy `[3, h, w]` in [0, 1] of a frame, on a device."""
    return to_rgb(normalise(as_tensors(frame.planes, layout, device), layout), layout, size).clamp(0, 1)


def luma_of(
    frame: Frame, layout: PlaneLayout, correction: Correction | None, max_side_px: int, device: torch.device
) -> Tensor:
    """Luma `[h, w]` in [0, 1] of a frame with its correction applied, its longer side at most `max_side_px`."""
    return toned_luma(_texture_rgb(frame, layout, max_side_px, device), correction)


def colours_of(
    frame: Frame, layout: PlaneLayout, correction: Correction | None, max_side_px: int, device: torch.device
) -> Tensor:
    """R'G'B' `[3, h, w]` in [0, 1] of it likewise."""
    return toned_colours(_texture_rgb(frame, layout, max_side_px, device), correction)


def _texture_rgb(frame: Frame, layout: PlaneLayout, max_side_px: int, device: torch.device) -> Tensor:
    height, width = frame.planes[0].shape
    planes = normalise(as_tensors(frame.planes, layout, device), layout)
    return to_rgb(planes, layout, texture_size(height, width, max_side_px))


def toned_luma(rgb: Tensor, correction: Correction | None) -> Tensor:
    """Luma `[H, W]` in [0, 1] of R'G'B' `[3, H, W]` with its correction applied (ITU-R BT.709's shares)."""
    toned = rgb if correction is None else correction.applied(rgb)
    return torch.einsum("c,chw->hw", rgb.new_tensor(_LUMA), toned).clamp(0, 1)


def toned_colours(rgb: Tensor, correction: Correction | None) -> Tensor:
    """R'G'B' `[3, H, W]` in [0, 1] with its correction applied."""
    return (rgb if correction is None else correction.applied(rgb)).clamp(0, 1)


def texture_size(height: int, width: int, max_side_px: int) -> tuple[int, int]:
    """Size at which texture is looked at: the frame's own, or smaller."""
    shrink = min(1.0, max_side_px / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def relit(frame: Frame, layout: PlaneLayout, correction: Correction | None) -> Frame:
    """The frame with a correction applied; the frame itself where none is given, or none reaches a sample."""
    if correction is None:
        return frame
    planes = corrected_planes(frame, layout, correction)
    if all(map(np.array_equal, planes, frame.planes)):
        return frame
    return replace(frame, planes=planes)
