"""What a user may write, and what is refused in one line."""

from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deflicker.core.errors import DeflickerError, SettingsError
from deflicker.core.presets import PRESETS
from deflicker.core.settings import Settings
from deflicker.core.values import Span, TimePoint, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        (" 90 ", 90),
        ("1:30", 90),
        ("01:30", 90),
        ("1:30.5", Fraction(181, 2)),
        ("00:01:30.5", Fraction(181, 2)),
        ("1:00:00", 3600),
        ("12:34:56.789", 45296 + Fraction(789, 1000)),
        (".5", Fraction(1, 2)),
        ("2.", 2),
        ("0.1", Fraction(1, 10)),  # exactly, which no float is
        ("100:00:00", 360000),
        ("1:5", 65),
    ],
)
def test_times(text, seconds):
    assert TimePoint.parse(text) == TimePoint(seconds=Fraction(seconds))


@pytest.mark.parametrize(("text", "frame"), [("0f", 0), ("2700f", 2700), (" 12f ", 12), ("007f", 7)])
def test_frame_numbers(text, frame):
    assert TimePoint.parse(text) == TimePoint(frame=frame)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "f", "s", "-1", "-1f", "1.5f", "1e3", "nan", "inf", "1:60:00", "1:2:3:4", "1:", ":30", "1m30s",
        "1,5", "90 s", "soon",
    ],
)  # fmt: skip
def test_no_times(text):
    with pytest.raises(SettingsError, match="is not a time") as error:
        TimePoint.parse(text)
    assert "\n" not in str(error.value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_clock_time_is_its_seconds(hours, minutes, seconds, thousandths):
    exact = hours * 3600 + minutes * 60 + seconds + Fraction(thousandths, 1000)
    assert TimePoint.parse(f"{hours}:{minutes:02}:{seconds:02}.{thousandths:03}").seconds == exact
    assert TimePoint.parse(f"{float(exact):.3f}").seconds == exact


@pytest.mark.parametrize(
    ("text", "frames", "words"),
    [
        ("3f-5f", [3, 4], "3f-5f"),
        ("0-2f", [0, 1], "0s-2f"),
        ("0.25-0.75", [3, 4, 5, 6, 7], "0.25s-0.75s"),  # a frame every tenth of a second
        (" 0:00.5s - 7f ", [5, 6], "0.5s-7f"),
        ("8f-99f", [8, 9], "8f-99f"),
        ("20-30", [], "20s-30s"),
    ],
)
def test_spans(text, frames, words):
    span = Span.parse(text)
    assert [n for n in range(10) if span.holds(n, Fraction(n, 10))] == frames
    assert str(span) == words


@pytest.mark.parametrize("text", ["", "-", "90", "1-", "-1", "1-2-3", "a-b", "5-5", "5-4", "7f-7f", "9f-2f"])
def test_no_spans(text):
    with pytest.raises(SettingsError) as error:
        Span.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("1K", 1 << 10),
        ("500M", 500 << 20),
        ("8G", 8 << 30),
        ("8g", 8 << 30),
        ("8GB", 8 << 30),
        ("8GiB", 8 << 30),
        ("8 gib", 8 << 30),
        ("1.5GiB", 3 << 29),
        ("0.5 T", 1 << 39),
        ("12B", 12),
        (" 2K ", 2048),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size
    assert isinstance(parse_size(text), int)


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", "8X", "8GG", "1e9", "1.5.2G", ".5G", "eight", "8G of it", "nan", "inf"]
)
def test_no_sizes(text):
    with pytest.raises(SettingsError, match="is not a size") as error:
        parse_size(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"strength": -0.01}, "strength is -0.01"),
        ({"strength": 1.01}, "strength is 1.01"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"preset": "best"}, "no preset 'best'.*fast, balanced, quality"),
        ({"anchor": -0.1}, "anchor is -0.1"),
        ({"anchor": 1.5}, "anchor is 1.5"),
        ({"reference": TimePoint(frame=3)}, "set anchor"),
        ({"precision": "int8"}, "no precision 'int8'.*bf16"),
        ({"device": "tpu"}, "no device 'tpu'.*cuda:N"),
        ({"device": "cuda:"}, "no device"),
        ({"device": "cuda:x"}, "no device"),
        ({"device": "CPU"}, "no device"),
        ({"device": "mps:0"}, "no device"),
        ({"max_memory": 0}, "max_memory"),
        ({"max_memory": -1}, "max_memory"),
    ],
)
def test_refused(chosen, says):
    with pytest.raises(SettingsError, match=says) as error:
        Settings(**chosen)
    assert isinstance(error.value, DeflickerError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "chosen",
    [
        {"strength": 0},
        {"strength": 1},
        {"strength": 0.5},
        *({"device": device} for device in ("auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12")),
        *({"precision": precision} for precision in ("auto", "fp32", "bf16", "fp16")),
        {"max_memory": 1},
        {"anchor": 1},
        {"anchor": 0.5, "reference": TimePoint(frame=3)},
        {"anchor": 0.5, "reference": Path("look.png")},
        {"guide": Path("source.mp4")},
        {"exclude": (Span.parse("1-2"), Span.parse("10f-3"))},
        {"keep_flashes": True},
    ],
)
def test_accepted(chosen):
    settings = Settings(**chosen)
    assert {name: getattr(settings, name) for name in chosen} == chosen


