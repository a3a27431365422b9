"""Key pictures of a shot: what boils with a memory is told at them, and the pictures between are locked to them."""

from __future__ import annotations

from deflicker.core.oom import OomFallback
from deflicker.correction.texture.boil_gate import numbers, usual_boil
from deflicker.correction.texture.keyframe_locking import (
    FAR,
    KEYS_APART,
    USUAL,
    Lasting,
    Source,
    how_far_locked,
    lasting,
    locked,
    nearness,
)
from deflicker.correction.texture.links import walked_home
from deflicker.correction.texture.pictures import Pictures


def tell(pictures: Pictures, key: int, fallback: OomFallback) -> None:
    """Find out what boils with a memory at a key; at the shot's edge a picture further in tells it."""
    last = len(pictures) - 1
    if last < 2 * FAR[0]:
        return
    inner = max(FAR[0], min(key, last - FAR[0]))

    def found(level: int) -> Lasting | None:
        if level > 0:
            pictures.spare()
        return lasting(pictures.view(inner).luma, pictures.neighbours(inner))

    told = pictures[key].lasting = fallback.run(found)
    if told is not None:
        pictures.openings = [*pictures.openings, told.opening()][-USUAL:]


def lock(pictures: Pictures, key: int, end: int, fallback: OomFallback) -> None:
    """Lock the pictures after a key to it and to the next key, which is at `end` unless the shot ends there."""
    keys, end = [at for at in (key, end) if at < len(pictures)], min(end, len(pictures))
    if any(pictures[at].lasting is None for at in keys):
        return
    boils = [picture.boil for picture in pictures[key : end + 1] if picture.boil]
    [how_far] = numbers([how_far_locked(pictures.openings, usual_boil(boils))])
    if how_far > 0:
        fallback.run(lambda level: _lock(pictures, keys, end, how_far, on_cpu=level > 0))


def _lock(pictures: Pictures, keys: list[int], end: int, how_far: float, *, on_cpu: bool) -> None:
    if on_cpu:
        pictures.spare()
    between = range(keys[0] + 1, end)
    ways = [walked_home(pictures.link(at).reversed() for at in between)]
    if len(keys) > 1:
        ways.append(walked_home(pictures.link(at + 1) for at in reversed(between))[::-1])
    for index, *home in zip(between, *ways, strict=True):
        near = nearness(index - keys[0], KEYS_APART) if len(keys) > 1 else 1.0
        sources = [
            Source(pictures.colours(key), flow_px, visible, share, told)
            for key, (flow_px, visible), share in zip(keys, home, (near, 1 - near), strict=False)
            if (told := pictures[key].lasting) is not None
        ]
        pictures[index].locked = locked(pictures.colours(index), sources, how_far)
        pictures[index].how_far_locked = how_far
