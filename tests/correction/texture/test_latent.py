"""Texture steadied in latents: boil goes, what does not boil stays exactly, occlusions part, edges are seen to."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.kl import AutoencoderKL
from deflicker.correction.texture.autoencoder.own import CHANNELS, GROUPS, OwnAutoencoder
from deflicker.correction.texture.autoencoder.taesd import Taesd
from deflicker.correction.texture.boil_estimate import Neighbours, boiling
from deflicker.correction.texture.latent import (
    LatentOptions,
    LatentTexture,
    anchor_pull,
    cell_gate,
    latent_variance,
    link_strengths,
)
from deflicker.correction.texture.pictures import Sight
from deflicker.correction.texture.space import Renewal
from deflicker.correction.texture.stabilize import TextureStage
from tests.correction.texture.autoencoder.networks import halves, kl
from tests.correction.texture.test_stabilize import CPU, SIZE, boil, clean, interrupted, psnr, run, shot

OFFSETS = (1, 2, -1, -2)


def codec() -> Codec:
    """The lapped transform, as it is before training."""
    return Codec("lapped", OwnAutoencoder().eval().requires_grad_(False), CHANNELS, GROUPS)


def grey(luma: Tensor) -> Tensor:
    return luma[:, None].expand(-1, 3, -1, -1)


def case(deviation: float) -> tuple[Tensor, Tensor, Neighbours]:
    """A still scene's frame and aligned neighbours `[N, 3, H, W]` that boil, and the same as luma."""
    lumas = clean() + boil(5, deviation)
    still = torch.zeros(4, 2, 72, 96)
    seen, error = torch.ones(4, 1, 72, 96), torch.full((1, 1, 72, 96), 0.02)
    return grey(lumas[:1]), grey(lumas[1:]), Neighbours(OFFSETS, lumas[1:, None], seen, error, still)


def residual(frame: Tensor, aligned: Tensor, around: Neighbours, which: Codec | None = None) -> Tensor:
    found = boiling(frame[:, :1], around)
    assert found is not None
    return LatentTexture(which or codec()).residual(frame, aligned, around, found)


def test_boil_becomes_less() -> None:
    frame, aligned, around = case(0.02)
    truth = grey(clean()[None])
    assert psnr(frame + residual(frame, aligned, around), truth) > psnr(frame, truth) + 3


def test_nothing_that_boils_is_nothing_at_all() -> None:
    """Zero boil in the pixels: z* is z, and the change is 0 bit for bit, whatever the autoencoder makes of pictures."""
    frame, aligned, around = case(0.0)
    for which in (codec(), Codec("taesd", Taesd(*halves()).eval(), 4), Codec("kl", AutoencoderKL(kl(), 4).eval(), 4)):
        assert torch.equal(residual(frame, aligned, around, which), torch.zeros(1, 3, 72, 96))


def test_the_gate_is_shut_cell_by_cell() -> None:
    variance = tuple(torch.zeros(1, 1, 72 >> level, 96 >> level) for level in range(4))
    variance[1][..., :18, :] = 1e-3
    gate = cell_gate(variance, (72, 96), LatentOptions().least)
    assert gate.shape == (9, 12)
    assert float(gate[:4].min()) > 0.9
    assert torch.equal(gate[6:], torch.zeros(3, 12))


def differences(deviation: float, moving: float = 0.0) -> Tensor:
    """Of five frames' latents from the middle one, `[5, 8, 20, 20]`: new noise, and a steady change."""
    rng = torch.Generator().manual_seed(6)
    latents = deviation * torch.randn(5, 8, 20, 20, generator=rng)
    latents = latents + moving * torch.arange(5).view(5, 1, 1, 1) * torch.randn(1, 8, 20, 20, generator=rng)
    return latents - latents[2]


def test_the_variance_of_new_noise_is_found() -> None:
    found = latent_variance(differences(0.1), torch.ones(5, 20, 20), [-2, -1, 0, 1, 2], torch.zeros(20, 20))
    assert float(found.mean()) == pytest.approx(0.01, rel=0.15)


def test_at_the_edge_of_a_shot_one_side_tells() -> None:
    found = latent_variance(differences(0.1)[2:], torch.ones(3, 20, 20), [0, 1, 2], torch.zeros(20, 20))
    assert float(found.mean()) == pytest.approx(0.01, rel=0.2)
    elsewhere = torch.cat([torch.zeros(1, 8, 20, 20), torch.randn(1, 8, 20, 20).expand(2, -1, -1, -1)])
    found = latent_variance(elsewhere, torch.ones(3, 20, 20), [0, 1, 2], torch.zeros(20, 20))
    assert torch.equal(found, torch.zeros(20, 20))


def test_steady_change_is_no_boil() -> None:
    found = latent_variance(differences(0.0, moving=0.1), torch.ones(5, 20, 20), [-2, -1, 0, 1, 2], torch.zeros(20, 20))
    assert torch.equal(found, torch.zeros(20, 20))


def test_links_are_stiff_for_boil_weak_for_change_and_cut_where_hidden() -> None:
    seen = torch.ones(5, 20, 20)
    seen[4, :10] = 0
    variance = torch.full((20, 20), 0.01)
    latents = differences(0.1)
    links = link_strengths(latents, seen, variance, LatentOptions())
    assert float(links[:3].median()) > 10
    assert torch.equal(links[3, :10], torch.zeros(10, 20))
    changed = latents + torch.tensor([0, 0, 0, 1.0, 1.0]).view(5, 1, 1, 1)
    assert float(link_strengths(changed, seen, variance, LatentOptions())[2].max()) < 0.1
    assert torch.equal(link_strengths(latents, seen, 0 * variance, LatentOptions()), torch.zeros(4, 20, 20))


