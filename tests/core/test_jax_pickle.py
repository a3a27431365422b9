"""Pickled weights: arrays come in, nothing else does."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from deflicker.core.download import Unusable
from deflicker.core.jax_pickle import read_pickled


def dumped(value, path: Path) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=4))
    return path


def test_nested_tables_of_arrays(tmp_path: Path):
    table = {"params": {"a": {"kernel": np.arange(6.0).reshape(2, 3)}}, "b": np.ones(2, np.float32)}
    found = read_pickled(dumped(table, tmp_path / "w.ckpt"))
    assert found["params/a/kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert sorted(found) == ["b", "params/a/kernel"]
    assert {str(tensor.dtype) for tensor in found.values()} == {"torch.float32"}


class Evil:
    def __reduce__(self):
        return Path.write_text, (Path("/nowhere/at/all"), "x")


@pytest.mark.parametrize("value", [Evil(), {"a": Evil()}, {"a": np.ones(2), "b": Path("x")}])
def test_what_asks_for_more_is_refused_and_not_run(value, tmp_path: Path):
    with pytest.raises(Unusable, match="asks for"):
        read_pickled(dumped(value, tmp_path / "w.ckpt"))


@pytest.mark.parametrize("value", [[1, 2], {"a": "text"}, {"a": [1.0]}, 3])
def test_what_is_no_table_of_arrays(value, tmp_path: Path):
    with pytest.raises(Unusable, match="named tensors"):
        read_pickled(dumped(value, tmp_path / "w.ckpt"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"<html>404</html>", pickle.dumps({"a": 1})[:-3]])
def test_damaged(content, tmp_path: Path):
    (tmp_path / "w.ckpt").write_bytes(content)
    with pytest.raises(Unusable, match="damaged"):
        read_pickled(tmp_path / "w.ckpt")
