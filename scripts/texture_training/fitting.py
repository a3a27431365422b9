"""Fit the temporal attention to stored samples. Stops and goes on; the same on any device."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Generator, Tensor

from deflicker.correction.texture.comparison import Comparison, Values
from deflicker.correction.texture.laplacian import shrink, split_bands
from deflicker.correction.texture.luma_chroma import LumaChroma, along, to_luma_chroma
from deflicker.correction.texture.temporal_attention import MEMORY, TemporalAttention
from deflicker.motion.filters import block_mean
from deflicker.motion.warp import inside

from .samples import ROWS, Sample

MARGIN_PX = 8
"""Border of a crop that no loss looks at."""


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    width: int = 16
    steps: int = 8000
    batch: int = 4
    rate: float = 2e-3
    seed: int = 1
    reaches: tuple[int, ...] = (2, 2, 4)
    """Neighbours on each side, drawn for each step."""
    sharpness: float = 0.02
    temporal: float = 0.5
    clean: float = 1.0
    """How much more a sample counts that does not flicker."""
    average: float = 0.998
    every: int = 200
    """Steps between two looks at it."""


@dataclass(frozen=True, eq=False)
class Losses:
    """Of one batch."""

    whole: Tensor
    before: Tensor
    """Mean squared error of what flickers."""
    after: Tensor
    """Mean squared error of what comes out."""


def rate_share(step: int, steps: int) -> float:
    """Up over the first 100 steps, then down along a cosine."""
    return min(1.0, step / 100) * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2)


def batch_of(data: Sample, rows: Tensor, rng: Generator, device: torch.device) -> Sample:
    """Samples as floats, mirrored and turned at random."""
    parts = {name: values[rows].to(device) for name, values in vars(data).items()}
    parts = {name: values.float() / (1 if name == "flow_px" else 255) for name, values in parts.items()}
    parts["error"] = 2 * parts["error"]
    for axis, component in ((-1, 0), (-2, 1)):
        if float(torch.rand((), generator=rng)) < 0.5:
            parts = {name: values.flip(axis) for name, values in parts.items()}
            sign = torch.ones(2, device=device)
            sign[component] = -1
            parts["flow_px"] = parts["flow_px"] * sign.view(2, 1, 1)
    if float(torch.rand((), generator=rng)) < 0.5:
        parts = {name: values.transpose(-1, -2) for name, values in parts.items()}
        parts["flow_px"] = parts["flow_px"].flip(2)
    gain = 1 + 0.25 * (2 * torch.rand((len(rows), 1, 1, 1, 1), generator=rng) - 1).to(device)
    parts["stack"] = (parts["stack"] * gain[..., None]).clamp(0, 1)
    parts["truth"] = (parts["truth"] * gain).clamp(0, 1)
    return Sample(**parts)


def rolled_out(network: TemporalAttention, batch: Sample, reach: int, imagined: Tensor) -> list[LumaChroma]:
    """What becomes of each picture in a row, each remembered by the next.

    imagined: `[3, B]` in [0, 1]: how bad the memory of the first one is, whether there is one, and how blurred it is.
    """
    kept = [row for row, offset in enumerate(ROWS) if 0 < abs(offset) <= reach]
    offsets = (*(ROWS[row] for row in kept), MEMORY)
    memory, seen = _imagined(batch, imagined)
    outputs: list[LumaChroma] = []
    for picture in range(batch.stack.shape[1]):
        if picture:
            flow_px = batch.flow_px[:, picture - 1]
            memory = along(outputs[-1], flow_px)
            seen = batch.flow_visible[:, picture - 1, None] * inside(flow_px)
        stack = to_luma_chroma(batch.stack[:, picture])
        frame = LumaChroma(stack.luma[:, 0], stack.chroma[:, 0])
        others = LumaChroma(
            torch.cat([stack.luma[:, kept], memory.luma[:, None]], 1),
            torch.cat([stack.chroma[:, kept], memory.chroma[:, None]], 1),
        )
        visible = torch.cat([batch.visible[:, picture, kept, None], seen[:, None]], 1)
        values = Values(others, visible, batch.error[:, picture, None], offsets)
        outputs.append(frame + network(Comparison.of(frame, values)).merged(frame))
    return outputs


def _imagined(batch: Sample, drawn: Tensor) -> tuple[LumaChroma, Tensor]:
    """What the picture before the first might have become, brought to the first, and where it is seen."""
    past = [row for row, offset in enumerate(ROWS) if offset < 0]
    seen = batch.visible[:, 0, past, None]
    mean = (batch.stack[:, 0, past] * seen).sum(1) / seen.sum(1).clamp_min(1e-3)
    truth = batch.truth[:, 0]
    share, given, blur = drawn.view(3, -1, 1, 1, 1)
    memory = _resampled(truth + share * (mean - truth), (blur - 0.4).clamp_min(0))
    return to_luma_chroma(memory), seen[:, 0] * (given < 0.65).to(truth)


def _resampled(image: Tensor, blur: Tensor) -> Tensor:
    """Blurred as by being brought along from picture to picture many times. blur: 0 … 0.6, of each image."""
    soft = F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    return image + blur * (soft - image)


def losses_of(network: TemporalAttention, batch: Sample, recipe: Recipe, reach: int, imagined: Tensor) -> Losses:
    """What is learnt: to be near the truth, steady, and as sharp as it is."""
    outputs = rolled_out(network, batch, reach, imagined)
    truths = [to_luma_chroma(each) for each in batch.truth.unbind(1)]
    errors = [LumaChroma(o.luma - t.luma, o.chroma - t.chroma) for o, t in zip(outputs, truths, strict=True)]
    is_clean = (batch.stack[:, :, 0] - batch.truth).abs().amax((1, 2, 3, 4)) < 1e-6
    weight = 1 + (recipe.clean - 1) * is_clean.to(errors[0].luma)
    whole = errors[0].luma.new_zeros(())
    for turn, (error, output, truth) in enumerate(zip(errors, outputs, truths, strict=True)):
        near = _distance(error) + recipe.sharpness * _unsharp(output.luma, truth.luma)
        whole = whole + (0.5 if turn == 0 else 1.0) * (weight * near).mean()
    for turn in range(1, len(outputs)):
        flow_px, seen = batch.flow_px[:, turn - 1], batch.flow_visible[:, turn - 1, None]
        before = along(errors[turn - 1], flow_px, "bilinear")
        seen = seen * inside(flow_px)
        luma = (errors[turn].luma - before.luma) * seen
        chroma = (errors[turn].chroma - before.chroma) * shrink(seen)
        steady = _smooth_l1(_inner(luma, MARGIN_PX)) + _smooth_l1(_inner(chroma, MARGIN_PX // 2))
        whole = whole + recipe.temporal * steady.mean()
    given = to_luma_chroma(batch.stack[:, -1, 0])
    before, after = (
        _inner(each.luma - truths[-1].luma, MARGIN_PX).square().mean()
        + _inner(each.chroma - truths[-1].chroma, MARGIN_PX // 2).square().mean()
        for each in (given, outputs[-1])
    )
    return Losses(whole, before.detach(), after.detach())


def _distance(error: LumaChroma) -> Tensor:
    """Of pixels and their gradients, luma and colour: `[B]`."""
    total = 0.0
    for plane, margin in ((error.luma, MARGIN_PX), (error.chroma, MARGIN_PX // 2)):
        inner = _inner(plane, margin)
        gradients = _smooth_l1(inner.diff(dim=-1)) + _smooth_l1(inner.diff(dim=-2))
        total = total + _smooth_l1(inner) + 0.5 * gradients
    return torch.as_tensor(total)


def _inner(image: Tensor, margin: int) -> Tensor:
    return image[..., margin:-margin, margin:-margin]


def _smooth_l1(error: Tensor) -> Tensor:
    """Mean over a sample of |error|, quadratic below a code value or two: `[B]`."""
    return (error.square() + 3e-5).sqrt().mean((1, 2, 3)) - 3e-5**0.5


def _unsharp(output: Tensor, truth: Tensor) -> Tensor:
    """How far the energies of the three finest bands of luma are from the truth's, on cells of 16 px of each: `[B]`."""
    total = output.new_zeros(len(output))
    for ours, theirs in zip(split_bands(output, 3)[:-1], split_bands(truth, 3)[:-1], strict=True):
        ours, theirs = (block_mean(band.square(), 16) + 2e-5 for band in (ours, theirs))
        total = total + (ours / theirs).log().abs().clamp(max=1).mean((1, 2, 3))
    return total


