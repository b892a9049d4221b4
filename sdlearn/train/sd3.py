"""The sibling: a small Stable Diffusion 3, trained by flow matching on the same pages.

Esser et al. 2024, *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*. In
place of a U-Net, a transformer reads text and picture as one sequence. Autoencoder and text encoder
are those of the finished small model; the text encoder stands in for both CLIPs of Stable Diffusion
3, and the third encoder, T5, is left out, as its pipeline allows.

The finished folder loads in diffusers' `StableDiffusion3Pipeline`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from PIL import Image
from tqdm.auto import tqdm
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from sdlearn.evaluate.sibling import generate_by_sibling
from sdlearn.images import contact_sheet, to_pictures
from sdlearn.picturebook.pages import TEST, scene_at
from sdlearn.train.adapters import Frozen
from sdlearn.train.data import captions
from sdlearn.train.loop import Batch, Moment, Recipe, fit
from sdlearn.train.plans import compile_on_gpu, plan_for
from sdlearn.train.shipping import save_half
from sdlearn.train.unet import CAPTION_DROPOUT

FOLDER = "tiny-sd3"
RECIPE = Recipe(10_000, batch=1024, learning_rate=1.2e-3, warmup=300, ema_decay=0.9995, muon=True)
"""For one GPU."""
PAGES = 48_000
LAYERS, HEADS, HEAD_WIDTH = 6, 6, 32
SWITCHES = ("norm1.linear", "norm1_context.linear", "norm_out.linear")
"""The layers that turn the timestep into shifts, scales and gates."""
NOISY = 0.5
"""How much more noise is seen in training than with the paper's logit-normal distribution around 0.

With it, noise has about the median that it has on Stable Diffusion's own schedule.
"""


def make(text_width: int, side: int) -> SD3Transformer2DModel:
    """A transformer for latents of at most side×side, and a text of twice `text_width`.

    Every block starts as the identity, and the whole transformer with zeros: what the timestep
    switches on is zero ("adaLN-Zero", Peebles and Xie 2022, Section 3.2), and so is the last layer.
    """
    transformer = SD3Transformer2DModel(
        sample_size=side,
        patch_size=2,
        pos_embed_max_size=side // 2,
        in_channels=4,
        out_channels=4,
        num_layers=LAYERS,
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_WIDTH,
        caption_projection_dim=HEADS * HEAD_WIDTH,
        joint_attention_dim=2 * text_width,
        pooled_projection_dim=2 * text_width,
        qk_norm="rms_norm",
    )
    for name, layer in transformer.named_modules():
        if name == "proj_out" or name.endswith(SWITCHES):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    return transformer


def joint(states: torch.Tensor) -> torch.Tensor:
    """What the transformer reads for one encoder's states [n, 77, width]: [n, 154, 2 width].

    Both encoders side by side, and then zeros, where T5's states would be.
    """
    both = torch.cat([states, states], dim=-1)
    return torch.cat([both, torch.zeros_like(both)], dim=1)


class Flow(torch.nn.Module):
    """Mix a latent and noise on a straight line; predict the line's direction, noise - latent.

    Lipman et al. 2022, Section 4.1 (with the noise at 1). How far along the line is drawn from a
    logit-normal distribution (Esser et al. 2024, Section 3.1), which prefers the middle.
    """

    def __init__(self, transformer: SD3Transformer2DModel, no_caption: Batch):
        super().__init__()
        self.transformer = transformer
        self.register_buffer("no_states", no_caption["states"], persistent=False)
        self.register_buffer("no_pooled", no_caption["pooled"], persistent=False)

    def forward(
        self, mean: torch.Tensor, spread: torch.Tensor, states: torch.Tensor, pooled: torch.Tensor
    ) -> Batch:
        latents = mean + spread * torch.randn_like(mean)
        noise = torch.randn_like(latents)
        sigma = (torch.randn(len(latents), device=latents.device) + NOISY).sigmoid()
        noisy = torch.lerp(latents, noise, sigma[:, None, None, None])
        dropped = torch.rand(len(latents), device=latents.device) < CAPTION_DROPOUT
        states = torch.where(dropped[:, None, None], self.no_states, states)
        pooled = torch.where(dropped[:, None], self.no_pooled, pooled)
        predicted = self.predict(noisy, sigma, joint(states), torch.cat([pooled, pooled], dim=-1))
        return {"loss": (predicted - (noise - latents)).square().mean()}

    def predict(
        self, noisy: torch.Tensor, sigma: torch.Tensor, states: torch.Tensor, pooled: torch.Tensor
    ) -> torch.Tensor:
        return self.transformer(noisy, states, pooled, 1000 * sigma).sample


@torch.no_grad()
def encode_captions(
    tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection, texts: list[str]
) -> Batch:
    """What Stable Diffusion 3 reads from a CLIP, in float16.

    states: [count, 77, width], from the layer before the last; pooled: [count, width], the
    projected end token.
    """
    states, pooled = [], []
    for first in tqdm(range(0, len(texts), 256), desc="encoding captions"):
        tokens = tokenizer(
            texts[first : first + 256], padding="max_length", truncation=True, return_tensors="pt"
        )
        read = encoder(tokens.input_ids.to(encoder.device), output_hidden_states=True)
        states.append(read.hidden_states[-2].half().cpu())
        pooled.append(read.text_embeds.half().cpu())
    return {"states": torch.cat(states), "pooled": torch.cat(pooled)}


def assemble(
    frozen: Frozen, encoder: CLIPTextModelWithProjection, transformer: SD3Transformer2DModel
) -> StableDiffusion3Pipeline:
    """diffusers' pipeline around a transformer, with the small model's other parts."""
    vae, tokenizer = frozen.pipeline.vae, frozen.pipeline.tokenizer
    vae.register_to_config(shift_factor=0.0)  # the pipeline adds it before it decodes
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        text_encoder_2=encoder,
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def with_text(frozen: Frozen, pooled: torch.Tensor, batch: int, moment: Moment) -> Batch:
    """A batch of latents with their captions' states and pooled vectors."""
    chosen = frozen.pages.choose(batch)
    beside = pooled[chosen.to(pooled.device)].to(chosen.device).float()
    return {**frozen.pages.at(chosen, frozen.states), "pooled": beside}


