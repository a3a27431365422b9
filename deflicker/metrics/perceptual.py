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


def coherence(distances: Tensor) -> Tensor:
    """Temporal coherence score TCS = 1 − mean LPIPS(I_t, I_{t+1}); distances `[N]`, those of NaN left out.

    1 is no change at all: blur and a frozen picture score best, so it stands beside the guards only.
    """
    return 1 - distances.nanmean()


def slope(lags: Tensor, distances: Tensor) -> Tensor:
    """Least-squares slope through the drift curve, LPIPS per frame: `[K]` lags in frames, `[K]` mean distances.

    Points of NaN are left out. NaN where fewer than two are left.
    """
    there = ~distances.isnan()
    lags, distances = lags[there].to(distances.dtype), distances[there]
    if len(lags) < 2:
        return distances.new_tensor(float("nan"))
    centred = lags - lags.mean()
    return (centred * (distances - distances.mean())).sum() / centred.square().sum()
