"""The solver solves what the losses say: the same energy, the same minimum, by three other ways."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deflicker.correction.tone.losses import centring_loss, local_means, tone_energy
from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.pyramid import MultiscaleUnknowns, Pyramid
from deflicker.correction.tone.step_operator import StepOperator
from deflicker.correction.tone.step_weights import robust_weights
from deflicker.correction.tone.tone_problem import Centring, Terms, ToneProblem, weigh
from tests.correction.scenes import rng

FIRST_ORDER = 0.2


def random_steps(frames: int, height: int, width: int, seed: int = 0, reach: float = 1.5) -> dict[int, Step]:
    """Any flow, any ratio, any weight at ±1 and ±2."""
    random, steps = rng(seed), {}
    for offset in (1, -1, 2, -2):
        n = frames - abs(offset)
        if n < 1:
            continue
        steps[offset] = Step(
            offset,
            max(0, -offset),
            reach * torch.randn(n, 2, height, width, generator=random),
            0.1 * torch.randn(n, 3, height, width, generator=random),
            torch.rand(n, 3, height, width, generator=random),
        )
    return steps


def sampled(gains: torch.Tensor, step: Step) -> torch.Tensor:
    """c(x + f) − c(x) by torch's own sampler, `[n, 3, h, w]`."""
    n, _, height, width = step.log_ratio.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack([x + step.flow_cells[:, 0], y + step.flow_cells[:, 1]], -1)
    unit = 2 * (at + 0.5) / torch.tensor([width, height]) - 1
    there = gains[step.start + step.offset :][:n]
    moved = F.grid_sample(there, unit.to(there), padding_mode="border", align_corners=False)
    return moved - gains[step.start :][:n]


@settings(deadline=None, max_examples=12)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
@example(2, 1, 1, 0)
@example(4, 1, 6, 1)
def test_apply_is_bilinear_sampling(frames, height, width, seed):
    steps = random_steps(frames, height, width, seed)
    operator = StepOperator(steps, (frames, height, width))
    gains = torch.randn(frames, 3, height, width, generator=rng(seed + 1))
    left = operator.apply(gains)
    for offset, step in steps.items():
        torch.testing.assert_close(operator.field(left, offset), sampled(gains, step), atol=1e-5, rtol=1e-5)
        assert torch.equal(operator.field(operator.offset, offset), step.log_ratio)
        assert torch.equal(operator.field(operator.weight, offset), step.weight)


@settings(deadline=None, max_examples=12)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_adjoint_is_the_transpose(frames, height, width, seed):
    operator = StepOperator(random_steps(frames, height, width, seed), (frames, height, width))
    gains = torch.randn(frames, 3, height, width, generator=rng(seed))
    there = operator.apply(gains)
    residual = torch.randn(there.shape, generator=rng(seed + 1))
    back = operator.adjoint(residual)
    scale = float(there.norm() * residual.norm()) + 1e-3
    assert float((there * residual).sum() - (gains * back).sum()) == pytest.approx(0, abs=1e-5 * scale)


def test_a_constant_gain_leaves_no_step():
    operator = StepOperator(random_steps(4, 3, 5), (4, 3, 5))
    torch.testing.assert_close(operator.apply(torch.full((4, 3, 3, 5), 0.7)), torch.zeros_like(operator.offset))


def test_the_true_tone_leaves_no_step():
    """Where d was made by flicker n, c = −n is a zero of r = A c + d."""
    tone = torch.randn(5, 3, 4, 4, generator=rng(0))
    steps = {}
    for offset, step in random_steps(5, 4, 4).items():
        steps[offset] = Step(offset, step.start, step.flow_cells, sampled(tone, step), step.weight)
    operator = StepOperator(steps, (5, 4, 4))
    residual = operator.apply(-tone) + operator.offset
    torch.testing.assert_close(residual, torch.zeros_like(residual), atol=1e-5, rtol=0)


def test_both_ways_pairs_the_same_frames():
    frames, height, width = 6, 2, 3
    operator = StepOperator(random_steps(frames, height, width), (frames, height, width))
    cells = height * width
    middle = torch.empty(len(operator.offset))
    for offset, step in operator.steps.items():
        middle[operator.rows[offset]] = torch.arange(len(step.log_ratio)).repeat_interleave(cells).float() + step.start
    pairs = operator.both_ways()
    assert [lag for lag, *_ in pairs] == [1, 2]
    for lag, ahead, behind in pairs:
        assert torch.equal(middle[ahead], middle[behind])
        assert middle[ahead].unique().tolist() == list(range(lag, frames - lag))


