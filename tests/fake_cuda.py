"""A device that computes on the CPU and calls itself `cuda:0`, so that code for a GPU is tested without one.

Inside `FakeCuda.active()`, tensors made on or moved to `cuda` are wrappers around CPU tensors. An operation on tensors
of both devices raises `MixedDevices`, as a GPU would; whatever would make the host wait for the GPU is counted by the
line of the product that asked for it. Uploads from memory that is not pinned, at which torch waits as well, are counted
apart. Values are those of the CPU, bit for bit. No driver and no CUDA build of torch is needed.

It proves placement, not arithmetic: kernels, streams, speed and memory are the real device's alone.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

CUDA = torch.device("cuda:0")
_WAITS = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2"}
"""Operations whose result, or the shape of it, the host needs."""
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Operations that torch lets take indices of the host."""


class MixedDevices(RuntimeError):
    """An operation got tensors of the CPU and of the GPU."""


class OnCuda(torch.Tensor):
    """A tensor that says it is on the GPU. `held` is where its values are: a CPU tensor of any layout."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnCuda:
        # A wrapper has no sparse layout of its own; what it holds may have one.
        strides = (
            {"strides": held.stride(), "storage_offset": held.storage_offset()} if held.layout is torch.strided else {}
        )
        found: OnCuda = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, device=CUDA, **strides)
        found.held = held
        return found

    def __repr__(self, **_: Any) -> str:
        return f"OnCuda({tuple(self.shape)}, {self.dtype})"

    def new_tensor(self, values: Any, **options: Any) -> torch.Tensor:
        """torch's own would call the driver."""
        return torch.tensor(values, dtype=options.get("dtype", self.dtype)).to(options.get("device", CUDA))

    def coalesce(self) -> torch.Tensor:
        """torch's own asks the wrapper for its layout, as do the two below."""
        return OnCuda(self.held.coalesce())

    def to_sparse_csr(self, dense_dim: int | None = None) -> torch.Tensor:
        return OnCuda(self.held.to_sparse_csr(dense_dim))

    def __getitem__(self, index: Any) -> torch.Tensor:
        """torch's own would put lists of numbers on the device by the driver."""
        return super().__getitem__(_uploaded(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_uploaded(index), value)

    def t(self) -> torch.Tensor:
        return OnCuda(self.held.t()) if self.held.layout is not torch.strided else super().t()

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise MixedDevices(f"{function} on a tensor of the fake GPU outside of FakeCuda.active()")


class FakeCuda(TorchDispatchMode):
    """The device, while it is there."""

    def __init__(self, twin: FakeCuda | None = None) -> None:
        """twin: the same device as another thread sees it."""
        super().__init__()
        self.waits: Counter[str] = twin.waits if twin else Counter()
        """How often the host waited, by what for and which line, such as `item motion/cuts.py:83`."""
        self.uploads: Counter[str] = twin.uploads if twin else Counter()
        """The same of copies to the device."""
        self.operations: Counter[str] = twin.operations if twin else Counter()
        """How often each operation ran on the device."""

    @classmethod
    @contextmanager
    def active(cls) -> Iterator[FakeCuda]:
        """Make torch believe that there is one GPU, on this thread and those that start meanwhile."""
        torch._C._ensureCUDADeviceGuardSet()
        answers: dict[str, Callable[..., Any]] = {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "get_device_capability": lambda *_: (9, 0),
            "get_device_name": lambda *_: "fake GPU",
            "mem_get_info": lambda *_: (70 << 30, 80 << 30),
            "empty_cache": lambda: None,
            "synchronize": lambda *_: None,
        }
        device, run = cls(), threading.Thread.run

        def run_with_device(thread: threading.Thread) -> None:
            with cls(device):  # torch knows modes of one thread only
                run(thread)

        reads = {name: device._read(name) for name in ("tolist", "numpy")}
        with (
            mock.patch.multiple(torch.cuda, **answers),
            mock.patch.multiple(OnCuda, create=True, **reads),
            mock.patch.object(threading.Thread, "run", run_with_device),
            # Else a module that is moved keeps its parameters' objects, which are no wrappers.
            mock.patch.object(torch.__future__, "_overwrite_module_params_on_conversion", True),
            torch.backends.cudnn.flags(enabled=False),
            device,
        ):
            yield device

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given: dict[str, Any] = dict(kwargs or {})
        name = function._schema.name.split("::")[-1]
        tensors = [*_tensors(args), *_tensors(list(given.values()))]
        there = any(isinstance(each, OnCuda) for each in tensors)
        here = any(not isinstance(each, OnCuda) and each.dim() for each in tensors)
        if there:
            self.operations[name] += 1
        if name == "copy_":
            return self._copy(function, args, given)
        asked = given.get("device")
        if asked is not None:
            given["device"] = "cpu" if torch.device(asked).type == "cuda" else asked
        if name == "_to_copy":
            to_cuda = there if asked is None else torch.device(asked).type == "cuda"
            if there and not to_cuda:
                self._wait("copy to the CPU")
            elif to_cuda and not there:
                self.uploads[f"upload {_line()}"] += 1
        else:
            if there and here and name not in _INDEXING:
                raise MixedDevices(f"{name} got tensors of the CPU and of cuda:0 at {_line()}")
            to_cuda = there or (asked is not None and torch.device(asked).type == "cuda")
            if there and (name in _WAITS or (name in _INDEXING and _is_mask(args[1]))):
                self._wait("item" if name == "_local_scalar_dense" else name)
        found = function(*_held(args), **_held(given))
        if there and function._schema.is_mutable and name.endswith("_"):
            return args[0]
        return _wrapped(found) if to_cuda else found

    def _copy(self, function: Any, args: Sequence[Any], given: Mapping[str, Any]) -> Any:
        target, source = args[0], args[1]
        if isinstance(source, OnCuda) and not isinstance(target, OnCuda):
            self._wait("copy to the CPU")
        elif isinstance(target, OnCuda) and not isinstance(source, OnCuda) and source.dim():
            self.uploads[f"upload {_line()}"] += 1
        function(*_held(args), **_held(given))
        return target

    def _read(self, name: str) -> Callable[..., Any]:
        def read(tensor: OnCuda, *args: Any, **given: Any) -> Any:
            if name == "numpy":
                raise TypeError("can't convert cuda:0 device type tensor to numpy: copy it to the CPU first")
            self._wait(name)
            return getattr(tensor.held, name)(*args, **given)

        return read

    def _wait(self, what: str) -> None:
        self.waits[f"{what} {_line()}"] += 1


def _line() -> str:
    """The innermost line of the product that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        _, found, path = frame.f_code.co_filename.replace("\\", "/").rpartition("/deflicker/")
        if found:
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "outside of the product"


def _uploaded(index: Any) -> Any:
    """An index with its lists of numbers put on the device; a tuple in a tuple is such a list, too."""
    parts = [torch.tensor(each).to(CUDA) if isinstance(each, list | tuple) else each for each in _parts(index)]
    return tuple(parts) if isinstance(index, tuple) else parts[0]


def _parts(index: Any) -> Sequence[Any]:
    return index if isinstance(index, tuple) else (index,)


def _is_mask(indices: Sequence[Any]) -> bool:
    return any(isinstance(each, OnCuda) and each.dtype in (torch.bool, torch.uint8) for each in indices)


def _held(tree: Any) -> Any:
    """What the tensors of the device hold, in arguments as torch passes them on."""
    if isinstance(tree, OnCuda):
        return tree.held
    if isinstance(tree, dict):
        return {key: _held(each) for key, each in tree.items()}
    return type(tree)(map(_held, tree)) if type(tree) in (list, tuple) else tree


def _wrapped(tree: Any) -> Any:
    """Results, with their tensors put on the device."""
    if isinstance(tree, torch.Tensor):
        return tree if isinstance(tree, OnCuda) else OnCuda(tree)
    return type(tree)(map(_wrapped, tree)) if type(tree) in (list, tuple) else tree


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        yield tree
    elif type(tree) in (list, tuple):
        for each in tree:
            yield from _tensors(each)
