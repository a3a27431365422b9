"""What one run works with: the settings, the size of the frames, the device, and the networks on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from deflicker.core import memory
from deflicker.core.device import Device, choose
from deflicker.core.oom import OomFallback
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress
from deflicker.core.settings import Settings
from deflicker.correction.apply import texture_size
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.loading import bytes_of
from deflicker.correction.texture.stabilize import texture_fallback
from deflicker.correction.tone.solve_oom import Solver
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.media.color import proxy_size
from deflicker.media.frame import frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.motion.tracking import Flow
from deflicker.pipeline.models import Models


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
    locking: bool = True
    """Lock texture that boils with a memory to keyframes."""
    texturing: OomFallback = field(default_factory=texture_fallback)
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
    def texture_size(self) -> tuple[int, int]:
        """Height and width at which texture is looked at."""
        return texture_size(self.size.height, self.size.width, self.preset.texture_max_side_px)