class Problem:
    """A tiny window with everything the solver takes, and its energy as `losses` write it."""

    def __init__(
        self,
        *,
        frames: int = 5,
        height: int = 3,
        width: int = 4,
        decided: int = 0,
        seed: int = 0,
        centring: float = 0.0,
        relative: bool = False,
    ) -> None:
        self.shape = (frames, height, width)
        self.steps = random_steps(frames, height, width, seed, reach=0.7)
        self.operator = StepOperator(self.steps, self.shape)
        free = torch.ones(frames)
        free[:decided] = 0
        pyramid = Pyramid(height, width)
        scale = torch.linspace(0.05, 0.2, len(pyramid.sizes))
        scale[1] = 0  # a level without flicker takes no part
        places = [
            s * (0.5 + torch.rand(1, 1, *size, generator=rng(3))) for s, size in zip(scale, pyramid.sizes, strict=True)
        ]
        places[-1] = scale[-1]  # one number is as good as a map
        self.unknowns = MultiscaleUnknowns(pyramid, places, free)
        self.fixed = torch.zeros(frames, 3, height, width)
        self.fixed[:decided] = 0.1 * torch.randn(decided, 3, height, width, generator=rng(seed + 7))
        residual = self.operator.apply(self.fixed) + self.operator.offset
        self.weights = robust_weights(self.operator, residual)
        self.fidelity = [0.003 * (1 + torch.tensor(level)) for level in self.unknowns.levels]
        self.centring, self.relative = centring, relative
        self.terms = Terms(
            self.weights, FIRST_ORDER, self.fidelity, Centring(self.shape[0], self.centring, relative=relative)
        )
        self.start = self.unknowns.zeros(frames, self.fixed)

    def solved(self, iterations: int = 300) -> ToneProblem:
        problem = ToneProblem(self.unknowns, self.fixed)
        problem.solution, problem.field = self.start, self.gain(self.start)
        problem.observe_again(self.steps)
        problem.reweight(self.terms)
        problem.solve(iterations)
        return problem

    def minimum(self, iterations: int = 300) -> list[torch.Tensor]:
        return self.solved(iterations).solution

    def gain(self, unknowns: list[torch.Tensor]) -> torch.Tensor:
        return self.fixed + self.unknowns.expand(unknowns)

    def energy(self, unknowns: list[torch.Tensor]) -> torch.Tensor:
        residual = self.operator.apply(self.gain(unknowns)) + self.operator.offset
        first_weight = FIRST_ORDER * self.weights.first
        for offset, rows in self.operator.rows.items():
            first_weight[rows] /= abs(offset)
        curves = [residual[ahead] + residual[behind] for _, ahead, behind in self.operator.both_ways()]
        sizes = self.unknowns.cells_per_unknown
        gain = self.gain(unknowns)
        if self.relative:
            gain = gain - gain.mean((2, 3), keepdim=True)
        centring = self.centring * centring_loss(gain, local_means(len(gain), 12))
        return centring + tone_energy(
            residual,
            torch.cat(curves),
            torch.cat([math.sqrt(n) * u.flatten() for n, u in zip(sizes, unknowns, strict=True)]),
            first_weight=first_weight,
            second_weight=torch.cat(self.weights.second),
            fidelity_weight=torch.cat([f.expand(u.numel()) for f, u in zip(self.fidelity, unknowns, strict=True)]),
        )

    def gradient(self, unknowns: list[torch.Tensor]) -> torch.Tensor:
        unknowns = [u.clone().requires_grad_() for u in unknowns]
        return flat(list(torch.autograd.grad(self.energy(unknowns), unknowns)))


