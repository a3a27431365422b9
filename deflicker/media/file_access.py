"""What FFmpeg may open: the one file that a path names, by kinds of file that hold all of their own data.

Handed a path as it is, FFmpeg takes `12:30.mp4` and `concat:a|b.mp4` for addresses, and reads whatever other files or
hosts a playlist names. Here a path is a path, `file` the only protocol, and playlists are refused.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

_SCHEME = "file:"

_CONTAINERS = """
    mov matroska avi mpegts mpeg mxf flv live_flv kux asf nut ogg gif apng wtv gxf lxf rm roq swf nsv nuv nc pva ty
    yuv4mpegpipe dv ivf mpjpeg webp_pipe jpegxl_anim fits cine cdxl dhav amv ipu pmp r3d smjpeg sga mv mtv
    4xm bethsoftvid bfi bink bmv c93 cdg dfa dsicin dxa ea film_cpk filmstrip flic frm gdv hcom hnm idcin iff ifv
    ipmovie iss iv8 jv lmlm4 luodat mgsts mm moflex mods mvi msp musx paf psxstr rl2 rpl ser simbiosis_imx siff smk
    thp tiertexseq tmv usm vc1test vividas vivo vmd wc3movie wsvqa xmv yop argo_brp avr avs bin xbin idf adf ingenient
"""
_STREAMS = """
    h261 h263 h264 hevc vvc evc av1 obu apv m4v mpegvideo mjpeg mjpeg_2000 dnxhd dirac vc1 cavsvideo avs2 avs3 v210
    v210x bitpacked rawvideo
"""
_IMAGES = """
    bmp_pipe cri_pipe dds_pipe dpx_pipe exr_pipe gem_pipe gif_pipe hdr_pipe j2k_pipe jpeg_pipe jpegls_pipe jpegxl_pipe
    jpegxs_pipe pam_pipe pbm_pipe pcx_pipe pfm_pipe pgm_pipe pgmyuv_pipe pgx_pipe phm_pipe photocd_pipe pictor_pipe
    png_pipe ppm_pipe psd_pipe qdraw_pipe qoi_pipe sgi_pipe sunrast_pipe tiff_pipe vbn_pipe xbm_pipe xpm_pipe xwd_pipe
"""
_NO_PICTURES = """
    aac ac3 eac3 aiff amr amrnb amrwb ape au caf dts dtshd flac mp3 mlp truehd tta w64 wav wv
    srt ass webvtt microdvd subviewer sami stl
"""
READABLE = frozenset(f"{_CONTAINERS} {_STREAMS} {_IMAGES} {_NO_PICTURES}".split())
"""FFmpeg's demuxers that may be used, each of which reads nothing but its own file. The last ones hold no pictures,
which is then said."""

_PLAYLISTS = (
    (b"ffconcat version", "an ffconcat list"),
    (b"#EXTM3U", "an M3U8 (HLS) playlist"),
    (b"<MPD", "a DASH manifest"),
    (b"<SmoothStreamingMedia", "a Smooth Streaming manifest"),
    (b"<AssetMap", "an IMF asset map"),
    (b"<CompositionPlaylist", "an IMF composition playlist"),
    (b"[playlist]", "a PLS playlist"),
    (b"<playlist", "an XSPF playlist"),
    (b"<asx", "an ASX playlist"),
    (b"[Reference]", "an ASF redirection"),
    (b"rtsp://", "a list of network addresses"),
    (b"http://", "a list of network addresses"),
    (b"https://", "a list of network addresses"),
)


def address(path: PurePath) -> str:
    """What to hand to FFmpeg for one file, whatever its name is."""
    return f"{_SCHEME}{path}"


def pattern_address(path: Path) -> str:
    """The same for numbered images: only the name is a pattern, not the folders before it."""
    return _SCHEME + os.path.join(str(path.parent).replace("%", "%%"), path.name)


def path_of(address: str) -> Path:
    """The path that `address` was made of."""
    return Path(address.removeprefix(_SCHEME))


def access(demuxer: str | None) -> dict[str, str]:
    """Options for FFmpeg: nothing but files, and only this demuxer; None for all of `READABLE`."""
    return {"protocol_whitelist": "file", "format_whitelist": demuxer or ",".join(sorted(READABLE))}


def playlist(head: bytes) -> str | None:
    """What kind of playlist a file is, in words, by its first bytes; None where it is none."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"v=0") and b"\no=" in text:
        return "an SDP description of a network stream"
    if text.startswith(b"<"):
        return next((words for mark, words in _PLAYLISTS if mark.startswith(b"<") and mark in text), None)
    return next((words for mark, words in _PLAYLISTS if text.lower().startswith(mark.lower())), None)
