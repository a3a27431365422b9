"""Autoencoders by name and path, and one line that says what is wrong with others."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from deflicker.core.errors import SettingsError
from deflicker.correction.texture.autoencoder import loading
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.kl import AutoencoderKL
from deflicker.correction.texture.autoencoder.loading import bytes_of, load_autoencoder
from deflicker.correction.texture.autoencoder.taesd import Taesd
from tests.correction.texture.autoencoder.networks import as_diffusers, halves, kl

CPU = torch.device("cpu")
TAEF2 = Path(__file__).parents[5] / "shared" / "weights"
FRAMES = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def load(source: object) -> Codec:
    return load_autoencoder(str(source), CPU, torch.float32)


def truth() -> torch.Tensor:
    network = Taesd(*halves())
    with torch.no_grad():
        return network.decode(network.encode(FRAMES))


def same(codec: Codec) -> bool:
    return torch.equal(codec.decode(codec.encode(FRAMES), (16, 24)), truth())


def test_two_files_of_the_family(tmp_path: Path) -> None:
    for name, weights in zip(("taesd_encoder.pth", "taesd_decoder.pth"), halves(), strict=True):
        torch.save(weights, tmp_path / name)
    assert same(load(tmp_path / "taesd_encoder.pth"))
    assert same(load(tmp_path / "taesd_decoder.pth"))
    assert same(load(tmp_path))


def test_two_files_of_safetensors(tmp_path: Path) -> None:
    for name, weights in zip(("encoder", "decoder"), halves(), strict=True):
        save_file(weights, tmp_path / f"x_{name}.safetensors", {})
    assert same(load(tmp_path / "x_encoder.safetensors"))
    assert same(load(tmp_path))


def test_a_folder_as_diffusers_writes_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderTiny"}))
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file(as_diffusers(*halves()), file, {"format": "pt"})
    assert same(load(tmp_path))
    assert same(load(file))


def test_the_one_in_the_package() -> None:
    codec = load("own")
    found = codec.decode(codec.encode(FRAMES), (16, 24))
    assert (codec.channels, found.shape) == (48, FRAMES.shape)


def test_the_one_in_the_package_is_small() -> None:
    assert loading.OWN_FILE.stat().st_size <= 3 << 20


def test_a_damaged_package_is_said(tmp_path: Path) -> None:
    damaged = tmp_path / "own.safetensors"
    damaged.write_bytes(loading.OWN_FILE.read_bytes()[:-1] + b"\0")
    with pytest.raises(ValueError, match="in the package is damaged: install it again"):
        loading.load_own(torch.device("cpu"), torch.float32, damaged)


def test_taef2(tmp_path: Path) -> None:
    if not (TAEF2 / "taef2_encoder.pth").exists():
        pytest.skip("TAEF2's weights are not here")
    codec = load(TAEF2 / "taef2_encoder.pth")
    ramp = torch.linspace(0.1, 0.9, 64).expand(1, 3, 64, 64)
    error = codec.decode(codec.encode(ramp), (64, 64)) - ramp
    assert codec.channels == 32
    assert float(error.square().mean().sqrt()) < 0.05  # wrongly put together it is 0.2 and more


def kl_folder(folder: Path, config: dict[str, object] | None, name: str = "diffusion_pytorch_model") -> Path:
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    save_file(kl(), folder / f"{name}.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("name", ["diffusion_pytorch_model", "autoencoder", "diffusion_pytorch_model.fp16"])
def test_an_autoencoder_kl(tmp_path: Path, name: str) -> None:
    """Folder and file alike; its config.json says how many groups the normalisations have."""
    folder = kl_folder(tmp_path, {"_class_name": "AutoencoderKL", "norm_num_groups": 2}, name)
    network = AutoencoderKL(kl(), 2).eval()
    with torch.no_grad():
        wanted = network.decode(network.encode(FRAMES))
    for codec in (load(folder), load(folder / f"{name}.safetensors")):
        assert (codec.channels, codec.tile_px) == (4, 320)
        assert torch.equal(codec.decode(codec.encode(FRAMES), (16, 24)), wanted)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "16 channels do not make 32 groups"),
        ({"norm_num_groups": 3}, "16 channels do not make 3 groups"),
        ({"norm_num_groups": 0}, "asks for 0 groups"),
        ({"norm_num_groups": 4, "act_fn": "mish"}, "4 groups and mish"),
        ([], "cannot be read"),
    ],
)
def test_a_config_that_does_not_fit_is_said(tmp_path: Path, config: dict[str, object] | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(kl_folder(tmp_path, config))


def test_a_pickle_of_diffusers_is_not_opened(tmp_path: Path) -> None:
    torch.save(kl(), tmp_path / "diffusion_pytorch_model.bin")
    for source in (tmp_path, tmp_path / "diffusion_pytorch_model.bin"):
        with pytest.raises(SettingsError, match="a pickle, which may run code: save the model again"):
            load(source)


def test_what_an_autoencoder_takes_is_known_before_it_is_read(tmp_path: Path) -> None:
    assert bytes_of(None) == bytes_of("own") == bytes_of(str(tmp_path / "none")) == 0
    (tmp_path / "x.safetensors").write_bytes(bytes(1000))
    assert bytes_of(str(tmp_path)) == bytes_of(str(tmp_path / "x.safetensors")) == 3000
    with (tmp_path / "x.safetensors").open("wb") as file:
        file.truncate(160 << 20)
    assert bytes_of(str(tmp_path)) == (3 * 160 << 20) + (1 << 30)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.write_bytes(b"nothing of the kind"), "not a safetensors file"),
        (lambda path: path.mkdir(), "contains no autoencoder weights"),
        (lambda path: save_file({"x": torch.zeros(1)}, path, {}), "of a known layout \\(x\\)"),
        (lambda path: save_file({"encoder.layers.0.weight": torch.zeros(1)}, path, {}), "no TAESD encoder"),
        (
            lambda path: save_file({"encoder.down_blocks.0.resnets.0.norm1.weight": torch.zeros(1)}, path, {}),
            "lacks encoder.conv_in.weight, which an AutoencoderKL has",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(tmp_path: Path, make, words: str) -> None:
    path = tmp_path / "some.safetensors"
    make(path)
    with pytest.raises(SettingsError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "give `own`" in str(caught.value)


def test_half_a_pair_is_said(tmp_path: Path) -> None:
    torch.save(halves()[0], tmp_path / "x_encoder.pth")
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "x_encoder.pth")


def test_a_foreign_pickle_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "x_encoder.pth").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(SettingsError, match="not a weight file"):
        load(tmp_path / "x_encoder.pth")
