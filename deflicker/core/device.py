"""Where the networks run and in which arithmetic, chosen once, with the reason."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker.core.errors import DeviceError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """A choice made."""

    torch_device: torch.device
    dtype: torch.dtype
    """Of the flow network."""
    reason: str
    """Why this device and this arithmetic, for the user."""
    workers: int = 1
    """Threads that the flow network may use side by side, each for frames of its own."""


def choose(device: str = "auto", precision: str = "auto") -> Device:
    """Return where to run.

    `device`: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`. `precision`: `auto`, `fp32`, `bf16` or `fp16`.
    `auto` is CUDA before MPS before the CPU, in the fastest arithmetic the device does well.

    Raises DeviceError where the device asked for is not there.
    """
    import torch

    if device == "auto":
        found = next((each for each in ("cuda", "mps") if _is_there(each)), "cpu")
        why = "the fastest here" if found != "cpu" else "no GPU that this PyTorch can use"
    else:
        found, why = device, "as asked"
        if device != "cpu" and not _is_there(device):
            raise DeviceError(_what_to_do(device))
    chosen = torch.device(found)
    workers = 1
    if chosen.type == "cpu":
        use_all_cores()
        workers = min(2, torch.get_num_threads())
    if precision == "auto":
        dtype, because = _best_arithmetic(chosen)
    else:
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        because = "as asked"
    arithmetic = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]
    return Device(chosen, dtype, f"{_name(chosen)} ({why}), {arithmetic} ({because})", workers)


@functools.cache
def use_all_cores() -> None:
    """Give torch the cores this process may use; done once, and left alone where the user has set OMP_NUM_THREADS.

    torch counts the machine's cores, also where a container or `taskset` allows fewer; the surplus threads then wait
    for each other.
    """
    import torch

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(max(1, min(torch.get_num_threads(), allowed_cores())))


@contextmanager
def cores_shared() -> Iterator[None]:
    """Give each of torch's operations half of its cores while stages run side by side, on threads that start meanwhile
    and on this one, which has them back afterwards. Left alone where the user has set OMP_NUM_THREADS.

    There is more than one operation at work then. With all cores for each, the threads of one wait for cores that
    another has: measured on two cores, 1.15 to 1.25 times as slow.
    """
    import torch

    before = torch.get_num_threads()
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(max(1, before // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def allowed_cores() -> int:
    """Return how many cores this process may use, by affinity and by its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):
        return cores


def _is_there(device: str) -> bool:
    import torch

    kind, _, index = device.partition(":")
    if kind == "mps":
        return torch.backends.mps.is_available()
    return torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()


def _what_to_do(device: str) -> str:
    import torch

    if device == "mps":
        return "there is no Apple GPU that this PyTorch can use: leave out --device, or use --device cpu"
    if torch.cuda.is_available():
        return f"there is no GPU for {device}: the last one here is cuda:{torch.cuda.device_count() - 1}"
    if torch.version.cuda is None and torch.version.hip is None:
        remedy = "this PyTorch was built without CUDA: install a CUDA build of it"
    else:
        remedy = "check that `nvidia-smi` lists a GPU and that its driver is new enough"
    return f"there is no GPU for {device}: {remedy}, or use --device cpu"


def _best_arithmetic(device: torch.device) -> tuple[torch.dtype, str]:
    import torch

    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0) or torch.version.hip:
            return torch.bfloat16, "it has tensor cores for it"
        return torch.float16, "too old for bf16"
    if device.type == "cpu" and _multiplies_bf16():
        return torch.bfloat16, "the CPU has instructions for it"
    return torch.float32, "half precision is not reliably faster here"


def _multiplies_bf16() -> bool:
    """Whether the CPU has AMX tiles or AVX-512 products of bf16; without, its convolutions are slower than float32's.

    Measured on the flow network, one thread: 1.8 times as fast as float32 with AVX-512 BF16 alone.
    """
    import torch

    probes = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("amx_tile", "avx512_bf16"))
    return any(probe() for probe in probes if probe)


def _name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"{torch.get_num_threads()} threads on {platform.machine()}"
