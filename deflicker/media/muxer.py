"""The output container with everything but the encoded video: other streams, tags, chapters, the final move."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any, BinaryIO

import av

from deflicker.core.options import EncodeOptions
from deflicker.media.animation import holds_plays, play_count, play_option, set_last_delay
from deflicker.media.demux import open_input
from deflicker.media.destination import Destination, name_of, open_target
from deflicker.media.file_target import FileTarget
from deflicker.media.output_format import output_format
from deflicker.media.passthrough import StreamCopier, copy_stream_tags, copy_tags
from deflicker.media.probe import VideoInfo, as_fraction
from deflicker.media.sequence_target import numbers_from
from deflicker.media.timecode import advance

_HOLD_CHAPTERS = ("mp4", "mov", "matroska", "webm", "nut")
_HOLD_ROTATION = ("mp4", "mov", "matroska", "webm", "3gp")
_AVI_TAGS = {
    *("title", "artist", "album", "comment", "copyright", "genre", "language", "track", "date", "creation_time"),
    "encoder",
}
_HELD_TAGS: dict[str, set[str]] = {
    "avi": _AVI_TAGS,
    **{key: {"encoder", "creation_time"} for key in ("gif", "mpegts", "mpeg", "mxf", "3gp", "ogg")},
}
"""Containers that hold no tags, or only these."""
_MP4_TAGS = {
    *("title", "artist", "album_artist", "album", "composer", "comment", "copyright", "date", "description", "genre"),
    *("grouping", "lyrics", "synopsis", "show", "episode_id", "network", "track", "disc", "keywords", "creation_time"),
    *("media_type", "hd_video", "gapless_playback", "compilation", "season_number", "episode_sort", "make", "model"),
    *("location", "location-eng", "major_brand", "minor_version", "compatible_brands", "encoder"),
}


class Output:
    """An open container that will become `target`. Raises OutputError where that cannot be."""

    def __init__(self, target: Destination, info: VideoInfo, options: EncodeOptions, *, dry_run: bool = False) -> None:
        self.path = Path(name_of(target))
        self.format = output_format(self.path, info, options.format)
        self._info = info
        self._dry_run = dry_run
        self._target = open_target(target, source=info.path, overwrite=options.overwrite, dry_run=dry_run)
        self._source = open_input(info.path, input_format=info.input_format)
        self.copied: list[str] = []
        self.dropped: list[str] = []
        self.notes: list[str] = []
        self.moved = 0
        """Copied pictures whose time stamp had to be changed."""
        self._streams: StreamCopier | None = None
        self._plays = play_count(info.path)
        if self._plays not in (None, 1) and not holds_plays(self.format):
            how = f"{self._plays} times" if self._plays else "without end"
            self.dropped.append(f"looping ({how}): a {self.format} file cannot store it")
        try:
            self.container: Any = av.open(self._target.sink, "w", format=self.format, container_options=self._options())
            self._carry_tags()
        except BaseException:
            self._source.close()
            self._target.discard()
            raise

    def _carry_tags(self) -> None:
        copy_tags(self._source, self.container)
        self._name_lost_tags()
        if self._info.codec == "webp":  # what generators left in it came through Matroska, which knows capitals only
            tags = dict(self.container.metadata)
            self.container.metadata.clear()
            self.container.metadata.update({key.lower(): value for key, value in tags.items()})

    def _name_lost_tags(self) -> None:
        held = _HELD_TAGS.get(self.format)
        lost = [] if held is None else sorted(key for key in self.container.metadata if key.lower() not in held)
        if lost:
            self.dropped.append(f"tag{'s' * (len(lost) > 1)} {', '.join(lost)}: a {self.format} file cannot hold them")

    def _options(self) -> dict[str, str]:
        if option := play_option(self.format, self._plays):
            return option
        if self.format == "image2":
            return {"start_number": str(numbers_from(self._info))}
        if self.format == "yuv4mpegpipe":
            return {"strict": "-1"}  # more than 8 bits are an extension that mpv, x264 and FFmpeg know
        if self.format not in ("mp4", "mov") or self._dry_run:  # faststart reads the file again
            return {}
        # faststart: players begin before all is loaded. Tags unknown to iTunes (ComfyUI's workflow) need another box.
        foreign = {key.lower() for key in self._source.metadata} - _MP4_TAGS
        flags = "+faststart+use_metadata_tags" if foreign else "+faststart"
        options = {"movflags": flags, "movie_timescale": str(self._movie_timescale())}
        return options | ({"write_tmcd": "1"} if "timecode" in map(str.lower, self.source_video.metadata) else {})

    def _movie_timescale(self) -> int:
        """Ticks per second in which MP4 stores start offsets: one that holds every stream's exactly."""
        bases = [as_fraction(s.time_base) for s in self._source.streams if s.type in ("audio", "video")]
        scale = lcm(*(base.denominator for base in bases if base))
        own = self._info.time_base.denominator
        return next((s for s in (scale, own) if 1000 <= s <= 1_000_000_000), 90_000)

    @property
    def source_video(self) -> Any:
        """The source's video stream, as a template."""
        return self._source.streams[self._info.stream_index]

    def copy_video_tags(self, stream: Any) -> None:
        """Carry over language, title, disposition, aspect ratio and rotation of the video stream."""
        copy_stream_tags(self.source_video, stream)
        tags = ["metadata", "colour tags"]
        if self._info.sample_aspect_ratio not in (None, 1):
            tags.append(f"aspect ratio of pixels {self._info.sample_aspect_ratio}")
        if self._info.display_matrix:
            if self.format in _HOLD_ROTATION:
                stream.set_display_matrix(self._info.display_matrix)
                tags.append(f"rotation by {self._info.rotation}°")
            else:
                self.dropped.append(f"rotation by {self._info.rotation}°: a {self.format} file cannot hold it")
        self.copied.append(", ".join(tags))

    def add_other_streams(self) -> None:
        """Map every other stream of the source."""
        self._streams = StreamCopier(self._source, self.container, self._info.stream_index)
        self.copied += self._streams.copied
        self.dropped += self._streams.dropped
        self.notes += self._streams.notes

    def set_chapters(self, shift: Fraction) -> None:
        """Carry over the chapters, `shift` seconds earlier. Call before the first packet is written."""
        chapters: list[dict[str, Any]] = [dict(c) for c in self._source.chapters()]
        if not chapters:
            return
        if self.format not in _HOLD_CHAPTERS:
            self.dropped.append(f"{len(chapters)} chapters: a {self.format} file cannot hold them")
            return
        kept = []
        for chapter in chapters:
            ticks = round(shift / Fraction(chapter["time_base"]))
            chapter["start"], chapter["end"] = max(0, chapter["start"] - ticks), chapter["end"] - ticks
            if chapter["end"] > chapter["start"] or not shift:
                kept.append(chapter)
        self.container.set_chapters(kept)
        self.copied.append(f"{len(kept)} chapters")

    def advance_timecode(self, stream: Any, shift: Fraction) -> None:
        """Let the time code begin `shift` seconds later, with the first picture that is kept."""
        rate = self._info.average_rate
        for tags in (stream.metadata, self.container.metadata):
            for key, code in list(tags.items()):
                later = advance(code, round(shift * rate), rate) if key.lower() == "timecode" and rate else None
                if later:
                    tags[key] = later
                    self.copied = [each.replace(f"timecode {code}", f"timecode {later}") for each in self.copied]

    def copy(self, packet: av.Packet[Any], shift: Fraction) -> None:
        """Write one packet of another stream."""
        if self._streams:
            self._streams.copy(packet, shift)

    def confirm(self) -> None:
        """Say that what is being written will be the output: a pipe gets it from now on as it comes."""
        self._target.confirm()

    def finish(self, *, last_delay: Fraction | None = None) -> None:
        """Complete the file and move it to its place. last_delay: duration of the last picture in seconds."""
        self.complete()
        if last_delay and isinstance(self._target, FileTarget) and not self._target.dry_run:
            set_last_delay(self._target.written, self.format, last_delay)
        self.commit()

    def complete(self) -> None:
        """Flush the streams and write the trailer."""
        if self._streams:
            self._streams.finish()
            self.moved += self._streams.moved
        if self.moved:
            self.notes.append(f"{self.moved} packets with a time stamp that does not increase were moved in time")
        self.container.close()
        self._source.close()

    @property
    def written(self) -> Path | BinaryIO:
        """The complete file before it is moved to its place, to be read again."""
        return self._target.written

    def commit(self) -> None:
        """Move what is complete to its place."""
        self._target.commit()
        self.notes += self._target.notes

    def discard(self) -> None:
        """Abort and remove the unfinished file."""
        self._target.stop()
        with contextlib.suppress(av.FFmpegError, ValueError, OSError):  # the file goes anyway
            self.container.close()
        self._source.close()
        self._target.discard()