def test_settings_are_frozen_and_named():
    with pytest.raises(FrozenInstanceError):
        Settings().strength = 0.5
    with pytest.raises(TypeError):
        Settings(1.0)
    assert Settings() == Settings()
    assert Settings().strength == 1


def test_flow_to_a_reference_only_where_it_is_needed():
    assert Settings().key_every == 0
    assert Settings(anchor=0.1).key_every > 0


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_what_the_engine_can_do(name):
    plan = Settings(preset=name).plan
    assert plan == replace(PRESETS[name], latents=name == "quality")
    optional = {"texture_reach", "texture_max_side_px", "latents"}
    assert all(getattr(plan, field.name) for field in fields(plan) if field.name not in optional)
    assert plan.flow_max_side_px % 8 == 0
    # Each lag is made of two of the one before it.
    assert plan.lags == tuple(2**n for n in range(len(plan.lags)))
    assert len(plan.lags) >= 2
    assert max(plan.lags) <= min(plan.history_frames, plan.core_frames, plan.lookahead_frames)
    assert plan.window_frames == plan.history_frames + plan.core_frames + plan.lookahead_frames


def test_latents_of_fast_take_the_texture_of_balanced():
    assert Settings(preset="fast").plan.texture_reach == 0
    for space in ("latent", "both"):
        plan = Settings(preset="fast", space=space).plan
        assert (plan.texture_reach, plan.flow_max_side_px) == (2, 192)
        assert plan.latents
    assert not Settings(space="pixel").plan.latents


@pytest.mark.parametrize(
    ("options", "words"),
    [({"space": "time"}, "no space 'time'"), ({"space": "pixel", "autoencoder": "own"}, "no effect in pixels")],
)
def test_spaces_are_checked(options, words):
    with pytest.raises(SettingsError, match=words):
        Settings(**options)


@pytest.mark.parametrize("preset", PRESETS)
def test_texture_is_held_where_there_is_a_guide_or_it_is_asked_for(preset):
    guide = Path("guide.mp4")
    assert Settings(preset=preset).plan.holds == "never"
    guided = Settings(preset=preset, guide=guide).plan
    assert guided.holds == "redrawn"
    assert guided.texture_max_side_px > 0
    assert guided.texture_reach == PRESETS[preset].texture_reach
    asked = Settings(preset=preset, texture="hold").plan
    assert (asked.holds, asked.texture_reach) == ("always", 0)
    off = Settings(preset=preset, texture="off", guide=guide).plan
    assert (off.holds, off.texture_reach) == ("never", 0)
    average = Settings(preset=preset, texture="average", guide=guide).plan
    assert (average.holds, average.texture_reach) == ("never", PRESETS[preset].texture_reach)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"texture": "sharp"}, "no texture 'sharp'"),
        ({"hold": 1.5}, "hold is 1.5: it must be between 0 and 1"),
        ({"hold": 0.5, "texture": "average"}, "hold has no effect while texture is average"),
    ],
)
def test_texture_and_hold_are_checked(options, words):
    with pytest.raises(SettingsError, match=words):
        Settings(**options)


def test_latents_are_the_presets_unless_asked_for():
    assert [Settings(preset=name).texture_space for name in PRESETS] == ["pixel", "pixel", "auto"]
    assert Settings(space="auto").texture_space == Settings(autoencoder="own").texture_space == "auto"
    assert Settings(preset="quality", space="pixel").texture_space == "pixel"
    assert Settings(space="auto").plan.latents


def test_an_autoencoder_of_ones_own_lies_somewhere(tmp_path):
    file = tmp_path / "vae.safetensors"
    assert Settings(autoencoder=str(file)).autoencoder_path is None
    file.touch()
    assert Settings(autoencoder=str(file)).autoencoder_path == file
    assert Settings(autoencoder="own").autoencoder_path is Settings().autoencoder_path is None
