"""Flow where memory ends: the same motion, from fewer frames at once, smaller ones, or the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deflicker.motion.flow_oom import FlowWithOomFallback

SIZE = (32, 48)


class Network:
    """A frame is its own features; motion is the difference of two frames' means, in parts of the width.

    Fails with more frames or pixels than it has room for.
    """

    def __init__(self, frames: int = 99, pixels: int = 9999) -> None:
        self.room, self.calls = (frames, pixels), 0

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        self.check(len(frames), frames[0, 0].numel())
        return list(frames)

    def flow(self, first: list[Any], second: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        assert len({one.shape for one in (*first, *second)}) == 1
        self.check(len(first), first[0][0].numel())
        parts = torch.stack([b.mean() - a.mean() for a, b in zip(first, second, strict=True)])
        height, width = first[0].shape[-2:]
        there = (parts * width).view(-1, 1, 1, 1).expand(-1, 2, height, width)
        return there, -there

    def check(self, frames: int, pixels: int) -> None:
        self.calls += 1
        if frames > self.room[0] or pixels > self.room[1]:
            raise torch.OutOfMemoryError("CUDA out of memory")


def pictures(count: int) -> torch.Tensor:
    return torch.arange(count).view(-1, 1, 1, 1).expand(-1, 3, *SIZE).float() / 100


def motion(flow: FlowWithOomFallback, count: int = 4) -> torch.Tensor:
    seen = flow.features(pictures(count))
    there, back = flow.flow(seen[:-1], seen[1:])
    assert torch.equal(there, -back)
    assert there.shape == (count - 1, 2, *SIZE)
    return there


EXPECTED = torch.full((3, 2, *SIZE), 0.01 * SIZE[1])


@pytest.mark.parametrize(
    ("room", "on_cpu"),
    [
        ((99, 9999), False),
        ((2, 9999), False),
        ((1, 9999), False),
        ((99, 400), False),
        ((1, 400), False),
        ((99, 100), True),
        ((0, 0), True),
    ],
)
def test_the_same_motion_is_found(room: tuple[int, int], on_cpu: bool) -> None:
    spare = Network()
    found = motion(FlowWithOomFallback(Network(*room), lambda: spare))
    assert torch.allclose(found, EXPECTED, rtol=1e-4, atol=1e-5)
    assert (spare.calls > 0) == on_cpu


def test_frames_seen_before_a_step_are_seen_anew() -> None:
    network = Network()
    flow = FlowWithOomFallback(network, Network)
    before = flow.features(pictures(2))
    network.room = (99, 400)
    after = flow.features(pictures(4)[2:])
    there, _ = flow.flow([before[1]], [after[0]])
    assert torch.allclose(there, EXPECTED[:1], rtol=1e-4, atol=1e-5)


def test_without_room_anywhere_the_error_comes_up() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        motion(FlowWithOomFallback(Network(0), lambda: Network(0)))
