"""An image becomes a video without flicker: `python image_to_video.py MODEL IMAGE OUT`.

MODEL is a folder or hub name of an image-to-video pipeline, such as stabilityai/stable-video-diffusion-img2vid-xt.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from PIL import Image

from deflicker import Settings, deflicker_frames


def steady_frames(
    pipe: Any, image: Image.Image, settings: Settings | None = None, **options: Any
) -> Iterator[Image.Image]:
    """The frames that a pipeline makes of an image, without flicker. `options` go to the pipeline."""
    frames: Iterable[Image.Image] = pipe(image, output_type="pil", **options).frames[0]
    return deflicker_frames(frames, settings=settings or Settings())


def main(model: str, image: str, target: str) -> None:
    """Load the pipeline onto the GPU if there is one, and write a video."""
    import torch
    from diffusers import DiffusionPipeline
    from diffusers.utils import export_to_video, load_image

    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipe = DiffusionPipeline.from_pretrained(model).to(device)
    export_to_video(list(steady_frames(pipe, load_image(image))), target, fps=7)


if __name__ == "__main__":
    main(*sys.argv[1:])
