"""Pictures of the report: slices in time, the frame that changed most, the map of changes."""

import io

import av
import numpy as np
import pytest
import torch
from PIL import Image

from deflicker.report.gallery_builder import GalleryBuilder, encode, heat_colours, luma_change, to_array


def gray(level: float) -> torch.Tensor:
    return torch.full((3, 16, 24), level)


def opened(image):
    return np.asarray(Image.open(io.BytesIO(image.jpeg)).convert("RGB")).astype(int)


def fill(builder, pairs):
    for number, (before, after) in enumerate(pairs):
        builder.add(number, before, after, lambda side, b=before, a=after: a if side else b)
    return builder.build()


def test_to_array_by_hand():
    assert to_array(torch.tensor([-1.0, 0.5, 2.0]).view(3, 1, 1)).tolist() == [[[0, 128, 255]]]


def test_change_by_hand():
    """The channel that changed most."""
    after = gray(0.5)
    after[2] += 0.1
    assert luma_change(gray(0.5), after).unique().tolist() == pytest.approx([25.5], abs=1e-3)


def test_colours_go_from_dark_to_bright():
    colours = heat_colours(torch.tensor([[0.0, 2.0, 4.0, 8.0, 9.0]]), 8.0)[0].astype(int).sum(1)
    assert colours.tolist() == sorted(colours.tolist())
    assert colours[3] == colours[4]


def test_the_slice_has_a_column_for_each_frame():
    found = fill(GalleryBuilder(pair=True), [(gray(0.2 * t), gray(0.5)) for t in range(5)])
    assert (found.slice_before.width, found.slice_before.height, found.slice_frames) == (5, 16, 5)
    assert opened(found.slice_before)[8, :, 0].tolist() == pytest.approx([51 * t for t in range(5)], abs=6)
    assert opened(found.slice_after)[8, :, 0].tolist() == pytest.approx([128] * 5, abs=4)


def test_the_frame_that_changed_most():
    pairs = [(gray(0.5), gray(0.5 + change)) for change in (0.0, 0.1, 0.3, 0.05)]
    found = fill(GalleryBuilder(pair=True), pairs)
    assert found.frame == 2
    assert opened(found.frame_after).mean() == pytest.approx(0.8 * 255, abs=3)
    assert found.heat_peak == pytest.approx(255 * 0.45 / 4, rel=0.01)


def test_nothing_changed():
    same = gray(0.5)
    found = fill(GalleryBuilder(pair=True), [(same, same)] * 3)
    assert found.heat is None
    assert found.frame_after is not None


def test_the_clip_shows_before_and_after_in_one_picture_and_at_its_rate():
    builder = GalleryBuilder(pair=True)
    for number in range(10):
        builder.add(number, gray(0.2), gray(0.8), lambda side: gray(0.5), time_s=number / 10)
    clip = builder.build().clip
    with av.open(io.BytesIO(clip.webm)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate) == pytest.approx(10, rel=0.01)
    assert len(pictures) == clip.frames == 10
    assert (pictures[5].shape[1], pictures[5].shape[0]) == (clip.width, clip.height) == (48, 16)
    assert pictures[5][:, 4:20].mean() + 80 < pictures[5][:, 28:44].mean()


def test_the_clip_is_short():
    builder = GalleryBuilder(pair=True)
    for number in range(300):
        builder.add(number, gray(0.2), gray(0.8), lambda side: gray(0.5), time_s=number / 25)
    assert builder.build().clip.frames <= 120


def test_one_video_has_no_clip():
    assert fill(GalleryBuilder(pair=False), [(gray(0.2), gray(0.2))] * 4).clip is None


def test_one_video():
    same = gray(0.5)
    found = fill(GalleryBuilder(pair=False), [(same, same)])
    assert found.slice_after is found.frame_after is found.heat is None
    assert found.frame_before is not None
    assert GalleryBuilder(pair=False).build().slice_before is None


def test_bounded_in_a_long_video():
    builder = GalleryBuilder(pair=True)
    found = fill(builder, [(gray(0.5), gray(0.5)) for _ in range(600)])
    assert found.slice_before.width < 600


def test_an_image_is_an_address():
    assert encode(np.zeros((4, 6, 3), np.uint8)).address.startswith("data:image/jpeg;base64,/9j/")
