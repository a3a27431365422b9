"""What rides on pictures and cannot be given to an encoder is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
from av.sidedata.sidedata import Type

from deflicker.media.hdr import unsupported_metadata
from deflicker.media.probe import probe
from deflicker.media.remux import remux
from tests.media.making import make, transcode

CAPTION = bytes.fromhex("b50031") + b"GA94" + bytes.fromhex("0341ff fc9420 ff")
"""One pair of caption bytes as ATSC A/53 wraps them (user_data_registered_itu_t_t35)."""


def captioned(path: Path) -> Path:
    """H.264 with closed captions in an SEI message before each picture."""
    plain = make(path.with_stem("plain"))
    message = b"\x06\x04" + bytes([len(CAPTION)]) + CAPTION + b"\x80"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream: Any = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size:
                made: Any = av.Packet(len(message).to_bytes(4, "big") + message + bytes(packet))
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.duration, made.is_keyframe, made.stream = packet.duration, packet.is_keyframe, stream
                target.mux(made)
    return path


def test_closed_captions_are_copied_or_named(tmp_path: Path) -> None:
    path = captioned(tmp_path / "in.mp4")
    info = probe(path)
    assert info.unsupported_metadata == ("closed captions inside the pictures (CEA-608/708)",)
    assert any("closed captions" in what for what in transcode(path, tmp_path / "out.mp4")[1].dropped)
    copy = remux(info, tmp_path / "copy.mp4")
    assert copy is not None
    assert copy.dropped == ()
    assert probe(tmp_path / "copy.mp4").unsupported_metadata == info.unsupported_metadata


def test_each_kind_is_named_once() -> None:
    kinds = ("DOVI_METADATA", "DOVI_RPU_BUFFER", "DYNAMIC_HDR_PLUS", "DISPLAYMATRIX", "SEI_UNREGISTERED")
    frame: Any = SimpleNamespace(side_data=[SimpleNamespace(type=Type[kind]) for kind in kinds])
    assert unsupported_metadata(frame) == ("Dolby Vision metadata", "HDR10+ metadata")


def test_an_ordinary_picture_carries_nothing_more(tmp_path: Path) -> None:
    assert probe(make(tmp_path / "in.mp4", rotation=90)).unsupported_metadata == ()
