"""The noise predictor: a U-Net that reads noisy latents, a timestep and 77 text states, and names the noise.

Loss: the squared error of the predicted noise (Ho et al. 2020, Eq. 14), weighed by min-SNR-5 (Hang et al. 2023, Eq. 8)
and by 1/ᾱ, as the loss of v would weigh it (Salimans and Ho 2022, Section 4): what a picture *shows* is decided where
there is much noise, and there the plain error is tiny. Most of the weight is in how often a timestep is drawn, so that
no work goes into what hardly counts: min(SNR, 5)/SNR and 1/√ᾱ; the other 1/√ᾱ multiplies the error. One caption in
ten is dropped, for guidance (Ho and Salimans 2022). Small pictures first, as the big one was trained: a step at 4×16×16
costs a sixteenth of one at 4×64×64.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import Attention
from PIL import Image
from tqdm.auto import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from sdlearn.images import contact_sheet, to_pixels
from sdlearn.noising import Schedule, add_noise
from sdlearn.train.data import TEST, captions, how_often, pictures, scene_at
from sdlearn.train.loop import Batch, Recipe, fit
from sdlearn.train.shipping import save_half

RECIPE = {
    128: Recipe(steps=2000, batch=32, learning_rate=1e-3, warmup=200, muon=True),
    256: Recipe(steps=6000, batch=32, learning_rate=1e-3, muon=True),
    512: Recipe(steps=6000, batch=10, learning_rate=8e-4, warmup=50, muon=True),
}
"""For each of two processes: on two cores, two of one thread each train faster than one of two threads."""

PAGES = {128: 16_000, 256: 24_000, 512: 8_000}
LEVELS = (32, 64, 128, 160)
REVIEW = 2
"""One step in so many is at half the size, where four times as many pages are seen in the same time."""
ALONE = 0.25
"""The last part of a stage, which is at its own size alone."""
CAPTION_DROPOUT = 0.1
MAX_SNR = 5.0


def make(text_width: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=64,
        block_out_channels=LEVELS,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3 + ("UpBlock2D",),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=text_width,
        attention_head_dim=4,
    )


def make_scheduler() -> PNDMScheduler:
    """The configuration of Stable Diffusion 1.5's scheduler."""
    scheduler = PNDMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    scheduler.register_to_config(clip_sample=False)  # for DDIM made from it: latents go beyond [-1, 1]
    return scheduler


class Objective(torch.nn.Module):
    """Sample a latent, a timestep and noise; mix; predict the noise."""

    def __init__(self, unet: UNet2DConditionModel, schedule: Schedule, no_caption: torch.Tensor):
        super().__init__()
        self.unet = unet
        self.schedule = schedule
        weight = schedule.alpha_bars.rsqrt().float()
        self.pull = (schedule.snr.clamp(max=MAX_SNR) / schedule.snr).float() * weight
        self.register_buffer("weight", weight * self.pull.sum() / (weight * self.pull).sum(), persistent=False)
        self.register_buffer("no_caption", no_caption, persistent=False)

    def forward(self, mean: torch.Tensor, spread: torch.Tensor, states: torch.Tensor) -> Batch:
        latents = mean + spread * torch.randn_like(mean)
        noise = torch.randn_like(latents)
        t = self.pull.multinomial(len(latents), replacement=True)
        dropped = torch.rand(len(latents), device=latents.device) < CAPTION_DROPOUT
        states = torch.where(dropped[:, None, None], self.no_caption, states)
        noisy = add_noise(self.schedule, latents, t, noise)
        predicted = self.unet(noisy, t.to(latents.device), states).sample
        error = (predicted - noise).square().mean(dim=(1, 2, 3))
        return {"loss": (error * self.weight[t.to(error.device)]).mean(), "error": error.mean()}


class InCache:
    """Attention a few heads at a time, so that their scores stay in the CPU's cache, in the dtype of the queries.

    For training in bfloat16 on a CPU, where a step is faster, forth and back, than with the scores of a whole batch at
    once (`benchmarks/training.py`). No masks, and no options of the library's that this U-Net does not use.
    """

    SCORES = 2**20

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states=None, attention_mask=None):
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states) * attn.scale, attn.to_k(read), attn.to_v(read)
        q, k, v = (attn.head_to_batch_dim(states) for states in (q, k, v))
        few = max(1, self.SCORES // (q.shape[1] * k.shape[1]))
        with torch.autocast(q.device.type, enabled=False):
            parts = zip(q.split(few), k.split(few), v.split(few), strict=True)
            mixed = torch.cat([(q @ k.transpose(1, 2)).softmax(dim=-1) @ v for q, k, v in parts])
        return attn.to_out[0](attn.batch_to_head_dim(mixed))


def suit_bfloat16(unet: UNet2DConditionModel) -> None:
    """What is faster in bfloat16 on a CPU, forth and back: attention in cache, and norms in float32."""
    unet.set_attn_processor(InCache())
    for module in unet.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, store: np.ndarray, file: Path) -> np.ndarray:
    """Mean and spread of the scaled latents of every picture: float16 [count, 2, 4, h, w], cached in `file`."""
    with PartialState().main_process_first():
        if not file.exists():
            _encode_all(vae, store, file)
    return np.load(file, mmap_mode="r")


