"""Text subtitles between containers, packet by packet: mov_text, SubRip and WebVTT carry the same text."""

from __future__ import annotations

import re

_TAGS = re.compile(r"<[^>]*>|\{\\[^}]*\}")

TEXT_CODECS = ("mov_text", "subrip", "webvtt", "text")


def text_of(payload: bytes, codec: str) -> str:
    """The text of one subtitle packet, without markup."""
    if codec == "mov_text":
        length = int.from_bytes(payload[:2], "big")
        payload = payload[2 : 2 + length]
    return _TAGS.sub("", payload.decode("utf-8", "replace")).strip("\0\r\n ")


def payload_of(text: str, codec: str) -> bytes:
    """One subtitle packet of `codec` that shows `text`."""
    data = text.encode()
    if codec == "mov_text":
        data = data[:65535]
        return len(data).to_bytes(2, "big") + data
    return data
