"""Drift goes as far as asked, and a clean clip keeps its look; the energy's minimum beside autograd."""

import pytest
import torch

from deflicker.correction.tone.losses import anchor_energy
from deflicker.correction.tone.reference_anchor import (
    AnchorMemory,
    Anchors,
    DriftProblem,
    choose_reference,
    drift_confidence,
    find_drift,
    shared_gain,
)
from deflicker.correction.tone.seam_detection import REGIONS, region_steps
from deflicker.motion.correspondence import LongMatch
from tests.correction.scenes import matches, pan, rng, still, texture, tone_steps
from tests.correction.tone.test_seam_detection import matches_of

HEIGHT, WIDTH, FRAMES = 64, 96, 24
LAGS = (1, 2, 4)
TIME = torch.linspace(0, 1, FRAMES).view(-1, 1, 1, 1)
CAST = torch.tensor([0.12, 0.04, -0.08]).view(1, 3, 1, 1)
NEW = AnchorMemory(torch.zeros(0, 3, *REGIONS))
SCENES = {
    "still": (still(FRAMES, HEIGHT, WIDTH), (0, 0)),
    "pan": (pan(FRAMES, HEIGHT, WIDTH, step=(2, 1)), (2, 1)),
}
scenes = pytest.mark.parametrize("scene", SCENES)


def drift(
    frames: torch.Tensor,
    step: tuple[float, float] = (0, 0),
    far: tuple[int, ...] = (),
    memory: AnchorMemory = NEW,
    reference: torch.Tensor | None = None,
) -> Anchors:
    """far: pictures that are matched to the key directly, in a scene that does not move."""
    here = [LongMatch(picture, torch.zeros(2, HEIGHT, WIDTH), torch.ones(1, HEIGHT, WIDTH)) for picture in far]
    return find_drift(frames, matches(frames, step, lags=LAGS), here, memory, reference)


# --- What it does -----------------------------------------------------------------------------------------------------


@scenes
def test_a_drift_is_taken_back(scene):
    clean, step = SCENES[scene]
    found = drift(clean * (TIME * CAST).exp(), step)
    left = found.log_gain + TIME * CAST
    assert found.log_gain.shape == (FRAMES, 3, 1, 1)
    # Up to the level of the reference, which is one of the first pictures.
    assert (left - left[:1]).abs().max() < 0.012
    assert left.abs().max() < 0.025


@scenes
def test_a_clean_clip_keeps_its_look(scene):
    clean, step = SCENES[scene]
    assert drift(clean, step).log_gain.abs().max() < 0.002


