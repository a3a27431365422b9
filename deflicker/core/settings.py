"""One frozen settings object and the named presets. Validated once, here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from deflicker.core.errors import SettingsError
from deflicker.core.memory import most_pixels
from deflicker.core.options import MAX_PIXELS, EncodeOptions, Limits, ReadOptions, StreamFormat
from deflicker.core.presets import PRESETS, Preset, PresetName
from deflicker.core.values import RawVideo, Span, TimePoint

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Space = Literal["auto", "pixel", "latent", "both"]
"""Where boiling texture is steadied: in pixels, in the latents of an autoencoder, in both, or what suits each shot."""
Texture = Literal["auto", "average", "hold", "off"]
"""What is done to texture that changes: averaged where it boils, held where it is redrawn, what suits each shot, or
nothing."""
CompareStyle = Literal["side", "split"]
Deinterlace = Literal["auto", "off"]


NOT_OF_CORRECTIONS = frozenset({
    "strength", "codec", "crf", "encoder_preset", "pix_fmt", "encoder_options", "format", "overwrite", "resume",
})  # fmt: skip
"""Settings that decide how corrected frames are written, and how strongly, after the corrections are settled."""
KEY_EVERY = 12
"""Pictures between two that are matched to the reference directly."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user chose. `Settings()` is the product as it is meant to be used."""

    strength: float = 1.0
    """How much of the correction is applied, 0 (none) to 1 (all)."""
    preset: PresetName = "balanced"
    """Trade-off between speed and quality; see `PRESETS`."""

    anchor: float = 0.0
    """How much of the drift of tone and colour away from a reference is taken back, 0 (none) to 1 (all)."""
    reference: TimePoint | Path | None = None
    """The reference: a frame of the video, or an image; None for one frame of each shot that the tool chooses."""
    guide: Path | None = None
    """A steady video of the same frames, such as the source of an edit, in which motion is looked for instead."""
    exclude: tuple[Span, ...] = ()
    """Parts whose frames are left as they are, and tell nothing about those around them."""
    keep_flashes: bool = False
    """Leave every flash of light of a few frames as it is, not only those that can be nothing else; see
    `motion.flashes`.
    """
    texture: Texture = "auto"
    """What is done to texture that changes from frame to frame; see `Texture`. Without a guide, `auto` averages."""
    hold: float = 1.0
    """How much of redrawn texture is held, 0 (none) to 1 (all)."""
    space: Space | None = None
    """Where boiling texture is steadied; `auto` decides for each shot, from how much of it boils. None: the preset's,
    `auto` in `quality` and `pixel` in the others, or `auto` where an autoencoder is given."""
    autoencoder: str | None = None
    """`own`, the one in the package, or the path of another; None is `own`."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    precision: Precision = "auto"
    """Arithmetic of the flow network; `auto` takes the fastest the device does well."""
    max_memory: int | None = None
    """Bytes the run should stay under, or None for no bound of its own."""

    deinterlace: Deinterlace = "off"
    """`auto`: make one progressive picture of each frame of an interlaced video; `off`: leave both fields in it."""
    decoder: str | None = None
    """FFmpeg decoder name, such as a GPU's `h264_cuvid`; None takes FFmpeg's usual one for the video."""
    codec: str | None = None
    """FFmpeg encoder name; None keeps the source's codec family."""
    crf: float | None = None
    """Constant rate factor of the encoder (lower is better); None is a visually lossless choice per encoder."""
    encoder_preset: str | None = None
    """Speed preset of the encoder; None is the tool's choice."""
    pix_fmt: str | None = None
    """FFmpeg pixel format of the output; None keeps the source's."""
    encoder_options: Mapping[str, str] = field(default_factory=dict)
    """Further private options of the encoder."""

    format: StreamFormat | None = None
    """Format of the output; None goes by its name, and is Matroska where it has none, as a pipe."""
    fps: Fraction | None = None
    """Frames a second of an input that is numbered images; None is 24."""
    raw_video: RawVideo | None = None
    """What the input's frames are, where it holds nothing else."""

    start: TimePoint | None = None
    """First frame to keep; None is the first there is."""
    end: TimePoint | None = None
    """First frame no longer kept; None is past the last."""

    weights: Path | None = None
    """A weight file, or a folder of them, to use instead of the cache."""
    offline: bool = False
    """Never touch the network."""
    overwrite: bool = False
    """Replace an existing output."""
    strict: bool = False
    """Refuse a damaged input instead of keeping what decodes of it."""
    resume: bool = False
    """Keep progress beside the output, and go on where an interrupted run of the same video stopped."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise SettingsError(f"strength is {self.strength}: it must be between 0 and 1")
        if not 0 <= self.anchor <= 1:
            raise SettingsError(f"anchor is {self.anchor}: it must be between 0 and 1")
        if self.reference is not None and self.anchor == 0:
            raise SettingsError("a reference has no effect while anchor is 0: set anchor, up to 1")
        if self.preset not in get_args(PresetName):
            raise SettingsError(f"there is no preset {self.preset!r}: choose one of {', '.join(PRESETS)}")
        if self.texture not in get_args(Texture):
            raise SettingsError(f"there is no texture {self.texture!r}: choose one of {', '.join(get_args(Texture))}")
        if not 0 <= self.hold <= 1:
            raise SettingsError(f"hold is {self.hold}: it must be between 0 and 1")
        if self.hold < 1 and self.texture in ("average", "off"):
            raise SettingsError(f"hold has no effect while texture is {self.texture}: set texture to hold or auto")
        if self.space not in (None, *get_args(Space)):
            raise SettingsError(f"there is no space {self.space!r}: choose one of {', '.join(get_args(Space))}")
        if self.autoencoder is not None and self.space == "pixel":
            raise SettingsError(
                "an autoencoder has no effect in pixels: leave it out, or set space to latent, both or auto"
            )
        if self.format is not None and self.format not in get_args(StreamFormat):
            raise SettingsError(
                f"there is no format {self.format!r}: choose one of {', '.join(get_args(StreamFormat))}"
            )
        if self.deinterlace not in get_args(Deinterlace):
            raise SettingsError(
                f"deinterlace is {self.deinterlace!r}: choose one of {', '.join(get_args(Deinterlace))}"
            )
        if self.fps is not None and self.fps <= 0:
            raise SettingsError("fps must be more than 0")
        if self.precision not in get_args(Precision):
            raise SettingsError(
                f"there is no precision {self.precision!r}: choose one of {', '.join(get_args(Precision))}"
            )
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise SettingsError(f"there is no device {self.device!r}: choose auto, cpu, cuda, cuda:N or mps")
        if self.max_memory is not None and self.max_memory <= 0:
            raise SettingsError("max_memory must be more than 0")

    def input(self) -> ReadOptions:
        """How the input is read."""
        pixels = MAX_PIXELS if self.max_memory is None else min(MAX_PIXELS, most_pixels(self.max_memory))
        return ReadOptions(
            start=self.start,
            end=self.end,
            exclude=self.exclude,
            decoder=self.decoder,
            fps=self.fps,
            raw_video=self.raw_video,
            deinterlace=self.deinterlace == "auto",
            limits=Limits(pixels, self.strict),
        )

    def encoding(self) -> EncodeOptions:
        """How the output is encoded."""
        return EncodeOptions(
            codec=self.codec,
            crf=self.crf,
            encoder_preset=self.encoder_preset,
            pix_fmt=self.pix_fmt,
            encoder_options=self.encoder_options,
            format=self.format,
            overwrite=self.overwrite,
            trimmed=self.start is not None or self.end is not None,
        )

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Every setting with its value, for the report. No paths: they say who and where somebody is."""
        hidden = ("weights", "guide", "reference", "autoencoder")
        return tuple((each.name, str(getattr(self, each.name))) for each in fields(self) if each.name not in hidden)

    @property
    def key_every(self) -> int:
        """Every how many pictures flow to the reference is needed; 0 for never."""
        return KEY_EVERY if self.anchor > 0 else 0

    @property
    def autoencoder_path(self) -> Path | None:
        """Where the autoencoder lies, if it is not the package's own and there is something."""
        path = Path(self.autoencoder or "own")
        return path if self.autoencoder not in (None, "own") and path.exists() else None

    @property
    def texture_space(self) -> Space:
        """`space`, or what the preset takes: latents gain most where there is time for them."""
        if self.space is not None:
            return self.space
        return "auto" if self.preset == "quality" or self.autoencoder else "pixel"

    @property
    def plan(self) -> Preset:
        """The numbers behind the preset's name, and those of `balanced` for texture where more of it is asked for."""
        preset = PRESETS[self.preset]
        if self.texture_space in ("latent", "both") and preset.texture_reach == 0:
            model = PRESETS["balanced"]
            preset = replace(preset, texture_reach=model.texture_reach, texture_max_side_px=model.texture_max_side_px)
        if self.texture_space == "pixel":
            preset = replace(preset, latents=False)
        if self.texture in ("hold", "off"):
            preset = replace(preset, texture_reach=0)
        if self.texture == "hold" or (self.texture == "auto" and self.guide is not None):
            side_px = preset.texture_max_side_px or PRESETS["balanced"].texture_max_side_px
            preset = replace(
                preset, holds="always" if self.texture == "hold" else "redrawn", texture_max_side_px=side_px
            )
        return preset
