"""The device and arithmetic chosen, and why."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from deflicker.core import device
from deflicker.core.device import choose
from deflicker.core.errors import DeviceError


@pytest.fixture
def cpu_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    """Pretend; nothing is run on them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Pretended GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_without_gpu_is_the_cpu(cpu_only, monkeypatch, bf16, dtype):
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda: bf16, raising=False)
    chosen = choose("auto", "auto")
    assert (chosen.torch_device, chosen.dtype) == (torch.device("cpu"), dtype)
    assert "no GPU" in chosen.reason


def test_auto_prefers_cuda(two_gpus):
    chosen = choose()
    assert (chosen.torch_device.type, chosen.dtype) == ("cuda", torch.bfloat16)
    assert "Pretended GPU" in chosen.reason
    assert choose("cuda:1").torch_device == torch.device("cuda:1")


def test_old_gpu_gets_fp16(two_gpus, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert choose().dtype == torch.float16


def test_mps_before_the_cpu(cpu_only, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose().torch_device.type == "mps"


def test_precision_asked_for_is_taken(cpu_only):
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        assert choose("cpu", name).dtype == dtype


@pytest.mark.parametrize("asked", ["cuda", "cuda:1", "mps"])
def test_what_is_not_there_is_an_error_with_a_remedy(cpu_only, asked):
    with pytest.raises(DeviceError, match="--device cpu"):
        choose(asked)


def test_gpu_number_too_high(two_gpus):
    with pytest.raises(DeviceError, match="the last one here is cuda:1"):
        choose("cuda:2")


def test_cores_are_those_allowed(monkeypatch):
    assert 1 <= device.allowed_cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
        assert device.allowed_cores() == 1


def test_stages_share_the_cores_and_give_them_back(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with device.cores_shared(), ThreadPoolExecutor(1) as pool:
            assert torch.get_num_threads() == pool.submit(torch.get_num_threads).result() == 2
        assert torch.get_num_threads() == 4
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        with device.cores_shared():
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
