"""Seams go as whole steps; nothing else that happens to light is taken for one."""

import math

import pytest
import torch

from deflicker.correction.tone.observations import observe
from deflicker.correction.tone.seam_correction import SeamMemory, Seams, find_seams, jump_field
from deflicker.correction.tone.seam_detection import fit_steps
from tests.correction.scenes import cells, global_noise, local_noise, matches, pan, rng, still, tone_steps
from tests.correction.tone.test_seam_detection import matches_of

HEIGHT, WIDTH, FRAMES = 64, 96, 32
LAGS = (1, 2, 4)
TIME = torch.arange(FRAMES).view(-1, 1, 1, 1)
SCENES = {
    "still": (still(FRAMES, HEIGHT, WIDTH), (0, 0)),
    "pan": (pan(FRAMES, HEIGHT, WIDTH, step=(2, 1)), (2, 1)),
}
scenes = pytest.mark.parametrize("scene", SCENES)


def found(frames: torch.Tensor, step: tuple[float, float] = (0, 0), memory: SeamMemory | None = None) -> Seams:
    matched = matches(frames, step, lags=LAGS)
    steps = {offset: observe(frames, match) for offset, match in matched.items()}
    none = SeamMemory(frames.new_zeros(0, 3, frames.shape[-2] // 8, frames.shape[-1] // 8))
    return find_seams(frames, matched, steps, memory or none)


def chunks(every: int, sd: float = 0.08, seed: int = 3, frames: int = FRAMES) -> torch.Tensor:
    """Log tone of chunks: the picture's own level, colour and a smooth field for each, `[T, 3, H, W]`."""
    count = math.ceil(frames / every)
    level = sd * torch.randn(count, 3, 1, 1, generator=rng(seed))
    field = local_noise(count, HEIGHT, WIDTH, sd / 2, seed + 1)
    return (level + field).repeat_interleave(every, 0)[:frames]


def jumps(log_tone: torch.Tensor) -> torch.Tensor:
    """Root mean square of each first difference."""
    return (log_tone[1:] - log_tone[:-1]).square().mean((1, 2, 3)).sqrt()


# --- Edits in which there are seams -----------------------------------------------------------------------------------


@scenes
@pytest.mark.parametrize("every", [7, 8, 16, 24])
def test_seams_are_found_and_go(scene, every):
    clean, step = SCENES[scene]
    tone = chunks(every)
    seams = found(clean * tone.exp(), step)
    assert seams.before == tuple(range(every, FRAMES, every)[: (FRAMES - 3) // every])
    left = jumps(seams.log_gain + cells(tone))
    places = torch.tensor(seams.before) - 1
    assert (left[places] < jumps(cells(tone))[places] / 5).all()


def test_a_step_stays_a_step():
    """No frame but the one at the seam changes against its neighbour: nothing becomes a ramp."""
    seams = found(still(FRAMES, HEIGHT, WIDTH) * chunks(16).exp())
    assert seams.before == (16,)
    moved = jumps(seams.log_gain)
    assert moved[15] > 0.05
    moved[15] = 0
    assert moved.max() < 0.001


def test_a_seam_under_flicker_is_found_if_it_stands_out():
    flicker = global_noise(FRAMES, 0.01)
    tone = 0.15 * (torch.arange(FRAMES) >= 16).view(-1, 1, 1, 1).float()
    seams = found(still(FRAMES, HEIGHT, WIDTH) * (tone + flicker).exp())
    assert seams.before == (16,)
    assert (seams.log_gain[16:] - seams.log_gain[15]).mean().item() == pytest.approx(-0.15, abs=0.03)


def test_a_seam_within_a_fade_is_found_and_the_fade_stays():
    fade = torch.linspace(0, -0.6, FRAMES).view(-1, 1, 1, 1)
    tone = 0.12 * (torch.arange(FRAMES) >= 16).view(-1, 1, 1, 1).float()
    seams = found(still(FRAMES, HEIGHT, WIDTH) * (fade + tone).exp())
    assert seams.before == (16,)
    assert (seams.log_gain[16] - seams.log_gain[15]).mean().item() == pytest.approx(-0.12, abs=0.015)
    moved = jumps(seams.log_gain)
    moved[15] = 0
    assert moved.max() < 0.001


def test_the_level_is_the_mean_of_the_chunks():
    tone = chunks(8)
    assert found(still(FRAMES, HEIGHT, WIDTH) * tone.exp()).log_gain.mean().abs() < 5e-4


# --- Edits in which there are none ------------------------------------------------------------------------------------


def at(*values: tuple[int, float]) -> torch.Tensor:
    """Log tone of the whole picture, 0 but for the frames given."""
    tone = torch.zeros(FRAMES, 1, 1, 1)
    for frame, value in values:
        tone[frame] = value
    return tone


def lamp() -> torch.Tensor:
    """A pool of light that is switched on and stays on."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, HEIGHT), torch.linspace(-1, 1, WIDTH), indexing="ij")
    pool = 0.9 * torch.exp(-(x**2 + y**2) / 0.3)
    return (torch.arange(FRAMES) >= 16).view(-1, 1, 1, 1) * pool


def dissolve() -> torch.Tensor:
    share = ((torch.arange(FRAMES) - 12) / 8).clamp(0, 1).view(-1, 1, 1, 1)
    return (1 - share) * still(FRAMES, HEIGHT, WIDTH) + share * 1.3 * still(FRAMES, HEIGHT, WIDTH, seed=9)


NO_SEAMS = {
    "nothing": still(FRAMES, HEIGHT, WIDTH),
    "a flash": still(FRAMES, HEIGHT, WIDTH) * at((16, 0.4)).exp(),
    "a dark frame": still(FRAMES, HEIGHT, WIDTH) * at((16, -1.0)).exp(),
    "a black frame": still(FRAMES, HEIGHT, WIDTH) * (at((16, -1.0)) == 0),
    "lightning for three frames": still(FRAMES, HEIGHT, WIDTH) * at((16, 0.4), (17, 0.3), (18, 0.2)).exp(),
    "a fade": still(FRAMES, HEIGHT, WIDTH) * torch.linspace(0, 1, FRAMES).view(-1, 1, 1, 1),
    "a fade that ends": still(FRAMES, HEIGHT, WIDTH) * torch.linspace(0.2, 1.8, FRAMES).clamp(max=1).view(-1, 1, 1, 1),
    "an exposure ramp": still(FRAMES, HEIGHT, WIDTH) * (0.3 * TIME.sub(16).div(2.5).sigmoid()).exp(),
    "a lamp": still(FRAMES, HEIGHT, WIDTH) * lamp().exp(),
    "a dissolve": dissolve(),
    "global flicker": still(FRAMES, HEIGHT, WIDTH) * global_noise(FRAMES, 0.1).exp(),
    "local flicker": still(FRAMES, HEIGHT, WIDTH) * local_noise(FRAMES, HEIGHT, WIDTH, 0.1).exp(),
    "less than a code value": still(FRAMES, HEIGHT, WIDTH) * (0.006 * (TIME >= 16)).exp(),
}  # fmt: skip


@pytest.mark.parametrize("edit", NO_SEAMS)
def test_nothing_else_is_a_seam(edit):
    seams = found(NO_SEAMS[edit])
    assert seams.before == ()
    assert torch.equal(seams.log_gain, torch.zeros(FRAMES, 3, HEIGHT // 8, WIDTH // 8))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length", [4, 5, 6])
def test_blocks_of_a_few_frames_are_not_chunks(length, seed):
    """Taken off as whole steps, some of them and others not, they would leave all later frames wrong."""
    tone = chunks(length, seed=seed)
    assert found((still(FRAMES, HEIGHT, WIDTH) * tone.exp()).clamp(0, 1)).before == ()


@pytest.mark.parametrize("frames", [3, 4, 5, 6])
def test_light_that_goes_back_is_no_seam(frames):
    """Half of the picture is brighter for a few frames."""
    lit = (TIME >= 14) & (14 + frames > TIME)
    patch = 0.15 * lit * (torch.linspace(-1, 1, WIDTH).square() / -0.3).exp()
    assert found(still(FRAMES, HEIGHT, WIDTH) * patch.exp()).before == ()


@pytest.mark.parametrize("seed", range(12))
def test_flicker_of_any_seed_has_no_seams(seed):
    flicker = global_noise(FRAMES, 0.1, seed) + local_noise(FRAMES, HEIGHT, WIDTH, 0.05, seed + 50)
    assert found(still(FRAMES, HEIGHT, WIDTH) * flicker.exp()).before == ()


@pytest.mark.parametrize("seed", range(6))
def test_half_a_picture_that_pumps_has_no_seams(seed):
    """One number a frame: steps by chance are likelier than where every region has its own."""
    half = (torch.arange(WIDTH) < WIDTH // 2).float()
    assert found(still(FRAMES, HEIGHT, WIDTH) * (global_noise(FRAMES, 0.14, seed) * half).exp()).before == ()


@pytest.mark.parametrize("seed", [172, 345, 391])
def test_steps_that_stay_by_chance_are_no_seams(seed):
    """Three in 400: pumps of one number a frame, which before and after a frame have different means."""
    clean = still(FRAMES, 48, 64)
    assert found((clean * (0.12 * torch.randn(FRAMES, 1, 1, 1, generator=rng(seed))).exp()).clamp(0, 1)).before == ()


def test_no_seam_where_most_of_the_picture_is_not_matched():
    tone = 0.1 * (torch.arange(16) >= 8).view(-1, 1, 1, 1).float().expand(16, 3, 8, 8)
    proxies = 0.4 * tone.exp().mean((2, 3), keepdim=True).expand(16, 3, 4, 4)
    steps = tone_steps(tone, lags=LAGS)
    memory = SeamMemory(torch.zeros(0, 3, 8, 8))
    dim = matches_of(16, tuple(steps), seen=0.25)
    assert find_seams(proxies, dim, steps, memory).before == ()


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_too_short_for_a_seam(frames):
    tone = 0.1 * (torch.arange(frames) >= frames // 2).view(-1, 1, 1, 1)
    seams = found(still(frames, HEIGHT, WIDTH) * tone.exp())
    assert seams.before == ()
    assert not seams.log_gain.any()


# --- How large, and what is carried -----------------------------------------------------------------------------------


def test_the_jump_is_measured_where_it_is():
    """A clean step of a field is found to within what rounding of the levels leaves."""
    field = torch.linspace(-0.1, 0.2, 12).expand(3, 8, 12)
    tone = (torch.arange(16) >= 8).view(-1, 1, 1, 1) * field
    steps = tone_steps(tone, lags=LAGS)
    fit = fit_steps(steps, matches_of(16, tuple(steps)), 16)
    measured = jump_field(steps, fit, 7, [7])
    assert torch.allclose(measured, field, atol=0.002)


def test_noise_is_not_taken_for_a_jump():
    tone = 0.05 * torch.randn(16, 3, 8, 12, generator=rng(0))
    steps = tone_steps(tone, lags=LAGS)
    fit = fit_steps(steps, matches_of(16, tuple(steps)), 16)
    quiet, loud = jump_field(steps, fit, 7, [7]), tone[8] - tone[7]
    assert quiet.square().mean() < loud.square().mean() / 5


def test_decided_frames_keep_their_gain_and_later_ones_join_their_level():
    clean = still(FRAMES, HEIGHT, WIDTH)
    decided = torch.full((12, 3, HEIGHT // 8, WIDTH // 8), 0.07)
    memory = SeamMemory(decided, pictures=40, found=(24,))
    tone = 0.1 * (torch.arange(FRAMES) >= 20).view(-1, 1, 1, 1)
    seams = found(clean * tone.exp(), memory=memory)
    assert torch.equal(seams.log_gain[:12], decided)
    assert seams.log_gain[19].mean().item() == pytest.approx(0.07, abs=0.003)
    assert seams.log_gain[20].mean().item() == pytest.approx(-0.03, abs=0.004)
    following = seams.memory(slice(10, 22), new=10)
    assert following.pictures == 50
    assert following.found == (24, 48)
    assert torch.equal(following.log_gain, seams.log_gain[10:22])


def test_without_seams_the_correction_leaks_away_and_then_is_nothing():
    memory = SeamMemory(torch.full((4, 3, HEIGHT // 8, WIDTH // 8), 0.00052), pictures=99, found=(80,))
    seams = found(still(FRAMES, HEIGHT, WIDTH), memory=memory)
    assert not seams.log_gain[-1].any()
    shrinking = seams.log_gain.mean((1, 2, 3)).diff()
    assert (shrinking <= 0).all()


def test_switched_off():
    none = Seams.none(5, SeamMemory(torch.zeros(2, 3, 4, 6), pictures=7))
    assert torch.equal(none.log_gain, torch.zeros(5, 3, 4, 6))
    assert none.memory(slice(1, 4), 3).pictures == 10
