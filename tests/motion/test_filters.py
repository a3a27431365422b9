"""Box means and maxima against torch's pooling, which they replace for speed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deflicker.motion.filters import box_max, box_mean, length


@pytest.mark.parametrize("radius", [0, 1, 3, 9])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (12, 5)])
def test_boxes_are_those_of_pooling(radius, size):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1)) - 0.5
    kernel = 2 * radius + 1
    padded = F.pad(image, (radius,) * 4)
    inside = F.pad(torch.ones_like(image), (radius,) * 4)
    mean = F.avg_pool2d(padded, kernel, 1) / F.avg_pool2d(inside, kernel, 1)
    assert torch.allclose(box_mean(image, radius), mean, atol=1e-6)
    largest = F.max_pool2d(F.pad(image, (radius,) * 4, value=-torch.inf), kernel, 1)
    assert torch.equal(box_max(image, radius), largest)


def test_the_image_is_left_alone():
    image = torch.rand(1, 1, 4, 4)
    kept = image.clone()
    box_mean(image, 1), box_max(image, 1)
    assert torch.equal(image, kept)


def test_length_is_pythagoras():
    vectors = torch.tensor([[3.0, -4.0], [0.0, 0.0]])[:, :, None, None]
    assert length(vectors).flatten().tolist() == [5.0, 0.0]