class Fitting:
    """A training under way."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.step, self.seconds = recipe, device, 0, 0.0
        self.network = TemporalAttention(recipe.width).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.rate, betas=(0.9, 0.99))
        self.kept = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.rng = torch.Generator().manual_seed(recipe.seed)

    def take_step(self, data: Sample) -> Losses:
        """One step of the optimiser."""
        self.step += 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * rate_share(self.step, self.recipe.steps)
        rows = torch.randint(len(data.stack), (self.recipe.batch,), generator=self.rng)
        reach = self.recipe.reaches[int(torch.randint(len(self.recipe.reaches), (), generator=self.rng))]
        imagined = torch.rand((3, len(rows)), generator=self.rng).to(self.device)
        batch = batch_of(data, rows, self.rng, self.device)
        losses = losses_of(self.network, batch, self.recipe, reach, imagined)
        self.optimiser.zero_grad(set_to_none=True)
        losses.whole.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.2)
        self.optimiser.step()
        average = min(self.recipe.average, self.step / (self.step + 20))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.kept[name].lerp_(value, 1 - average)
        return losses

    def save(self, path: Path) -> None:
        """Everything that is needed to go on."""
        state = {
            "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "kept": self.kept,
            "rng": self.rng.get_state(), "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def resume(self, path: Path) -> None:
        """Go on where `save` was called."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.kept = dict(state["kept"])
        self.rng.set_state(state["rng"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]

    def begin_with(self, path: Path) -> None:
        """Begin a schedule with the weights of another."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["kept"])
        self.kept = {name: value.clone() for name, value in self.network.state_dict().items()}

    def export(self, path: Path) -> None:
        """The running mean of the weights as float16, the recipe beside them."""
        about = {"width": self.recipe.width, "seed": self.recipe.seed, "step": self.step, "steps": self.recipe.steps}
        save_file({n: v.half() for n, v in self.kept.items()}, path, {n: str(v) for n, v in about.items()})


def fit(fitting: Fitting, data: Sample, out: Path, stop_after_s: float) -> None:
    """Train until the schedule or the time ends; a checkpoint and the weights are written every so often."""
    recipe, started, before_s = fitting.recipe, time.monotonic(), fitting.seconds
    sums = torch.zeros(3)
    while fitting.step < recipe.steps and time.monotonic() - started < stop_after_s:
        losses = fitting.take_step(data)
        sums += torch.stack([losses.whole, losses.before, losses.after]).detach().cpu()
        fitting.seconds = before_s + time.monotonic() - started
        if fitting.step % recipe.every == 0 or fitting.step == recipe.steps:
            loss, given, found = (sums / recipe.every).tolist()
            gain = 10 * math.log10(max(given, 1e-9) / max(found, 1e-9))
            print(f"{fitting.step:6d} {fitting.seconds:7.0f} s  loss {loss:.5f}  gain {gain:.2f} dB", flush=True)
            sums.zero_()
            fitting.save(out.with_suffix(".checkpoint"))
            fitting.export(out)
