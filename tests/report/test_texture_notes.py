"""What is said of shots that boil."""

from deflicker.correction.types import SpaceDecision
from deflicker.report.frame_notes import ShotTexture, TextureShots, texture_lines

LATENT = SpaceDecision("latent", 0.31, 2.44, "strong boil")
PIXEL = SpaceDecision("pixel", 0.12, 1.2, "weak boil")


def test_a_shot_is_named_once_by_its_first_frame() -> None:
    shots = TextureShots()
    for frame, (opens, chosen) in enumerate(
        [(True, None), (False, LATENT), (False, LATENT), (True, PIXEL), (True, None)]
    ):
        shots.add(frame, opens, chosen)
    assert shots.shots == (
        ShotTexture(0, "latent", 0.31, 2.44, "strong boil"),
        ShotTexture(3, "pixel", 0.12, 1.2, "weak boil"),
    )
    assert (
        texture_lines(shots.shots)[0]
        == "shot from frame 0: averaged in latents, since 31% of its change is boil, 2.4 levels of 255 (strong boil)"
    )


def test_a_shot_that_is_held_says_how_much_of_it_is_redrawn() -> None:
    shots = TextureShots()
    shots.add(0, True, SpaceDecision("hold", 0.57, 20.13, "as asked"))
    assert texture_lines(shots.shots) == [
        "shot from frame 0: held, since 57% of it is redrawn, by 20.1 levels of 255 (as asked)"
    ]


def test_many_shots_are_counted() -> None:
    shots = TextureShots()
    for frame in range(9):
        shots.add(frame, True, PIXEL)
    words = texture_lines(shots.shots)
    assert (len(words), words[-1]) == (7, "and 3 more shots")


def test_nothing_is_said_of_nothing() -> None:
    assert texture_lines(TextureShots().shots) == []
