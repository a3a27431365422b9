"""How much a run holds at once, and how to hold less."""

from __future__ import annotations

from dataclasses import replace

from deflicker.core.errors import SettingsError
from deflicker.core.presets import Preset

QUEUED_FRAMES = 4
"""Frames that the queues after decoding, after texture and before encoding may hold each."""
BATCH_FRAMES = 8
"""Frames whose motion is estimated at once."""
_BASE_BYTES = 900 << 20
"""Python, torch, codecs and the flow network, before the first frame."""
_CODEC_FRAMES = 60
"""Frames decoder and encoder keep for themselves."""
_FLOATS_PER_PIXEL = 40
"""Float planes of one frame while its correction is applied."""
_BYTES_PER_PROXY_PIXEL = 400
"""What a window keeps per frame and proxy pixel: matches at every lag, warped copies, weights."""
_SMALLEST_WINDOW = (8, 4, 4)
FLASH_FRAMES = 16
"""Frames that wait for those after them to tell whether they are flashes (`motion.flashes`)."""
OVERLAY_REACH = 8
"""Frames on either side of one that tell what lies still over the picture (`correction.tone.overlays`)."""
OVERLAY_SIDE_PX = 960
"""Longer side at which these pixels are looked at, at most."""
_BYTES_PER_OVERLAY_PIXEL = 220
"""What is kept of these frames for each pixel: how it changes, how its correction does, and what the two tell."""
SHARPNESS_FRAMES = 28
"""Frames that wait for those after them to tell whether sharpness pulses (`correction.sharpness`)."""
TEXTURE_FRAMES = 16
"""Frames that wait for the texture around them to be judged (`correction.texture.stabilize`)."""
_BYTES_PER_TEXTURE_PIXEL = 120
"""What is kept of each picture whose texture is compared: luma, colour, flow both ways, visibility, its change."""
_NEIGHBOUR_FLOATS = 10
"""Float planes of each neighbour while a picture is compared with them: differences, their bands, features."""
_BYTES_PER_LATENT_PIXEL = 24
"""What is kept of it in colour, where that may be done in latents: the picture and its residual."""
LOCKING_REACH = 3
"""Neighbours on each side from which on texture may be locked to keyframes (`texture.keyframe_locking`)."""
_BYTES_PER_LOCKED_PIXEL = 24
"""What is kept of it in colour for that: the picture, and what locks it."""
_LOCKING_FLOATS = 60
"""Float planes of a picture and two keys while it is locked to them."""
_LATENT_FLOATS = 60
"""Float planes of a picture and its aligned neighbours while they are encoded."""
_HOLD_FRAMES = 12
"""Frames that wait until it is known whether their shot is held (`correction.hold`)."""
_BYTES_PER_HELD_PIXEL = 48
"""What is kept of each of them: its texture, and the detail that holds it."""
_HOLDING_FLOATS = 120
"""Float planes of the pictures that texture is held to, and of one picture while it is."""
_BYTES_PER_TILE_PIXEL, _TILE_PIXELS = 640, 960 * 960
"""What an autoencoder of the TAESD family holds of a tile, and the largest tile (`autoencoder.codec`)."""


def estimate(width: int, height: int, frame_bytes: int, preset: Preset, codec_bytes: int = 0) -> int:
    """Peak bytes of a run on frames of `width` × `height` whose planes take `frame_bytes`.

    codec_bytes: what an autoencoder takes that is not the package's own.
    """
    texture_frames = 2 * preset.texture_reach + TEXTURE_FRAMES if preset.texture_reach else 0
    held = preset.core_frames + preset.lookahead_frames + _waiting(preset.core_frames) + _CODEC_FRAMES
    side = preset.flow_max_side_px
    proxy_pixels = min(side * side * min(width, height) // max(width, height), width * height)
    texture_pixels = width * height * min(1.0, preset.texture_max_side_px / max(width, height)) ** 2
    overlay_pixels = width * height * min(1.0, OVERLAY_SIDE_PX / max(width, height)) ** 2
    in_texture = 0.0
    if preset.texture_reach:
        held += SHARPNESS_FRAMES
        in_texture = 4 * _NEIGHBOUR_FLOATS * (2 * preset.texture_reach + 1) * texture_pixels
    if preset.texture_reach >= LOCKING_REACH:
        in_texture += (texture_frames * _BYTES_PER_LOCKED_PIXEL + 4 * _LOCKING_FLOATS) * texture_pixels
    if preset.latents and preset.texture_reach:
        in_texture += (texture_frames * _BYTES_PER_LATENT_PIXEL + 4 * _LATENT_FLOATS) * texture_pixels
        in_texture += codec_bytes + _BYTES_PER_TILE_PIXEL * min(texture_pixels, _TILE_PIXELS)
    if preset.holds != "never":
        held += _HOLD_FRAMES
        in_texture += (_HOLD_FRAMES * _BYTES_PER_HELD_PIXEL + 4 * _HOLDING_FLOATS) * texture_pixels
    return (
        _BASE_BYTES
        + (held + texture_frames) * frame_bytes
        + int(texture_frames * _BYTES_PER_TEXTURE_PIXEL * texture_pixels + in_texture)
        + _FLOATS_PER_PIXEL * width * height
        + int(_BYTES_PER_OVERLAY_PIXEL * overlay_pixels)
        + preset.window_frames * _BYTES_PER_PROXY_PIXEL * proxy_pixels
    )


def _waiting(core_frames: int) -> int:
    """Frames between the stages: decoded, looked at for flashes, tracked in one batch and in the next, solved, searched
    for overlays, texture done, to be encoded.
    """
    return 3 * QUEUED_FRAMES + FLASH_FRAMES + 2 * BATCH_FRAMES + core_frames + 2 * OVERLAY_REACH


def most_pixels(max_memory: int) -> int:
    """Pixels of a picture beyond which no run can stay under `max_memory`, whatever the picture holds."""
    held = _SMALLEST_WINDOW[1] + _SMALLEST_WINDOW[2] + _waiting(_SMALLEST_WINDOW[1]) + _CODEC_FRAMES
    return max(0, max_memory - _BASE_BYTES) // (held + _FLOATS_PER_PIXEL)


def fit(
    width: int, height: int, frame_bytes: int, preset: Preset, max_memory: int | None, codec_bytes: int = 0
) -> Preset:
    """The preset with its window shortened until the estimate stays under `max_memory`; then texture is kept to
    pixels, and at last left alone.

    Raises SettingsError where even that needs more.
    """
    if max_memory is None:
        return preset
    while (needed := estimate(width, height, frame_bytes, preset, codec_bytes)) > max_memory:
        window = preset.history_frames, preset.core_frames, preset.lookahead_frames
        shorter = tuple(max(least, frames // 2) for frames, least in zip(window, _SMALLEST_WINDOW, strict=True))
        if shorter == window and preset.texture_reach and preset.latents:
            preset = replace(preset, latents=False)
            continue
        if shorter == window and preset.texture_reach:
            preset = replace(preset, texture_reach=0)
            continue
        if shorter == window and preset.holds != "never":
            preset = replace(preset, holds="never")
            continue
        if shorter == window:
            raise SettingsError(
                f"max_memory is too small for {width}x{height}: at least {needed / 2**30:.1f}G is needed"
            )
        preset = replace(preset, history_frames=shorter[0], core_frames=shorter[1], lookahead_frames=shorter[2])
    return preset
