"""Sharpness that pulses with a period: every n-th frame sharper or softer, as decoders and interpolators leave it."""
