"""What is remembered comes back to the last bit, and a file cannot make the reader run anything."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections import deque
from fractions import Fraction
from typing import Any

import pytest
import torch

from deflicker.correction.apply import Correction
from deflicker.media.frame import Frame
from deflicker.motion.tracking import Given
from deflicker.pipeline.checkpoint.serialize import Damaged, freeze, thaw


def there_and_back(value: Any, named: dict[str, object] | None = None, frames: dict[int, Frame] | None = None) -> Any:
    file = io.BytesIO()
    held = freeze(value, file, named or {})
    assert held == set(frames or {})
    return thaw(io.BytesIO(file.getvalue()), named or {}, frames or {})


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
    ],
    ids=lambda tensor: f"{tuple(tensor.shape)}-{tensor.dtype}",
)
def test_a_tensor_comes_back_with_its_order_in_memory(tensor: torch.Tensor) -> None:
    back = there_and_back(tensor)
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    if tensor.numel():
        assert back.is_contiguous() == tensor.is_contiguous()
        assert torch.equal(back.contiguous().reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))
    if tensor.ndim == 4:
        assert back.stride() == tensor.stride()


def test_what_is_one_object_stays_one() -> None:
    proxy = torch.randn(3, 2, 2)
    first, second = there_and_back([Given(None, proxy, proxy), deque([proxy], maxlen=4)])
    assert first.look is first.proxy is second[0]
    assert second.maxlen == 4
    gain = torch.randn(3, 1, 1)
    back = there_and_back(Correction(gain, curve=gain))
    assert back.curve is back.log_gain
    assert back.detail is None


def test_frames_and_what_a_run_has_are_not_written() -> None:
    frame = Frame(7, 70, Fraction(1, 10), ())
    network = object()
    back = there_and_back({"a": frame, "b": [network, frame]}, {"flow": network}, {7: frame})
    assert back["a"] is frame
    assert back["b"] == [network, frame]


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("echo ran > /dev/null",)


@pytest.mark.parametrize("value", [Evil(), print, Fraction(1, 2)])
def test_nothing_but_what_is_listed_is_built(value: Any) -> None:
    data = pickle.dumps(value)
    with pytest.raises(Damaged, match="it asks for"):
        thaw(io.BytesIO(struct.pack("<Q", len(data)) + data), {}, {})


@pytest.mark.parametrize("length", [0, 5, 9, 40, 100])
def test_what_ends_early_is_damaged(length: int) -> None:
    file = io.BytesIO()
    freeze([torch.randn(30)], file, {})
    assert len(file.getvalue()) > 100
    with pytest.raises(Damaged):
        thaw(io.BytesIO(file.getvalue()[:length]), {}, {})


@pytest.mark.parametrize("seed", range(30))
def test_any_bytes_are_a_value_or_damaged(seed: int) -> None:
    data = torch.randint(0, 256, (200,), generator=torch.Generator().manual_seed(seed)).to(torch.uint8).numpy()
    with pytest.raises(Damaged):
        thaw(io.BytesIO(struct.pack("<Q", 180) + data.tobytes()), {}, {})
