"""The autoencoder by name or path: the one in the package, the TAESD family, what diffusers writes."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker.core.errors import SettingsError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from deflicker.correction.texture.autoencoder.codec import Codec

OWN = "own"
"""The autoencoder that comes with the package."""
OWN_FILE = Path(__file__).with_name("own.safetensors")
_OWN_SHA256 = "61ea4e47c2cf052f143c6dfd2529e22349d05ba8e76bccbe8af0fa60531f284b"
_ACCEPTED = (
    "give `own`, a folder or file of diffusers' AutoencoderKL or AutoencoderTiny in safetensors, or a file of the "
    "TAESD family whose name has `encoder` or `decoder` in it, with the other one next to it"
)
_PICKLE = "a pickle, which may run code: save the model again with diffusers' save_pretrained, which writes safetensors"
_KL_TILE_PX, _KL_TILE_BYTES = 320, 1 << 30
"""Some 940 features at full size stand for each pixel at once while an AutoencoderKL decodes: 3.8 kB a pixel of a tile
and its surroundings, measured on the widths of Stable Diffusion's."""
_LARGEST_TINY = 32 << 20
"""Bytes beyond which a file is taken for that of an AutoencoderKL, before it is read."""
_COPIES = 3
"""Times the stored bytes while weights are put in: as they were read, and as 32-bit numbers, perhaps from 16."""


def load_autoencoder(source: str, device: torch.device, dtype: torch.dtype) -> Codec:
    """The autoencoder `source`, `own` or a path, on a device; inner layers in `dtype`.

    Raises SettingsError where there is none, or what is there does not fit.
    """
    try:
        return load_own(device, dtype) if source == OWN else _given(Path(source).expanduser(), device, dtype)
    except OSError as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    except ValueError as error:
        problem = str(error)
    raise SettingsError(f"--autoencoder {source}: {problem}; {_ACCEPTED}") from None


def load_own(device: torch.device, dtype: torch.dtype, path: Path = OWN_FILE) -> Codec:
    """The autoencoder that comes with the package. Raises ValueError where its file is not the one that was shipped."""
    from deflicker.correction.texture.autoencoder.codec import Codec
    from deflicker.correction.texture.autoencoder.own import CHANNELS, GROUPS, OwnAutoencoder

    if hashlib.sha256(path.read_bytes()).hexdigest() != _OWN_SHA256:
        raise ValueError(f"{path.name} in the package is damaged: install it again")
    network = OwnAutoencoder()
    network.load_state_dict({name: tensor.float() for name, tensor in _read(path).items()})
    return Codec(OWN, network.eval().requires_grad_(False).to(device, dtype), CHANNELS, GROUPS)


def bytes_of(source: str | None) -> int:
    """Memory that loading and using an autoencoder takes beyond what the one in the package does.

    0 where there is none that could be loaded: that is said when it is.
    """
    path = Path(source or OWN).expanduser()
    try:
        stored = (_within(path) if path.is_dir() else path).stat().st_size if source not in (None, OWN) else 0
    except (OSError, ValueError):
        return 0
    return _COPIES * stored + (_KL_TILE_BYTES if stored > _LARGEST_TINY else 0)


def _given(path: Path, device: torch.device, dtype: torch.dtype) -> Codec:
    from deflicker.correction.texture.autoencoder.codec import TILE_PX, Codec
    from deflicker.correction.texture.autoencoder.kl import AutoencoderKL
    from deflicker.correction.texture.autoencoder.taesd import Taesd

    file = _within(path) if path.is_dir() else path
    weights = _read(file)
    network: AutoencoderKL | Taesd
    if is_kl := any(".down_blocks." in name or ".up_blocks." in name for name in weights):
        network = AutoencoderKL(weights, _groups(file.with_name("config.json")))
    else:
        network = Taesd(*_halves(file, weights))
    network = network.eval().requires_grad_(False).to(device).in_arithmetic(dtype)
    return Codec(path.name, network, network.channels, tile_px=_KL_TILE_PX if is_kl else TILE_PX)


def _groups(config: Path) -> int:
    """How many groups the normalisations of an AutoencoderKL have. Raises ValueError where it is another network."""
    from deflicker.correction.texture.autoencoder.kl import GROUPS

    if not config.exists():
        return GROUPS
    try:
        known = json.loads(config.read_text(encoding="utf-8"))
        groups, activation = known.get("norm_num_groups", GROUPS), known.get("act_fn", "silu")
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        raise ValueError("the config.json next to it cannot be read") from None
    if not isinstance(groups, int) or groups < 1 or activation != "silu":
        raise ValueError(f"its config.json asks for {groups} groups and {activation}, and silu is known")
    return groups


def _halves(file: Path, weights: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """The weights of encoder and decoder, in the layout of the TAESD family. Raises OSError or ValueError."""
    if all(name[:1].isdecimal() for name in weights):
        for mine, other in (("encoder", "decoder"), ("decoder", "encoder")):
            if mine in file.name:
                both = {mine: weights, other: _read(file.with_name(file.name.replace(mine, other)))}
                return both["encoder"], both["decoder"]
    return _from_diffusers(weights)


def _within(folder: Path) -> Path:
    """The file to look into first."""
    for pattern in ("diffusion_pytorch_model.safetensors", "*encoder*.safetensors", "*encoder*.pth", "*.safetensors"):
        if found := sorted(folder.glob(pattern)):
            return found[0]
    if any(folder.glob("*.bin")):
        raise ValueError(f"the folder holds {_PICKLE}")
    raise ValueError("the folder contains no autoencoder weights")


def _from_diffusers(weights: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """diffusers numbers a decoder's layers without the clamp before them, which has no weights."""
    halves: dict[str, dict[str, Tensor]] = {"encoder": {}, "decoder": {}}
    for name, tensor in weights.items():
        half, _, rest = name.partition(".layers.")
        if half not in halves or not rest:
            raise ValueError(f"it is not an autoencoder of a known layout ({name})")
        halves[half][rest] = tensor
    return halves["encoder"], halves["decoder"]


def _read(path: Path) -> Mapping[str, Tensor]:
    """Named tensors of a file. Raises OSError or ValueError."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(path.read_bytes())
        except (SafetensorError, KeyError):  # it is of another format, cut off, or holds a type that torch has not
            raise ValueError("it is not a safetensors file") from None
    if path.suffix == ".bin" and path.exists():
        raise ValueError(f"it is {_PICKLE}")
    import torch

    try:
        with warnings.catch_warnings():  # torch complains of pickles that are not its own before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # a damaged or foreign file makes the unpickler raise nearly anything
        raise ValueError("it is not a weight file") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ValueError("it does not contain named tensors")
    return state
