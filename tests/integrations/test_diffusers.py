"""A real image-to-video pipeline of diffusers, tiny and with random weights, whose frames go through the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deflicker import Settings
from tests.test_recipes import module

RECIPE = Path(__file__).parents[2] / "integrations" / "diffusers" / "image_to_video.py"
FRAMES = 8


@pytest.fixture
def pipe() -> Any:
    """Stable Video Diffusion with networks of a few channels, as in diffusers' own tests."""
    diffusers, transformers = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        sample_size=32, in_channels=8, out_channels=4, block_out_channels=(32, 64), layers_per_block=2,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=32, num_attention_heads=8, projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=[32, 64], in_channels=3, out_channels=3, layers_per_block=2, latent_channels=4,
        down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D"],
    )  # fmt: skip
    seen = transformers.CLIPVisionConfig(
        hidden_size=32, projection_dim=32, num_hidden_layers=2, num_attention_heads=4, image_size=224,
        intermediate_size=37, patch_size=56,
    )  # fmt: skip
    made = diffusers.StableVideoDiffusionPipeline(
        unet=unet, vae=vae, image_encoder=transformers.CLIPVisionModelWithProjection(seen),
        scheduler=diffusers.EulerDiscreteScheduler(prediction_type="v_prediction", use_karras_sigmas=True),
        feature_extractor=transformers.CLIPImageProcessor(),
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("raft")
@pytest.mark.filterwarnings("ignore")  # of those two packages
def test_frames_of_a_pipeline(pipe: Any) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    options = {"height": 64, "width": 96, "num_frames": FRAMES, "num_inference_steps": 2}
    recipe = module(RECIPE)
    steady = list(recipe.steady_frames(pipe, image, Settings(preset="fast", device="cpu"), **options))
    assert [(frame.size, frame.mode) for frame in steady] == [((96, 64), "RGB")] * FRAMES
