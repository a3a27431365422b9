"""Audio for a container that refuses the source's codec: transcoded, with its time stamps."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Self

import av

from deflicker.media.probe import as_fraction

_ENCODERS = ("aac", "libopus", "libmp3lame", "mp2")
_BITS_PER_CHANNEL = 96_000


class AudioTranscoder:
    """Decode packets of one stream and encode them for another. Use `between` to make one."""

    def __init__(self, source: Any, stream: Any, encoder: str) -> None:
        self.stream = stream
        self.encoder = encoder
        self._decoder = source.codec_context
        self._time_base = as_fraction(source.time_base) or Fraction(1, 1000)
        context = stream.codec_context
        self._resampler = av.AudioResampler(
            format=context.format,
            layout=context.layout,
            rate=context.sample_rate,
            frame_size=context.frame_size or None,
        )

    @classmethod
    def between(cls, source: Any, output: Any) -> Self | None:
        """A transcoder from a source stream to a new stream of `output`, or None where no encoder fits."""
        context = source.codec_context
        encoder = next((e for e in _ENCODERS if e in output.supported_codecs), None)
        if encoder is None or not context.sample_rate:
            return None
        # Opus knows only its own rates; 48 kHz holds all of them.
        rate = 48000 if encoder == "libopus" else context.sample_rate
        stream = output.add_stream(encoder, rate=rate)
        stream.codec_context.layout = context.layout.name
        stream.codec_context.bit_rate = _BITS_PER_CHANNEL * max(1, len(context.layout.channels))
        stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.open()
        return cls(source, stream, encoder)

    def convert(self, packet: av.Packet[Any], shift: Fraction) -> list[av.Packet[Any]]:
        """Encode what one packet of the source holds, `shift` seconds earlier; damaged packets give nothing."""
        try:
            frames = self._decoder.decode(packet)
        except (av.FFmpegError, ValueError):
            return []
        encoded: list[av.Packet[Any]] = []
        for frame in frames:
            if frame.pts is not None and shift:
                frame.pts -= round(shift / (as_fraction(frame.time_base) or self._time_base))
            for piece in self._resampler.resample(frame):
                encoded += self.stream.encode(piece)
        return encoded

    def finish(self) -> list[av.Packet[Any]]:
        """What the resampler and the encoder still hold."""
        pieces = self._resampler.resample(None)
        return [packet for piece in (*pieces, None) for packet in self.stream.encode(piece)]
