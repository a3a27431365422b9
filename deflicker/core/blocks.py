"""Values as bytes and back, to the last bit: a tree of JSON with its tensors, as one safetensors block.

A tree may hold tensors, numbers, strings, None, lists, tuples, dicts with string keys, dataclasses marked `@stored`,
and references to pictures, which are decoded again instead of being stored. Reading builds the marked classes only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

C = TypeVar("C", bound=type)

_CLASSES: dict[str, type] = {}


class Damaged(Exception):
    """The bytes are not what was written."""


class Indexed:
    """Something that can be had again by its number, and is stored as that."""

    index: int


def stored(cls: C) -> C:
    """Let blocks hold objects of this dataclass."""
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise TypeError(f"two stored classes are called {cls.__name__}")
    return cls


class Packer:
    """Turns values into blocks, and collects the numbers of the pictures that they refer to."""

    def __init__(self) -> None:
        self.pictures: set[int] = set()
        self._tensors: dict[str, Tensor] = {}

    def pack(self, value: object) -> bytes:
        """The block of one value. Raises TypeError for what no block can hold."""
        self._tensors = {}
        tree = self._tree(value)
        return save(self._tensors, metadata={"tree": json.dumps(tree)})

    def _tree(self, value: Any) -> object:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, Indexed):
            self.pictures.add(value.index)
            return {"picture": value.index}
        if isinstance(value, list | tuple):
            return {type(value).__name__: [self._tree(each) for each in value]}
        if isinstance(value, dict):
            return {"dict": {key: self._tree(each) for key, each in value.items()}}
        if not dataclasses.is_dataclass(value) or _CLASSES.get(type(value).__name__) is not type(value):
            raise TypeError(f"{type(value).__name__} is not marked as stored")
        values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": {name: self._tree(each) for name, each in values.items()}}

    def _tensor(self, value: Tensor) -> object:
        # Axes from the slowest in memory to the fastest: networks may round differently where the order differs.
        order = sorted(range(value.ndim), key=lambda axis: -value.stride()[axis])
        name = str(len(self._tensors))
        self._tensors[name] = value.detach().permute(order).cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name, "order": order, "cpu": value.device.type == "cpu"}


def unpack(block: bytes, pictures: Mapping[int, object], device: torch.device) -> Any:
    """The value of a block; tensors that were on a GPU are put on `device`. Raises Damaged where it cannot be read."""
    try:
        size = int.from_bytes(block[:8], "little")
        tree = json.loads(json.loads(block[8 : 8 + size])["__metadata__"]["tree"])
        return _value(tree, load(block), pictures, device)
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise Damaged(f"a block cannot be read: {type(error).__name__}") from error


def _value(tree: Any, tensors: Mapping[str, Tensor], pictures: Mapping[int, object], device: torch.device) -> Any:
    def of(each: Any) -> Any:
        return _value(each, tensors, pictures, device)

    match tree:
        case {"tensor": name, "order": order, "cpu": on_cpu}:
            tensor = tensors[name].permute([order.index(axis) for axis in range(len(order))])
            return tensor if on_cpu else tensor.to(device)
        case {"picture": index}:
            return pictures[index]
        case {"list": items}:
            return [of(each) for each in items]
        case {"tuple": items}:
            return tuple(of(each) for each in items)
        case {"dict": items}:
            return {key: of(each) for key, each in items.items()}
        case {"class": name, "fields": values}:
            return _CLASSES[name](**{key: of(each) for key, each in values.items()})
        case None | bool() | int() | float() | str():
            return tree
    raise ValueError(tree)
