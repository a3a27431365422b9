"""The numbers the tone correction works with. Each default is the product; a 0 or False leaves its ingredient out."""

from __future__ import annotations

from dataclasses import dataclass, field

from deflicker.core.presets import Preset


@dataclass(frozen=True)
class EnergyOptions:
    """Terms of the energy that the gains of cells and the tone curves share. See `losses.tone_energy`."""

    first_order: float = 1.0
    """β: weight of first differences relative to second ones, divided by the lag."""
    second_order: float = 1.0
    """Weight of second differences."""
    centring: float = 0.1
    """ρ: weight of the correction's mean over a while, relative to a step's weight."""
    gate: bool = True
    """Correct only what the gate recognises as flicker, not all change."""
    trend: bool = True
    """Leave slow changes of tone alone, such as fades."""


@dataclass(frozen=True)
class GainOptions(EnergyOptions):
    """For the log gains of cells (`gain_field.solve_gains`).

    Centring holds the differences between places; the whole picture's mean, whose errors are small, is left free.
    """

    fidelity: float = 0.3
    """κ: weight of the correction's size, in units of the residual's variance …"""
    noise: float = 3.0
    """… and of the variance of the errors of a level's steps: the geometric mean of both. 0: of the first alone."""
    min_fidelity: float = 0.3
    """The least fidelity, as a fraction of that of the residual's variance."""
    iterations: tuple[int, ...] = (12, 10, 10)
    """Conjugate gradient steps of each round; the third observes the corrected frames again."""
    places: bool = True
    """Estimate how much each place flickers, not only each level."""
    robust: bool = True
    """Give less weight to cells that disagree with their surroundings."""
    agreement: bool = True
    """Give less weight to matches that the corrected frames contradict."""
    bounds: bool = True
    """Use samples clipped at white as bounds where the corrected frames contradict them; needs `agreement`."""


@dataclass(frozen=True)
class CurveOptions(EnergyOptions):
    """For the tone curves of whole frames (`tone_curve.solve_curve`). Centring holds curves that are not plain gains.

    An empty `iterations` leaves curves out.
    """

    fidelity: float = 0.02
    """κ: weight of the correction's size, in units of the variance of the remaining steps …"""
    drift: float = 10.0
    """… and of the variance of the steps' errors, which add up over time."""
    centring_by_noise: float = 30000.0
    """Additional ρ for each unit of the steps' error variance: what adds up to the drift that it stops."""
    iterations: tuple[int, ...] = (12,) + (10,) * 11
    """Conjugate gradient steps of each Gauss-Newton round."""
    shared: bool = True
    """Use curves only where the whole picture asks for them (`static_check.is_global`)."""


@dataclass(frozen=True)
class ToneOptions:
    """For a window: its size, and every ingredient of the tone correction."""

    lags: tuple[int, ...]
    """Frame distances along which tone is compared: powers of two from 1."""
    history_frames: int
    """Frames a window starts with whose correction is decided."""
    core_frames: int
    """Frames whose correction a window decides."""
    lookahead_frames: int
    """Frames after the core that a window sees and does not decide."""
    gains: GainOptions = field(default_factory=GainOptions)
    curve: CurveOptions = field(default_factory=CurveOptions)
    anchor: float = 0.0
    """Fraction of the drift from the reference to remove, 0 to 1."""
    rolling: bool = True
    """Remove the bands of mains light that a rolling shutter catches."""
    mixes: bool = True
    """Correct saturation and hue, which gains and curves cannot."""
    seams: bool = True
    """Remove the steps of tone between a generator's chunks."""
    static_check: bool = True
    """Take corrections back where they do not steady their place."""
    parts: bool = True
    """Find the hard edge between a part that flickers and one that does not."""
    highlights: bool = True
    """Keep clipped samples at the light that their neighbours show."""

    @classmethod
    def of(cls, preset: Preset, anchor: float = 0.0) -> ToneOptions:
        """The options of a preset."""
        return cls(
            preset.lags,
            preset.history_frames,
            preset.core_frames,
            preset.lookahead_frames,
            GainOptions(iterations=preset.iterations),
            anchor=anchor,
        )
