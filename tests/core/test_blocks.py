"""What is stored comes back to the last bit, and a file cannot make the reader build anything but what is marked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
import torch
from safetensors.torch import save

from deflicker.core.blocks import Damaged, Indexed, Packer, stored, unpack

CPU = torch.device("cpu")


@stored
@dataclass(frozen=True, eq=False)
class Kept:
    gain: torch.Tensor
    curve: torch.Tensor | None = None


@dataclass(frozen=True)
class Unmarked:
    value: int


class Shown(Indexed):
    def __init__(self, index: int) -> None:
        self.index = index


def there_and_back(value: Any, pictures: dict[int, Any] | None = None) -> Any:
    packer = Packer()
    block = packer.pack(value)
    assert packer.pictures == set(pictures or {})
    return unpack(block, pictures or {}, CPU)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24.0).reshape(2, 3, 4),
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor([float("nan"), -0.0, 1e-45]),
        torch.tensor(3.5),
        torch.zeros(0, 3, 2),
        torch.tensor([True, False]),
        torch.randn(3, 4).bfloat16(),
        torch.randn(5).half(),
        torch.arange(12.0)[3:7],
        torch.rand(4, 5).expand(3, 4, 5),
    ],
    ids=lambda tensor: f"{tuple(tensor.shape)}-{tensor.dtype}",
)
def test_a_tensor_comes_back_with_its_order_in_memory(tensor: torch.Tensor) -> None:
    back = there_and_back(tensor)
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(back.contiguous().reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))
    if tensor.ndim == 4:
        assert back.stride() == tensor.stride()


def test_plain_values_come_back() -> None:
    value = {"a": [1, (0.1, float("inf"), None), "text", True], "b": {}, "c": []}
    assert there_and_back(value) == value


def test_a_tensor_may_be_in_it_twice() -> None:
    gain = torch.randn(3, 1, 1)
    back = there_and_back([Kept(gain, gain[:2]), gain])
    assert torch.equal(back[0].gain, gain)
    assert torch.equal(back[0].curve, gain[:2])
    assert torch.equal(back[1], gain)


def test_pictures_are_not_written() -> None:
    picture = Shown(7)
    assert there_and_back({"a": picture, "b": [picture]}, {7: picture}) == {"a": picture, "b": [picture]}


@pytest.mark.parametrize("value", [Unmarked(1), Fraction(1, 2), print, object()])
def test_nothing_but_what_is_marked_is_written(value: Any) -> None:
    with pytest.raises(TypeError, match="not marked"):
        Packer().pack([value])


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Kept"):
        stored(type("Kept", (), {}))


@pytest.mark.parametrize("name", ["Unmarked", "Path", "os.system"])
def test_nothing_but_what_is_marked_is_built(name: str) -> None:
    tree = {"class": name, "fields": {"value": 1}}
    with pytest.raises(Damaged):
        unpack(save({}, metadata={"tree": json.dumps(tree)}), {}, CPU)


@pytest.mark.parametrize("length", [0, 5, 9, 40, 100])
def test_what_ends_early_is_damaged(length: int) -> None:
    block = Packer().pack([torch.randn(30)])
    assert len(block) > 100
    with pytest.raises(Damaged):
        unpack(block[:length], {}, CPU)


@pytest.mark.parametrize("seed", range(30))
def test_any_bytes_are_damaged(seed: int) -> None:
    data = torch.randint(0, 256, (200,), generator=torch.Generator().manual_seed(seed)).to(torch.uint8).numpy()
    with pytest.raises(Damaged):
        unpack((180).to_bytes(8, "little") + data.tobytes(), {}, CPU)
