"""The autoencoder by name or path: the one in the package, the TAESD family, what diffusers writes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker.errors import SettingsError
from deflicker.latent.tensors import read_tensors

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from deflicker.latent.codec import Codec

OWN = "own"
"""The autoencoder that comes with the package."""
_OWN_FILE = Path(__file__).with_name("own.safetensors")
_OWN_SHA256 = "61ea4e47c2cf052f143c6dfd2529e22349d05ba8e76bccbe8af0fa60531f284b"
_ACCEPTED = (
    "give `own`, a folder or file of diffusers' AutoencoderTiny in safetensors, or a file of the TAESD family whose "
    "name has `encoder` or `decoder` in it, the other one beside it"
)


def load_autoencoder(source: str, device: torch.device, dtype: torch.dtype) -> Codec:
    """The autoencoder `source`, `own` or a path, on a device; inner layers in `dtype`.

    Raises SettingsError where there is none, or what is there does not fit.
    """
    try:
        return _own(device, dtype) if source == OWN else _given(Path(source).expanduser(), device, dtype)
    except OSError as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    except ValueError as error:
        problem = str(error)
    raise SettingsError(f"--autoencoder {source}: {problem}; {_ACCEPTED}") from None


def _own(device: torch.device, dtype: torch.dtype) -> Codec:
    from deflicker.latent.codec import Codec
    from deflicker.latent.own import CHANNELS, GROUPS, OwnAutoencoder

    if hashlib.sha256(_OWN_FILE.read_bytes()).hexdigest() != _OWN_SHA256:
        raise ValueError(f"{_OWN_FILE.name} in the package is damaged: install it again")
    network = OwnAutoencoder()
    network.load_state_dict({name: tensor.float() for name, tensor in read_tensors(_OWN_FILE).items()})
    return Codec(OWN, network.eval().requires_grad_(False).to(device, dtype), CHANNELS, GROUPS)


def _given(path: Path, device: torch.device, dtype: torch.dtype) -> Codec:
    from deflicker.latent.codec import Codec
    from deflicker.latent.taesd import Taesd

    encoder, decoder = _halves(path)
    network = Taesd(encoder, decoder)
    return Codec(path.name, network.eval().requires_grad_(False).to(device).in_arithmetic(dtype), network.channels)


def _halves(path: Path) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """The weights of encoder and decoder, in the layout of the TAESD family. Raises OSError or ValueError."""
    if path.is_dir():
        return _halves(_within(path))
    for mine, other in (("encoder", "decoder"), ("decoder", "encoder")):
        if mine in path.name:
            both = {mine: _read(path), other: _read(path.with_name(path.name.replace(mine, other)))}
            return both["encoder"], both["decoder"]
    return _from_diffusers(_read(path))


def _within(folder: Path) -> Path:
    """The file to look into first."""
    for pattern in ("diffusion_pytorch_model.safetensors", "*encoder*.safetensors", "*encoder*.pth", "*.safetensors"):
        if found := sorted(folder.glob(pattern)):
            return found[0]
    raise ValueError("the folder holds no weights that could be an autoencoder's")


def _from_diffusers(weights: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """diffusers numbers a decoder's layers without the clamp before them, which has no weights."""
    halves: dict[str, dict[str, Tensor]] = {"encoder": {}, "decoder": {}}
    for name, tensor in weights.items():
        half, _, rest = name.partition(".layers.")
        if half not in halves or not rest:
            kind = "AutoencoderKL, which is not supported yet" if ".down_blocks." in name else "no AutoencoderTiny"
            raise ValueError(f"it is {kind} ({name})")
        halves[half][rest] = tensor
    return halves["encoder"], halves["decoder"]


def _read(path: Path) -> Mapping[str, Tensor]:
    """Named tensors of a file. Raises OSError or ValueError."""
    if path.suffix == ".safetensors":
        return read_tensors(path)
    import torch

    try:
        with warnings.catch_warnings():  # torch complains of pickles that are not its own before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # a damaged or foreign file makes the unpickler raise nearly anything
        raise ValueError("it is no file of weights") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ValueError("it holds no table of named tensors")
    return state