def test_what_only_a_region_does_is_no_drift():
    """Half of the picture darkens, as under a cloud."""
    shade = torch.zeros(1, 1, 1, WIDTH)
    shade[..., : WIDTH // 2] = -0.3
    found = drift(still(FRAMES, HEIGHT, WIDTH) * (TIME * shade).exp())
    assert found.log_gain.abs().max() < 0.3 / 3


def test_light_that_changes_a_lot_is_no_drift():
    """No more than half a stop is taken back."""
    found = drift(still(FRAMES, HEIGHT, WIDTH) * (-1.5 * TIME).exp())
    assert found.log_gain.max().item() == pytest.approx(0.35)


def test_direct_matches_bound_what_adds_up():
    """Steps between neighbours are wrong by a little each; the reference itself says that nothing drifted."""
    clean = still(FRAMES, HEIGHT, WIDTH)
    alone = drift(clean * (TIME * CAST).exp(), far=())
    # The key is the first picture, and the last frames are told to look at it as it is at their time.
    memory = AnchorMemory(torch.zeros(1, 3, *REGIONS), clean[0] * CAST[0].exp(), torch.zeros(3, *REGIONS))
    tied = drift(clean * (TIME * CAST).exp(), far=(12, 18, 23), memory=memory)
    assert alone.log_gain[-1].abs().max() > 0.1
    assert tied.log_gain[-1].abs().max() < alone.log_gain[-1].abs().max() / 2


def test_a_given_reference_sets_the_look_from_the_first_picture_on():
    clean = still(FRAMES, HEIGHT, WIDTH)
    warm = (clean[0] * (0.5 * CAST[0]).exp()).clamp(0, 1)
    found = drift(clean, far=(0, 12), reference=warm)
    assert torch.allclose(found.log_gain, 0.5 * CAST.expand(FRAMES, 3, 1, 1), atol=0.006)


def test_a_reference_that_shows_something_else_is_not_used():
    clean = still(FRAMES, HEIGHT, WIDTH)
    unseen = LongMatch(0, torch.zeros(2, HEIGHT, WIDTH), torch.zeros(1, HEIGHT, WIDTH))
    found = find_drift(clean, matches(clean, lags=LAGS), [unseen], NEW, texture(HEIGHT, WIDTH, 7))
    assert found.log_gain.abs().max() < 0.002


def test_decided_pictures_stay_and_later_windows_go_on_from_them():
    frames = still(FRAMES, HEIGHT, WIDTH) * (TIME * CAST).exp()
    whole = drift(frames)
    first = drift(frames[:16])
    memory = first.memory(slice(4, 12))
    then = drift(frames[4:], memory=memory)
    assert torch.allclose(then.memory(slice(0, 8)).path, memory.path, atol=1e-5)
    assert torch.allclose(then.log_gain, whole.log_gain[4:], atol=0.004)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_pictures(frames):
    found = drift(still(frames, HEIGHT, WIDTH))
    assert found.log_gain.shape == (frames, 3, 1, 1)
    assert found.log_gain.abs().max() < 0.002


def test_black_pictures():
    assert not drift(torch.zeros(8, 3, HEIGHT, WIDTH)).log_gain.any()


def test_switched_off():
    none = Anchors.none(5, NEW)
    assert not none.log_gain.any()
    assert none.memory(slice(1, 4)).path.shape == (3, 3, *REGIONS)


# --- How it does it ---------------------------------------------------------------------------------------------------


def test_the_minimum_is_one_of_the_energy():
    """Its gradient, by autograd on the loss itself, vanishes where pictures are free."""
    tone = 0.1 * torch.randn(8, 3, *REGIONS, generator=rng(0))
    steps = tone_steps(tone, lags=(1, 2))
    direct = [(6, 0.1 * torch.randn(3, *REGIONS, generator=rng(1)), torch.full((3, *REGIONS), 0.7))]
    key = 0.1 * torch.randn(3, *REGIONS, generator=rng(2))
    known = 0.1 * torch.randn(2, 3, *REGIONS, generator=rng(3))
    problem = DriftProblem.of(steps, matches_of(8, tuple(steps)), 8)
    problem.tie(direct, key)
    problem.fix([0, 1], known)
    path = problem.minimum().double()
    assert torch.allclose(path[:2].float(), known, atol=1e-4)

    value, weight, start, lag = region_steps(steps)
    free = path.clone().requires_grad_()
    loss = anchor_energy(
        free[start + lag] - free[start] + value,
        key - free[6] + direct[0][1],
        step_weight=weight,
        reference_weight=direct[0][2],
    )
    (gradient,) = torch.autograd.grad(loss, free)
    assert gradient[2:].abs().max() < 0.005  # what holds unseen regions has a small weight of its own
    assert gradient[:2].abs().max() > 0.05
    energy = problem.energy(path.float())
    assert energy.after.item() == pytest.approx(loss.item(), rel=0.01)  # and that term
    assert energy.after < energy.before


def test_the_reference_is_the_middle_of_the_first_pictures():
    frames = texture(32, 32).expand(8, 3, 32, 32).clone()
    tone = torch.tensor([0.0, 0.3, 0.1, 0.5, 0.6, -9, -9, -9]).view(-1, 1, 1, 1).expand(8, 3, *REGIONS)
    assert choose_reference(frames, tone) == 1
    frames[1] = frames[1].mean()  # blurred
    assert choose_reference(frames, tone) in (2, 3)


def test_what_regions_share():
    path = torch.full((2, 3, *REGIONS), 0.1)
    path[:, :, 0, 0] = 5  # one region with light of its own
    shared, spread = shared_gain(path, torch.ones(3, *REGIONS))
    assert torch.allclose(shared, torch.full((2, 3, 1, 1), 0.1), atol=0.01)
    assert spread.max() < 0.2


def test_drift_confidence_by_hand():
    shared = torch.tensor([0.0, 0.1, 0.2]).view(-1, 1, 1, 1).expand(3, 3, 1, 1)
    found = drift_confidence(shared, torch.full((3, 1, 1, 1), 0.1)).flatten()
    assert found.tolist() == pytest.approx([0, 0.5, 16 / 17], abs=1e-4)