def flat(unknowns: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([u.flatten() for u in unknowns])


def unflat(vector: torch.Tensor, like: list[torch.Tensor]) -> list[torch.Tensor]:
    return [part.view_as(u) for part, u in zip(vector.split([u.numel() for u in like]), like, strict=True)]


@pytest.mark.parametrize(("centring", "relative"), [(0.0, False), (0.5, False), (0.5, True)])
@pytest.mark.parametrize("decided", [0, 2])
def test_minimum_is_that_of_the_normal_equations(decided, centring, relative):
    problem = Problem(decided=decided, centring=centring, relative=relative)
    # The energy is quadratic: its Hessian's columns are differences of gradients.
    start = flat(problem.start)
    slope = problem.gradient(problem.start)
    hessian = torch.stack(
        [problem.gradient(unflat(unit, problem.start)) - slope for unit in torch.eye(len(start))], 1
    ).double()
    torch.testing.assert_close(hessian, hessian.T, atol=1e-4, rtol=1e-4)
    assert torch.linalg.eigvalsh(hessian).min() > 0
    exact = torch.linalg.solve(hessian, -slope.double()).float()
    found = problem.minimum()
    torch.testing.assert_close(flat(found), exact, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(problem.gain(found), problem.gain(unflat(exact, found)), atol=1e-4, rtol=1e-3)
    assert problem.gradient(found).norm() < 1e-3 * slope.norm()


def test_a_general_minimiser_finds_no_less():
    problem = Problem(decided=1)
    found = problem.energy(problem.minimum()).item()
    unknowns = [u.clone().requires_grad_() for u in problem.start]
    optimiser = torch.optim.LBFGS(unknowns, max_iter=300, history_size=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        energy = problem.energy(unknowns)
        energy.backward()
        return energy

    optimiser.step(closure)
    assert problem.energy(problem.start).item() > 1.2 * found
    assert found == pytest.approx(problem.energy(unknowns).item(), rel=1e-3)


def test_weigh_is_half_the_energys_derivative():
    problem = Problem()
    for unknowns in (problem.start, [torch.randn_like(u) for u in problem.start]):
        residual = problem.operator.apply(problem.gain(unknowns)) + problem.operator.offset
        slope = problem.unknowns.collect(problem.operator.adjoint(weigh(problem.operator, problem.terms, residual)))
        sizes = problem.unknowns.cells_per_unknown
        fidelity = [f * n * u for f, n, u in zip(problem.fidelity, sizes, unknowns, strict=True)]
        torch.testing.assert_close(2 * (flat(slope) + flat(fidelity)), problem.gradient(unknowns), atol=1e-5, rtol=1e-3)


def test_every_step_goes_down():
    problem = Problem()
    energies = [problem.energy(problem.minimum(n)).item() for n in (0, 1, 2, 4, 8, 16)]
    assert energies[0] == problem.energy(problem.start).item()
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < 0.9 * energies[0]


def test_where_it_starts_does_not_matter():
    problem = Problem()
    expected = problem.gain(problem.minimum())
    problem.start = [torch.randn(u.shape, generator=rng(3)) for u in problem.start]
    assert problem.energy(problem.minimum(0)) > 2 * problem.energy(problem.minimum())
    torch.testing.assert_close(problem.gain(problem.minimum()), expected, atol=1e-4, rtol=1e-3)


def test_decided_frames_never_change():
    problem = Problem(decided=3)
    gain = problem.gain(problem.minimum(20))
    assert torch.equal(gain[:3], problem.fixed[:3])
    assert gain[3:].abs().max() > 1e-3


def test_unknowns_expand_and_collect_are_transposes():
    problem = Problem(decided=2)
    unknowns = [torch.randn(u.shape, generator=rng(5)) for u in problem.start]
    field = torch.randn(problem.fixed.shape, generator=rng(6))
    there = (problem.unknowns.expand(unknowns) * field).sum()
    back = sum((a * b).sum() for a, b in zip(unknowns, problem.unknowns.collect(field), strict=True))
    torch.testing.assert_close(there, back, atol=1e-4, rtol=1e-4)


def test_robust_weights_lie_between_nothing_and_those_observed():
    frames, height, width = 5, 9, 10
    steps = random_steps(frames, height, width)
    operator = StepOperator(steps, (frames, height, width))
    weights = robust_weights(operator, operator.offset)
    assert weights.first.min() >= 0
    assert (weights.first <= operator.weight).all()
    for (lag, *_), second in zip(operator.both_ways(), weights.second, strict=True):
        ahead = operator.field(operator.weight, lag)[lag:]
        behind = operator.field(operator.weight, -lag)[:-lag]
        confidence = (ahead * behind).permute(0, 2, 3, 1).reshape(-1, 3)
        assert second.min() >= 0
        assert (second <= confidence).all()


def test_a_cell_alone_is_an_outlier_and_a_whole_field_is_not():
    """A jump in time that its surroundings share is tone; one that they do not share is a wrong match."""
    frames, height, width = 4, 15, 15
    steps = random_steps(frames, height, width)
    for offset, step in steps.items():
        ratio = 1e-3 * torch.randn(step.log_ratio.shape, generator=rng(offset + 5))
        steps[offset] = Step(offset, step.start, step.flow_cells * 0, ratio, torch.ones_like(ratio))
    steps[1].log_ratio[1] += 0.5  # the picture jumps
    steps[1].log_ratio[0, :, 7, 7] += 0.5  # one cell does
    operator = StepOperator(steps, (frames, height, width))
    first = operator.field(robust_weights(operator, operator.offset).first, 1)
    assert first[0, :, 7, 7].max() < 0.2 * first[1].median()
    torch.testing.assert_close(first[1].mean(), first[2].mean(), atol=0.05, rtol=0)


def test_the_energy_reported_is_that_of_the_losses():
    problem = Problem(decided=1, centring=0.5, relative=True)
    found = problem.solved(20).energy()
    assert found.before.item() == pytest.approx(problem.energy(problem.start).item(), rel=1e-5)
    assert found.after.item() == pytest.approx(problem.energy(problem.minimum(20)).item(), rel=1e-5)
    assert found.after < found.before
