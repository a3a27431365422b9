"""The memory of texture: pointers that travel, and kept pictures that stay few."""

from __future__ import annotations

import torch
from torch import Tensor

from deflicker.correction.hold.texture_memory import ROOM, TextureMemory
from tests.correction.hold.drawings import SIZE, noise


def flow(x: float, y: float = 0.0) -> Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, *SIZE).clone()


def test_what_stands_still_is_read_as_it_was_kept() -> None:
    picture = noise(1, *SIZE, 1)[None]
    memory = TextureMemory.of(picture)
    for _ in range(5):
        memory = memory.moved(flow(0))
    assert torch.allclose(memory.read(), picture, atol=1e-4)


def test_texture_that_moved_far_and_by_parts_of_pixels_is_sampled_once() -> None:
    picture = noise(1, *SIZE, 1)[None]
    memory = TextureMemory.of(picture)
    for _ in range(10):
        memory = memory.moved(flow(0.3, -0.1))
    inner = (..., slice(8, -8), slice(8, -8))
    shifted = torch.roll(picture, (1, -3), (-2, -1))  # ten steps of 0.3 and -0.1 px are whole pixels
    assert torch.allclose(memory.read()[inner], shifted[inner], atol=1e-3)


def test_what_has_left_the_picture_is_not_trusted() -> None:
    memory = TextureMemory.of(noise(1, *SIZE, 1)[None]).moved(flow(-3))
    assert memory.trust[..., :3].sum() == 0
    assert memory.trust[..., 4:].min() == 1


def test_new_pixels_point_at_themselves_and_others_do_not_change() -> None:
    first, second = noise(1, *SIZE, 1)[None], noise(2, *SIZE, 1)[None]
    new = torch.zeros_like(first)
    new[..., 40:] = 1
    memory = TextureMemory.of(first).kept(second, new)
    found = memory.read()
    assert torch.allclose(found[..., :39], first[..., :39], atol=1e-4)
    assert torch.allclose(found[..., 41:], second[..., 41:], atol=1e-4)


def test_however_many_pictures_bring_something_few_are_kept() -> None:
    memory = TextureMemory.of(noise(0, *SIZE, 1)[None])
    for number in range(1, 20):
        new = torch.zeros(1, 1, *SIZE)
        new[..., 4 * number : 4 * number + 4] = 1
        kept = torch.where(new > 0, noise(number, *SIZE, 1)[None], memory.read())
        memory = memory.kept(kept, new)
        assert len(memory.pictures) <= ROOM
        assert memory.which.max() == len(memory.pictures) - 1
    for number in (1, 7, 19):
        columns = slice(4 * number + 1, 4 * number + 3)
        assert torch.allclose(memory.read()[..., columns], noise(number, *SIZE, 1)[None][..., columns], atol=1e-4)


def test_texture_that_would_be_pulled_apart_is_torn() -> None:
    memory, step = TextureMemory.of(noise(1, *SIZE, 1)[None]), flow(0)
    step[:, 0, :, 48:] = 5
    torn = memory.moved(step).torn()
    assert torn[..., 46:49].sum() > 0
    assert torn[..., :45].sum() == torn[..., 50:].sum() == 0
