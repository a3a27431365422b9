"""The test device itself: values of the CPU, no mixing, every wait for the host counted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.fake_cuda import FakeCuda, MixedDevices


@pytest.fixture
def gpu() -> Iterator[FakeCuda]:
    with FakeCuda.active() as device:
        yield device


def test_values_are_those_of_the_cpu(gpu: FakeCuda) -> None:
    values = torch.arange(12.0).view(3, 4)
    there = values.to("cuda")
    assert (there.device.type, there.sum(1).device.type) == ("cuda", "cuda")
    assert torch.equal((there.t() @ there).cpu(), values.t() @ values)
    there[1] = 0
    assert values[1].sum() == 22, "a copy, not the same memory"


def test_mixing_devices_raises(gpu: FakeCuda) -> None:
    with pytest.raises(MixedDevices, match="add got tensors of the CPU and of cuda:0"):
        torch.ones(3, device="cuda") + torch.ones(3)
    assert float((torch.ones(3, device="cuda") + torch.tensor(1.0)).sum()) == 6, "numbers of the host may go anywhere"
    with pytest.raises(TypeError, match="copy it to the CPU first"):
        torch.ones(3, device="cuda").numpy()


def test_every_wait_for_the_host_is_counted(gpu: FakeCuda) -> None:
    there = torch.arange(4.0, device="cuda")
    assert sum(gpu.waits.values()) == 0
    waits = (
        lambda: there.tolist(),
        lambda: there.sum().item(),
        lambda: bool(there.sum() > 0),
        lambda: there.cpu(),
        lambda: there.nonzero(),
        lambda: there[there > 1],
        lambda: torch.empty(4).copy_(there),
    )
    for number, wait in enumerate(waits, 1):
        wait()
        assert sum(gpu.waits.values()) == number


def test_uploads_and_lists_of_numbers_are_counted(gpu: FakeCuda) -> None:
    there = torch.arange(4.0, device="cuda")
    assert sum(gpu.uploads.values()) == 0
    assert there[[0, 2]].cpu().tolist() == [0, 2]
    there[[1, 3]] = 9
    assert there.cpu().tolist() == [0, 9, 2, 9]
    torch.ones(2).to("cuda")
    assert sum(gpu.uploads.values()) == 3


def test_threads_see_the_device(gpu: FakeCuda) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: torch.ones(3, device="cuda").sum().item()).result() == 3
    assert gpu.waits == {"item outside of the product": 1}


@pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*CSR")
def test_sparse_matrices_work(gpu: FakeCuda) -> None:
    places, values = torch.tensor([[0, 1, 1], [2, 0, 2]]), torch.tensor([3.0, 4.0, 5.0])
    matrix = torch.sparse_coo_tensor(places.to("cuda"), values.to("cuda"), (2, 3)).coalesce()
    column = torch.tensor([[1.0], [2.0], [3.0]])
    assert (matrix.to_sparse_csr() @ column.to("cuda")).cpu().flatten().tolist() == [9, 19]
    transposed = matrix.t().coalesce().to_sparse_csr()
    assert (transposed @ torch.ones(2, 1, device="cuda")).cpu().flatten().tolist() == [4, 0, 8]
    with pytest.raises(MixedDevices):
        matrix.to_sparse_csr() @ column