def test_a_shot_is_steadied_in_latents_from_the_first_frame_to_the_last() -> None:
    """The first and the last frames have neighbours on one side only."""
    truth = clean()
    frames = shot(truth + boil(22, 0.02))
    found = run(frames, renewal=Renewal(LatentTexture(codec()), "latent"))
    for before, after in zip(frames, found, strict=True):
        assert after.texture.space == "latent"
        assert after.correction.detail.shape == (3, 72, 96)
        assert psnr(before.picture.value + after.correction.detail[0], truth) > psnr(before.picture.value, truth) + 1.5


def test_a_still_shot_is_not_touched() -> None:
    frames = shot([clean()] * 20)
    assert all(
        a is b for a, b in zip(run(frames, renewal=Renewal(LatentTexture(codec()), "latent")), frames, strict=True)
    )


def test_what_is_chosen_is_done() -> None:
    frames = shot(clean() + boil(20, 0.02))

    class Pixels(Renewal):
        def choose(self, boil_share: float, boil_rms: float):
            assert 0.1 < boil_share < 0.5
            assert boil_rms == pytest.approx(0.02, rel=0.5)
            return replace(super().choose(boil_share, boil_rms), space="pixel")

    chosen, plain = run(frames, renewal=Pixels(LatentTexture(codec()))), run(frames, renewal=None)
    for a, b in zip(chosen, plain, strict=True):
        assert torch.equal(a.correction.detail, b.correction.detail)
        assert (a.texture.space, b.texture) == ("pixel", None)


def test_both_is_the_mean_of_the_two() -> None:
    """But for what is given back of their blur."""
    frames = shot(clean() + boil(20, 0.02))
    pixel, latent, both = (
        run(frames, renewal=space and Renewal(LatentTexture(codec()), space)) for space in (None, "latent", "both")
    )
    for a, b, c in zip(pixel, latent, both, strict=True):
        mean = (a.correction.detail + b.correction.detail) / 2
        torch.testing.assert_close(c.correction.detail, mean, atol=4e-4, rtol=0)


@pytest.mark.parametrize(("levels", "space"), [(1.2, "pixel"), (2.0, "both"), (9.0, "both")])
def test_what_is_chosen_depends_on_the_boil(levels: float, space: str) -> None:
    chosen = Renewal(LatentTexture(codec())).choose(0.2, levels / 255)
    assert (chosen.space, chosen.boil_share) == (space, 0.2)
    assert chosen.boil_levels == pytest.approx(levels)
    assert chosen.why
    for asked in ("latent", "both"):
        assert Renewal(LatentTexture(codec()), asked).choose(0.2, levels / 255).space == asked


# --- Held to the first picture ----------------------------------------------------------------------------------------


def test_an_anchor_is_worth_what_it_is_made_of() -> None:
    """Nothing changed but boil: four frames' worth. Another thing, or no boil: nothing."""
    variance, options = torch.full((20, 20), 0.01), LatentOptions()
    difference = 0.1 * torch.randn(8, 20, 20, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(anchor_pull(difference, variance, options), torch.full((20, 20), 4.0))
    assert torch.equal(anchor_pull(4 * difference, variance, options), torch.zeros(20, 20))
    assert torch.equal(anchor_pull(difference, 0 * variance, options), torch.zeros(20, 20))


def detail_of(frames: list, hold: float) -> Tensor:
    done = run(frames, renewal=Renewal(LatentTexture(codec()), "latent", hold))
    return torch.stack([frame.correction.detail[0] for frame in done])


def test_texture_is_held_to_that_of_the_first_picture() -> None:
    """What is left of the boil becomes less, behind the window the first picture is in, and the same before."""
    truth = clean()
    frames = shot(truth + boil(14, 0.02))
    boiling = torch.stack([frame.picture.value for frame in frames])
    free, held = (boiling + detail_of(frames, hold) for hold in (0.0, 1.0))
    assert torch.equal(held[:3], free[:3])
    assert psnr(held[3:], truth) > psnr(free[3:], truth) + 0.2


def test_nothing_is_held_to_what_was_there_before() -> None:
    """Where another thing has come since, a frame is as near to the truth as without an anchor; beside it, nearer."""
    other = clean()
    other[20:52, 30:66] = clean(9)[20:52, 30:66]
    lumas = torch.stack([clean()] * 6 + [other] * 14) + boil(20, 0.02)
    free, held = ((lumas + detail_of(shot(lumas), hold) - other)[11:] for hold in (0.0, 1.0))
    inside, beside = (slice(None), slice(26, 46), slice(36, 60)), (slice(None), slice(None), slice(0, 20))
    assert float(held[inside].square().mean()) < float(free[inside].square().mean())
    assert float(held[beside].square().mean()) < 0.85 * float(free[beside].square().mean())


def test_texture_that_stays_is_not_touched_by_an_anchor() -> None:
    frames = shot([clean()] * 20)
    done = run(frames, renewal=Renewal(LatentTexture(codec()), "latent", 1.0))
    assert all(a is b for a, b in zip(done, frames, strict=True))


def test_what_it_is_held_to_outlives_an_interruption() -> None:
    """The first picture is long forgotten when the run goes on; what comes out is what would have, bit for bit."""
    renewal = Renewal(LatentTexture(codec()), "latent", 1.0)
    frames = shot(clean() + boil(30, 0.02))
    found, wanted = interrupted(frames, 25, lambda: TextureStage(Sight(SIZE, CPU, 2), renewal=renewal))
    assert all(torch.equal(a.correction.detail, b.correction.detail) for a, b in zip(found, wanted, strict=True))