def paint(objective: Flow, file: Path, pipeline: StableDiffusion3Pipeline) -> None:
    """Eight unseen prompts, drawn with the transformer in its current state."""
    pipeline.transformer = objective.transformer
    prompts = [scene_at(page, TEST).caption for page in range(8)]
    drawn = generate_by_sibling(pipeline, prompts, seed=0)
    Image.fromarray(contact_sheet(to_pictures(drawn), 4)).save(file)


def train(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Train with the parts of the model in `out`, and save the pipeline in `tiny-sd3` beside it."""
    frozen = Frozen.load(out, work, pages)
    encoder = CLIPTextModelWithProjection.from_pretrained(out / "clip").float().eval()
    encoder.to(PartialState().device)
    read = encode_captions(frozen.pipeline.tokenizer, encoder, ["", *captions(pages)])
    keep = plan_for(PartialState().device).keep
    read = {name: keep(values, PartialState().device) for name, values in read.items()}
    frozen = replace(frozen, states=read["states"][1:])
    nothing = {name: values[0].float() for name, values in read.items()}
    width = encoder.config.hidden_size
    transformer = make(width, frozen.pipeline.unet.config.sample_size)
    compile_on_gpu(transformer, PartialState().device)
    pipeline = assemble(frozen, encoder, transformer)
    batch_at = partial(with_text, frozen, read["pooled"][1:], recipe.batch)
    sample = partial(paint, pipeline=pipeline)
    trained = fit(
        Flow(transformer, nothing), batch_at, recipe, work / FOLDER, sample, save_every=1000
    )
    if PartialState().is_main_process:
        save(assemble(frozen, encoder, trained.transformer), out.parent / FOLDER)


def save(pipeline: StableDiffusion3Pipeline, folder: Path) -> None:
    """Save the pipeline in diffusers' layout, in half precision."""
    pipeline.save_pretrained(folder)
    for name in ("transformer", "vae", "text_encoder", "text_encoder_2"):
        save_half(getattr(pipeline, name), folder / name)
