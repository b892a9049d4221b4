"""Small random components with odd shapes: quick, and swapped axes or typed-in sizes show up."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# half the cores, because tests run two at a time
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))

import jaxtyping
import pytest
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from sdlearn.loading import Components, load
from sdlearn.train import tokenizer as tokenizer_training

WIDTH = 24

os.environ.setdefault("SDLEARN_STEPS", "20")
"""Shortens live training in the lessons for the tests; the notebooks' kernels read it."""

os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")
atexit.register(shutil.rmtree, os.environ["IPYTHONDIR"], ignore_errors=True)
STARTUP = Path(os.environ["IPYTHONDIR"], "profile_default", "startup")
STARTUP.mkdir(parents=True)
shutil.copy(Path(__file__).with_name("no_network.py"), STARTUP)


@pytest.fixture(autouse=True)
def contracts(request):
    """Check annotations, except where a test passes in what they forbid on purpose."""
    off = request.node.get_closest_marker("bad_input") is not None
    jaxtyping.config.update("jaxtyping_disable", off)


def small_unet(**changes) -> UNet2DConditionModel:
    torch.manual_seed(0)
    config = dict(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
    )
    return UNet2DConditionModel(**{**config, **changes}).eval().requires_grad_(False)


def stable_diffusions_scheduler() -> PNDMScheduler:
    """The scheduler as Stable Diffusion 1.5 ships it."""
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    scheduler.register_to_config(clip_sample=False)  # for schedulers made from its configuration
    return scheduler


@pytest.fixture(scope="session")
def random_model() -> Components:
    """A Stable Diffusion with random weights, and with other latent shapes than the shipped one."""
    torch.manual_seed(0)
    tokenizer = tokenizer_training.make(["a red house", "a blue tree in the snow"])
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        scaling_factor=0.7,
        sample_size=32,
    )
    text_encoder = CLIPTextModel(config)
    for part in (vae, text_encoder):
        part.eval().requires_grad_(False)
    return Components(
        "random",
        tokenizer,
        text_encoder,
        None,
        None,
        vae,
        small_unet(),
        stable_diffusions_scheduler(),
    )


@pytest.fixture(scope="session")
def tiny() -> Components:
    """The shipped model."""
    return load("tiny", device="cpu")


@pytest.fixture(scope="session")
def random_pipeline(random_model) -> StableDiffusionPipeline:
    """The parts of `random_model` in diffusers' own pipeline."""
    m = random_model
    pipeline = StableDiffusionPipeline(
        m.vae,
        m.text_encoder,
        m.tokenizer,
        m.unet,
        PNDMScheduler.from_config(m.scheduler.config),
        None,
        None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def saved(random_pipeline, tmp_path_factory) -> Path:
    """The folder that diffusers writes for `random_pipeline`."""
    folder = tmp_path_factory.mktemp("saved model with spaces é")
    random_pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """A copy of that folder, to change."""
    return shutil.copytree(saved, tmp_path / "copy")
