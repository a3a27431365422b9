"""Static HDR metadata: read from a frame, written as each encoder's options."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class HdrMetadata:
    """What the master was made on (SMPTE ST 2086) and how bright it gets (CTA-861.3)."""

    primaries: tuple[Fraction, ...] | None
    """x, y of red, green, blue and white."""
    luminance: tuple[Fraction, Fraction] | None
    """Darkest and brightest of the mastering display, cd/m²."""
    light_level: tuple[int, int] | None
    """Brightest pixel and brightest picture average, cd/m²."""

    def options(self, encoder: str) -> dict[str, str]:
        """Options that make `encoder` write it; empty where it cannot."""
        words = {"libx265": ("master-display", "max-cll"), "libx264": ("mastering-display", "cll")}
        words["libsvtav1"] = ("mastering-display", "content-light")
        if encoder not in words:
            return {}
        display, light = words[encoder]
        parts = [f"{display}={self._display(encoder == 'libsvtav1')}"] if self.primaries and self.luminance else []
        parts += [f"{light}={self.light_level[0]},{self.light_level[1]}"] if self.light_level else []
        return {f"{encoder.removeprefix('lib')}-params": ":".join(parts)} if parts else {}

    def _display(self, plain: bool) -> str:
        assert self.primaries is not None
        assert self.luminance is not None

        def say(value: Fraction, unit: int) -> str:
            return f"{float(value):.6g}" if plain else str(round(value * unit))

        points = [say(value, 50000) for value in self.primaries]
        order = (("G", 2), ("B", 4), ("R", 0), ("WP", 6))
        chroma = "".join(f"{name}({points[i]},{points[i + 1]})" for name, i in order)
        low, high = self.luminance
        return f"{chroma}L({say(high, 10000)},{say(low, 10000)})"


_UNSUPPORTED = {
    "A53_CC": "closed captions inside the pictures (CEA-608/708)",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "AMBIENT_VIEWING_ENVIRONMENT": "the ambient viewing environment",
    "ICC_PROFILE": "the ICC profile",
    "STEREO3D": "the arrangement of 3D pictures",
    "SPHERICAL": "the mapping of 360° pictures",
    "S12M_TIMECODE": "the timecode of each picture",
    "AFD": "the active format description",
}


def unsupported_metadata(frame: av.VideoFrame) -> tuple[str, ...]:
    """Metadata of a decoded frame that the encoders cannot write, in words."""
    names = [side_data.type.name for side_data in side_data_of(frame)]
    return tuple(dict.fromkeys(_UNSUPPORTED[name] for name in names if name in _UNSUPPORTED))


def side_data_of(frame: av.VideoFrame) -> list[Any]:
    """The side data of a decoded frame; empty where PyAV does not know one of its kinds, such as EXIF."""
    try:
        return list(cast(Any, frame.side_data))  # PyAV's stubs call it a mapping; it iterates over its values
    except ValueError:
        return []


def hdr_of(frame: av.VideoFrame) -> HdrMetadata | None:
    """The static HDR metadata of a decoded frame, or None."""
    primaries = luminance = light = None
    for side_data in side_data_of(frame):
        data = bytes(side_data)
        if side_data.type == Type.MASTERING_DISPLAY_METADATA and len(data) >= 88:
            *pairs, has_primaries, has_luminance = struct.unpack("=22i", data[:88])
            values = [Fraction(n, d or 1) for n, d in zip(pairs[::2], pairs[1::2], strict=True)]
            primaries = tuple(values[:8]) if has_primaries else None
            luminance = (values[8], values[9]) if has_luminance else None
        elif side_data.type == Type.CONTENT_LIGHT_LEVEL and len(data) >= 8:
            light = cast(tuple[int, int], struct.unpack("=2I", data[:8]))
    return HdrMetadata(primaries, luminance, light) if primaries or luminance or light else None
