"""I3D: the port has the original's shapes and names, and with its weights it knows what a clip shows."""

import os
from pathlib import Path

import pytest
import torch

from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.metrics.i3d import CLASSES, I3D, I3D_KINETICS, SMALLEST_FRAMES, _same, from_jax, prepare

CLIPS = Path(__file__).parents[3] / "shared" / "clips" / "clean"
JUGGLING_SOCCER_BALL = 171
"""Its place among the 400 classes of Kinetics in alphabetical order."""


@pytest.fixture(scope="module")
def network():
    try:
        state = weights.load(I3D_KINETICS)
    except WeightsError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    model = I3D().eval()
    model.load_state_dict(state, strict=True)
    return model


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padded"), [(16, 7, 2, 21), (15, 3, 2, 17), (14, 2, 2, 14), (7, 3, 1, 9), (5, 1, 1, 5)]
)
def test_padding_is_tensorflow_s(size, kernel, stride, padded):
    """⌈n / s⌉ outputs; of an odd number of zeros the larger half comes last."""
    x = torch.ones(1, 1, size, size, size)
    found = _same(x, (kernel,) * 3, (stride,) * 3)
    assert found.shape[-1] == padded
    line = found[0, 0, padded // 2, padded // 2]
    assert line.argmax() == (padded - size) // 2


def test_shape():
    with torch.no_grad():
        assert I3D()(torch.zeros(1, 3, SMALLEST_FRAMES, 224, 224)).shape == (1, CLASSES)


def test_a_clip_as_the_network_wants_it():
    clip = torch.zeros(4, 3, 30, 50)
    clip[:, 0] = 1
    found = prepare(clip)
    assert found.shape == (1, 3, 4, 224, 224)
    assert found[0, 0].flatten().tolist() == pytest.approx([1] * (4 * 224 * 224))
    assert found[0, 1].unique().tolist() == [-1]


def test_batch_normalisation_is_folded():
    """w / √(v + ε) and b − m / √(v + ε), kernels from (T, H, W, in, out) to (out, in, T, H, W)."""
    state = {
        "params/Conv3d_1a_7x7/Conv_0/kernel": torch.full((7, 7, 7, 3, 64), 2.0),
        "params/Conv3d_1a_7x7/BatchNorm_0/bias": torch.full((64,), 0.5),
        "batch_stats/Conv3d_1a_7x7/BatchNorm_0/mean": torch.full((1, 1, 1, 1, 64), 3.0),
        "batch_stats/Conv3d_1a_7x7/BatchNorm_0/var": torch.full((1, 1, 1, 1, 64), 4.0 - 1e-3),
    }
    found = from_jax(state)
    assert sorted(found) == ["stem_1.conv.bias", "stem_1.conv.weight"]
    assert found["stem_1.conv.weight"].shape == (64, 3, 7, 7, 7)
    assert found["stem_1.conv.weight"].unique().tolist() == pytest.approx([1])
    assert found["stem_1.conv.bias"].unique().tolist() == pytest.approx([0.5 - 1.5])
    assert from_jax(found) == found


@pytest.mark.slow
def test_it_knows_what_it_sees(network):
    """A clip of a man juggling a football, of its 400 classes."""

    from deflicker.media.reader import Reader

    path = CLIPS / "sam2_juggle_720p.mp4"
    if not path.exists():
        pytest.skip("the clip is not in the repository")
    from deflicker.media.color import proxy_of

    frames = []
    with Reader(path) as reader:
        for frame in reader.frames():
            frames.append(proxy_of(frame, reader.info.layout, (256, 456), torch.device("cpu"))[:, 16:240, 116:340])
            if len(frames) == 32:
                break
    with torch.no_grad():
        found = network(prepare(torch.stack(frames)))[0].softmax(0)
    assert found.argmax() == JUGGLING_SOCCER_BALL
    assert found.max() > 0.9


@pytest.mark.slow
def test_flicker_moves_its_view(network):
    clip = torch.rand(1, 3, 1, 1, 1).expand(1, 3, 9, 224, 224) * 0.5
    flicker = 1 + 0.3 * torch.tensor([1.0, -1] * 5)[:9].view(1, 1, 9, 1, 1)
    with torch.no_grad():
        first, same, other = network(clip), network(clip.clone()), network(clip * flicker)
    assert torch.equal(first, same)
    assert (other - first).abs().max() > 0.1
