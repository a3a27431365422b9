"""safetensors files: what is written is read, and what is broken is said to be."""

import json
from pathlib import Path

import pytest
import torch

from deflicker.correction.texture.autoencoder.tensor_file import read_tensors, write_tensors

TENSORS = {
    "half": torch.tensor([[1.5, -2.0, 0.25]], dtype=torch.float16),
    "one": torch.tensor(7.0),
    "none": torch.zeros(0, 3),
    "brain": torch.tensor([3.0, 1e30], dtype=torch.bfloat16),
}


def test_there_and_back(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.safetensors", TENSORS, {"seed": "1"})
    found = read_tensors(tmp_path / "x.safetensors")
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_a_file_by_hand(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes.fromhex("0000803f000000c0"))
    assert read_tensors(path)["x"].tolist() == [1.0, -2.0]


def test_the_same_tensors_are_the_same_bytes(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", TENSORS, {})
    write_tensors(tmp_path / "b", dict(reversed(TENSORS.items())), {})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("data", [b"", b"PK\3\4 a zip file, say", b"\2" + bytes(7) + b"[]", b"\4" + bytes(7) + b"null"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match="no safetensors file"):
        read_tensors(tmp_path / "x")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "cut off"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}, "cut off"),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, "cut off"),
        ({"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}, "cannot be read"),
        ({"dtype": "F32", "shape": [2]}, "cannot be read"),
        (3, "cannot be read"),
    ],
)
def test_entries_that_lie_are_refused(tmp_path: Path, entry: object, words: str) -> None:
    header = json.dumps({"x": entry}).encode()
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ValueError, match=words):
        read_tensors(tmp_path / "x")