def weights_hash(module: torch.nn.Module) -> str:
    """Eight digits that differ for other weights, so that no latents of an older encoder are read."""
    weights = torch.cat([p.detach().flatten() for p in module.parameters()]).cpu().numpy()
    return hashlib.sha256(weights.tobytes()).hexdigest()[:8]


def _encode_all(vae: AutoencoderKL, store: np.ndarray, file: Path) -> None:
    found = []
    for first in tqdm(range(0, len(store), 8), desc=f"encoding {store.shape[1]}²"):
        with torch.autocast(vae.device.type, torch.bfloat16):
            posterior = vae.encode(to_pixels(store[first : first + 8]).to(vae.device)).latent_dist
        found.append(torch.stack([posterior.mean, posterior.std], dim=1).cpu() * vae.config.scaling_factor)
    unfinished = file.with_suffix(".unfinished.npy")
    np.save(unfinished, torch.cat(found).half().numpy())
    unfinished.rename(file)


@torch.no_grad()
def encode_captions(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, texts: list[str]) -> torch.Tensor:
    """Text states of every caption: float16 [count, 77, width]."""
    found = []
    for first in tqdm(range(0, len(texts), 256), desc="encoding captions"):
        tokens = tokenizer(texts[first : first + 256], padding="max_length", truncation=True, return_tensors="pt")
        found.append(text_encoder(tokens.input_ids.to(text_encoder.device)).last_hidden_state.half().cpu())
    return torch.cat(found)


def latents_with_text(
    stores: dict[int, np.ndarray], states: torch.Tensor, size: int, stage: Recipe, step: int, process: int
) -> Batch:
    """Latents of `size`; in one step of `REVIEW`, but for the last, of half of it, and as many numbers of them."""
    batch, alone = stage.batch, step >= stage.steps * (1 - ALONE)
    if size // 2 in stores and step % REVIEW == REVIEW - 1 and not alone:
        size, batch = size // 2, batch * 4
    latents = stores[size]
    often = how_often(len(latents), single=2)  # else it draws twice what should be there once
    pages = np.random.default_rng((13, step, process)).choice(len(latents), batch, p=often)
    mean, spread = torch.from_numpy(latents[pages]).float().unbind(dim=1)
    return {
        "mean": mean.contiguous(memory_format=torch.channels_last),
        "spread": spread,
        "states": states[torch.from_numpy(pages)].float(),
    }


def paint(objective: Objective, file: Path, pipeline: StableDiffusionPipeline, size: int) -> None:
    """Eight unseen prompts, drawn by the model as it is now."""
    pipeline.unet = objective.unet
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    prompts = [scene_at(page, TEST).caption for page in range(8)]
    noise = torch.Generator().manual_seed(0)
    drawn = pipeline(prompts, size, size, 20, guidance_scale=4.0, generator=noise, output_type="np").images
    Image.fromarray(contact_sheet((drawn * 255).round().astype(np.uint8), 4)).save(file)


def train(
    out: Path, work: Path, recipe: dict[int, Recipe] = RECIPE, start: Path | None = None, pages: dict[int, int] = PAGES
) -> None:
    """Train the U-Net through its sizes, from small to large, and save the whole pipeline into `out`."""
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(out / "text_encoder").float().eval()
    vae = AutoencoderKL.from_pretrained(out / "vae").float().eval()
    unet = UNet2DConditionModel.from_pretrained(start / "unet") if start else make(text_encoder.config.hidden_size)
    pipeline = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, make_scheduler(), None, None, requires_safety_checker=False
    ).to(PartialState().device)
    pipeline.set_progress_bar_config(disable=True)
    states = encode_captions(tokenizer, text_encoder, ["", *captions(max(pages.values()))])
    objective = Objective(unet.float(), Schedule.of(pipeline.scheduler), states[0].float())
    objective.to(memory_format=torch.channels_last)
    if PartialState().device.type == "cpu":
        suit_bfloat16(unet)
    latents = {}
    for size in sorted({*recipe, *(size // 2 for size in recipe if size > min(pages))}):
        store = pictures(work / "cache", pages[size], size)
        file = work / "cache" / f"latents-{pages[size]}x{size}-{weights_hash(vae.encoder)}.npy"
        latents[size] = encode_pictures(vae, store, file)
    for size, stage in recipe.items():
        batch_at = partial(latents_with_text, latents, states[1:], size, stage)
        stage_sample = partial(paint, pipeline=pipeline, size=size)
        fit(objective, batch_at, stage, work / f"unet-{size}", stage_sample)
        save(pipeline, objective.unet, out)


def save(pipeline: StableDiffusionPipeline, unet: UNet2DConditionModel, out: Path) -> None:
    """The pipeline in half precision, in diffusers' own layout."""
    if not PartialState().is_main_process:
        return
    pipeline.unet, pipeline.scheduler = unet, make_scheduler()
    pipeline.save_pretrained(out)
    for folder in ("unet", "vae", "text_encoder"):
        save_half(getattr(pipeline, folder), out / folder)
