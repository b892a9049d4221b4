"""`python benchmarks/full_size.py`: what everything costs at Stable Diffusion 1.5's size.

Builds its true configuration, with random weights, into a folder in diffusers' layout; loads it as
a learner would; runs every stage, recording, text to image, image to image and inpainting; and
beside them diffusers' own pipeline, in the same run. Give it a GPU; on a CPU `--size 64 --steps 1`
ends within minutes.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from stopwatch import once, seconds
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextModel

import sdlearn
from sdlearn.attention import record
from sdlearn.compression import decode, encode
from sdlearn.evaluate.samples import as_pipeline
from sdlearn.evaluate.solvers import SOLVERS
from sdlearn.loading import Components
from sdlearn.pipeline import text_to_latents
from sdlearn.similarity import image_vectors, text_vectors
from sdlearn.text import encode_text
from sdlearn.train.unet import make_scheduler

PROMPT = "a red house left of a blue tree in the snow"
TEXT = dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
VISION = dict(
    hidden_size=1024,
    intermediate_size=4096,
    num_attention_heads=16,
    num_hidden_layers=24,
    patch_size=14,
)


@torch.no_grad()
def build(folder: Path) -> None:
    """Stable Diffusion 1.5 with random weights and the small model's tokenizer."""
    torch.manual_seed(0)
    tokenizer = sdlearn.load("tiny", device="cpu").tokenizer
    clip = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=768)).half()
    clip.save_pretrained(folder / "clip")
    CLIPImageProcessorPil().save_pretrained(folder / "clip")
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=512,
    )
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    parts = (
        vae.half(),
        CLIPTextModel.from_pretrained(folder / "clip").half(),
        tokenizer,
        unet.half(),
    )
    kind, changes = SOLVERS["PNDM, as Stable Diffusion 1.5 ships it"]
    scheduler = kind.from_config(make_scheduler().config, **changes)
    pipeline = StableDiffusionPipeline(*parts, scheduler, None, None, requires_safety_checker=False)
    pipeline.save_pretrained(folder)


def stages(model: Components, size: int, steps: int) -> dict[str, Callable[[], object]]:
    """Everything that a lesson asks of a model, by its name."""
    options = {"size": size, "steps": steps, "guidance": 3.0, "seed": 1}
    picture = sdlearn.draw(sdlearn.random_scene(0), size)
    mask = Image.new("L", picture.size, 255)
    pixels = torch.rand(1, 3, size, size) * 2 - 1
    latents = torch.randn(1, 4, size // 8, size // 8).to(model.device, model.dtype)

    def recorded():
        with record(model.unet, (2, 3), largest=32):
            return list(text_to_latents(model, PROMPT, **options))[-1].latents

    return {
        "text states": lambda: encode_text(model.tokenizer, model.text_encoder, PROMPT),
        "text vector": lambda: text_vectors(model.tokenizer, model.clip, PROMPT),
        "image vector": lambda: image_vectors(model.image_processor, model.clip, [picture]),
        "encode": lambda: encode(model.vae, pixels).mean,
        "decode": lambda: decode(model.vae, latents),
        "text to latents": lambda: list(text_to_latents(model, PROMPT, **options))[-1].latents,
        "the same, two words recorded": recorded,
        "image to image": lambda: sdlearn.image_to_image(
            model, picture, PROMPT, 1.0, steps=steps, guidance=3.0, seed=1
        ),
        "inpaint": lambda: sdlearn.inpaint(
            model, picture, mask, PROMPT, steps=steps, guidance=3.0, seed=1
        ),
    }


def by_diffusers(model: Components, size: int, steps: int) -> torch.Tensor:
    """The latents of the library's pipeline, from the same noise."""
    noise = torch.Generator().manual_seed(1)
    return as_pipeline(model)(
        PROMPT, size, size, steps, guidance_scale=3.0, generator=noise, output_type="latent"
    ).images


def peak_gigabytes() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, help="where to keep the model; by default it is built each time"
    )
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    choice = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = choice.folder or Path(scratch)
        if not (folder / "model_index.json").exists():
            build(folder)
        loaded: list[Components] = []
        took = once(lambda: loaded.append(sdlearn.load(folder)))
        (model,) = loaded
        print(model)
        print(
            f"| stage at {choice.size}², {choice.steps} steps | seconds |\n|---|---|\n| load | "
            f"{took:.2f} |"
        )
        work = stages(model, choice.size, choice.steps)
        work["text to latents, by diffusers"] = partial(
            by_diffusers, model, choice.size, choice.steps
        )
        for name, stage in work.items():
            print(f"| {name} | {seconds(stage, choice.repeat):.3f} |", flush=True)
        ours, again, theirs = (
            work[name]()
            for name in (
                "text to latents",
                "the same, two words recorded",
                "text to latents, by diffusers",
            )
        )
    recorded = torch.equal(ours, again)
    print(f"\nrecorded and not, the same to the last bit: {recorded}")
    print(
        f"largest difference from diffusers: {(ours - theirs).abs().max():.4f}, of "
        f"{theirs.abs().max():.1f}"
    )
    print(f"peak memory: {peak_gigabytes():.1f} GB")


if __name__ == "__main__":
    main()
