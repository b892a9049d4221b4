"""Training the U-Net: its data and its loss; `plans` has the steps and the learning rates.

It predicts the noise in noisy latents from a timestep and a text: 77 states from the encoder.

The loss is the squared error of the predicted noise (Ho et al. 2020, Eq. 14), weighted by min-SNR-5
(Hang et al. 2023, Eq. 8) and by 1/ᾱ, as the loss of v would weight it (Salimans and Ho 2022,
Section 4). What a picture *shows* is decided where there is much noise, and there the plain error
is tiny. Most of the weight lies in how often a timestep is drawn, min(SNR, 5)/SNR · 1/√ᾱ, so that
no work is wasted on timesteps that hardly count; the other factor 1/√ᾱ multiplies the error.

One caption in ten is dropped, for guidance (Ho and Salimans 2022). Training starts with small
pictures, as it did for the full Stable Diffusion: a step at 4×16×16 costs a sixteenth of a step at
4×64×64.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from tqdm.auto import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from sdlearn.images import contact_sheet, to_pixels
from sdlearn.loading import DEFAULTS
from sdlearn.noising import Schedule
from sdlearn.picturebook.pages import TEST, scene_at
from sdlearn.train.clip import make_image_processor
from sdlearn.train.data import captions, draw_all, how_often
from sdlearn.train.loop import Batch, Moment, fit
from sdlearn.train.plans import Plan
from sdlearn.train.shipping import save_half

LEVELS = (32, 64, 128, 160)
DRAWS_BEST_WITH = {"steps": 12, "guidance": 3.0}
"""From the table of solvers in the model card."""
REVIEW = 2
"""Every `REVIEW`-th step is at half the size and sees four times the pages in the same time."""
ALONE = 0.25
"""The last part of a stage, in which every step is at the full size of the stage."""
CAPTION_DROPOUT = 0.1
MAX_SNR = 5.0


def make(text_width: int) -> UNet2DConditionModel:
    """A new U-Net for latents 4×64×64 and text states of this width."""
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


def make_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, with DDIM on timesteps counted from the top ("trailing").

    The first timestep is then the noisiest of all, and the last step ends without noise (Lin et al.
    2023, Section 3.3).
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        steps_offset=1,  # has no effect here, but diffusers' pipeline asks for it
        clip_sample=False,  # latents exceed [-1, 1]
    )


class Objective(torch.nn.Module):
    """Sample a latent, a timestep and noise; mix the latent and the noise; predict the noise."""

    dropout = CAPTION_DROPOUT
    """Which part of the captions is replaced by the empty one."""

    def __init__(self, unet: UNet2DConditionModel, schedule: Schedule, no_caption: torch.Tensor):
        super().__init__()
        self.unet = unet
        weight = schedule.alpha_bars.rsqrt().float()
        often = (schedule.snr.clamp(max=MAX_SNR) / schedule.snr).float() * weight
        often = often / often.sum()
        numbers = {
            "often": often,
            "weight": weight / (weight * often).sum(),
            "no_caption": no_caption,
        }
        for name, values in {
            **numbers,
            "signal": schedule.sqrt_alpha_bars,
            "sigma": schedule.sqrt_one_minus_alpha_bars,
        }.items():
            self.register_buffer(name, values, persistent=False)

    def forward(
        self, mean: torch.Tensor, spread: torch.Tensor, states: torch.Tensor, **beside: torch.Tensor
    ) -> Batch:
        latents = mean + spread * torch.randn_like(mean)
        noise = torch.randn_like(latents)
        t = self.often.multinomial(len(latents), replacement=True)
        dropped = torch.rand(len(latents), device=latents.device) < self.dropout
        states = torch.where(dropped[:, None, None], self.no_caption, states)
        signal, sigma = (values[t, None, None, None] for values in (self.signal, self.sigma))
        # as `add_noise`, without the checks, which would make a GPU wait
        noisy = signal * latents + sigma * noise
        error = (self.predict(noisy, t, states, **beside) - noise).square().mean(dim=(1, 2, 3))
        return {"loss": (error * self.weight[t]).mean(), "error": error.mean()}

    def predict(self, noisy: torch.Tensor, t: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return self.unet(noisy, t, states).sample


def latents_of_pages(vae: AutoencoderKL, folder: Path, count: int, size: int) -> torch.Tensor:
    """Mean and spread of the first pages' scaled latents: float16 [count, 2, 4, h, w].

    The `count` pages are drawn and encoded now, or their latents are read from the file in `folder`
    that an earlier run with the same encoder left there.
    """
    file = folder / f"latents-{count}x{size}-{weights_hash(vae.encoder)}.npy"
    with PartialState().main_process_first():
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".unfinished.npy")
            np.save(unfinished, torch.cat([*encode_pages(vae, draw_all(count, size))]).numpy())
            unfinished.rename(file)
    # memory-mapped: loaded as it is read, and shared by the processes
    return torch.from_numpy(np.load(file, mmap_mode="c"))


def encode_pages(
    vae: AutoencoderKL, drawn: Iterator[np.ndarray], batch: int = 16
) -> Iterator[torch.Tensor]:
    """Encode pages as they are drawn, up to `batch` at a time: float16 [n, 2, 4, h, w]."""
    while pages := list(islice(drawn, batch)):
        with torch.no_grad(), torch.autocast(vae.device.type, torch.bfloat16):
            posterior = vae.encode(to_pixels(np.stack(pages)).to(vae.device)).latent_dist
        scaled = (
            torch.stack([posterior.mean, posterior.std], dim=1).float() * vae.config.scaling_factor
        )
        yield scaled.half().cpu()


def weights_hash(module: torch.nn.Module) -> str:
    """Eight hexadecimal digits that identify the weights.

    They are part of a file's name, so that the latents of an older encoder are not read by mistake.
    """
    weights = torch.cat([p.detach().flatten() for p in module.parameters()]).cpu().numpy()
    return hashlib.sha256(weights.tobytes()).hexdigest()[:8]


@torch.no_grad()
def encode_captions(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, texts: list[str]
) -> torch.Tensor:
    """The text states of every caption: float16 [count, 77, width]."""
    states = []
    for first in tqdm(range(0, len(texts), 256), desc="encoding captions"):
        tokens = tokenizer(
            texts[first : first + 256], padding="max_length", truncation=True, return_tensors="pt"
        )
        states.append(
            text_encoder(tokens.input_ids.to(text_encoder.device)).last_hidden_state.half().cpu()
        )
    return torch.cat(states)


@dataclass(frozen=True)
class Pages:
    """Latents of one size, and how often each page is drawn.

    Where the latents are stored decides where batches are put together.
    """

    latents: torch.Tensor
    often: torch.Tensor

    def pick(self, batch: int, states: torch.Tensor) -> Batch:
        return self.at(self.choose(batch), states)

    def choose(self, batch: int) -> torch.Tensor:
        return self.often.multinomial(batch, replacement=True)

    def at(self, pages: torch.Tensor, states: torch.Tensor) -> Batch:
        mean, spread = (
            self.latents[pages.to(self.latents.device)].to(pages.device).float().unbind(dim=1)
        )
        return {
            "mean": mean.contiguous(memory_format=torch.channels_last),
            "spread": spread,
            "states": states[pages.to(states.device)].to(pages.device).float(),
        }


def latents_with_text(
    stores: dict[int, Pages], states: torch.Tensor, size: int, batch: int, moment: Moment
) -> Batch:
    """A batch of latents of `size` with their text, or every `REVIEW`-th step, of half that size.

    At half the size the batch is four times as large, so it holds as many numbers. The last part of
    a stage, `ALONE`, has no such steps.
    """
    alone = moment.progress >= 1 - ALONE
    if size // 2 in stores and moment.step % REVIEW == REVIEW - 1 and not alone:
        size, batch = size // 2, batch * 4
    return stores[size].pick(batch, states)


def paint(
    objective: torch.nn.Module,
    file: Path,
    pipeline: StableDiffusionPipeline,
    size: int,
    steps: int = DRAWS_BEST_WITH["steps"],
    guidance: float = DRAWS_BEST_WITH["guidance"],
) -> None:
    """Eight unseen prompts, drawn with the objective's `unet` in its current state."""
    pipeline.unet = objective.unet
    prompts = [scene_at(page, TEST).caption for page in range(8)]
    noise = torch.Generator().manual_seed(0)
    drawn = pipeline(
        prompts, size, size, steps, guidance_scale=guidance, generator=noise, output_type="np"
    ).images
    Image.fromarray(contact_sheet((drawn * 255).round().astype(np.uint8), 4)).save(file)


def finished(out: Path, unet: UNet2DConditionModel | None = None) -> StableDiffusionPipeline:
    """The pipeline in `out`, in full precision, ready for training; with another U-Net if given."""
    text_encoder = CLIPTextModel.from_pretrained(out / "text_encoder").float().eval()
    parts = (
        AutoencoderKL.from_pretrained(out / "vae").float().eval(),
        text_encoder,
        CLIPTokenizer.from_pretrained(out / "tokenizer"),
        (unet or UNet2DConditionModel.from_pretrained(out / "unet")).float(),
        make_scheduler(),
    )
    pipeline = StableDiffusionPipeline(
        *parts, None, make_image_processor(), requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(PartialState().device)


def train(out: Path, work: Path, plan: Plan, start: Path | None = None) -> None:
    """Train the U-Net on the plan's sizes, small to large, and save the whole pipeline in `out`."""
    device = PartialState().device
    text_width = CLIPTextModel.from_pretrained(out / "text_encoder").config.hidden_size
    unet = UNet2DConditionModel.from_pretrained(start / "unet") if start else make(text_width)
    pipeline = finished(out, unet)
    sizes = sorted({*plan.stages, *(size // 2 for size in plan.stages if size > min(plan.pages))})
    most = max(plan.pages[size] for size in sizes)
    states = encode_captions(pipeline.tokenizer, pipeline.text_encoder, ["", *captions(most)])
    objective = Objective(pipeline.unet, Schedule.of(pipeline.scheduler), states[0].float())
    objective.to(memory_format=torch.channels_last)
    plan.prepare(unet)
    stores = {}
    for size in sizes:
        count = plan.pages[size]
        # pages with one thing count twice: else the model draws two where there should be one
        often = torch.from_numpy(how_often(count, single=2)).float()
        latents = latents_of_pages(pipeline.vae, work / "cache", count, size)
        stores[size] = Pages(plan.keep(latents, device), often.to(device))
    states = plan.keep(states[1:], device)
    for size, stage in plan.stages.items():
        batch_at = partial(latents_with_text, stores, states, size, stage.batch)
        stage_sample = partial(paint, pipeline=pipeline, size=size)
        fit(objective, batch_at, stage, work / f"unet-{size}", stage_sample)
        save(pipeline, objective.unet, out)


def save(pipeline: StableDiffusionPipeline, unet: UNet2DConditionModel, out: Path) -> None:
    """Save the half-precision pipeline in diffusers' layout, with its best steps and guidance."""
    if not PartialState().is_main_process:
        return
    pipeline.unet, pipeline.scheduler = unet, make_scheduler()
    pipeline.save_pretrained(out)
    # replace the image processor's name with the one that every release of transformers knows
    index = out / "model_index.json"
    index.write_text(index.read_text().replace('"CLIPImageProcessorPil"', '"CLIPImageProcessor"'))
    (out / DEFAULTS).write_text(json.dumps(DRAWS_BEST_WITH) + "\n")
    for folder in ("unet", "vae", "text_encoder"):
        save_half(getattr(pipeline, folder), out / folder)
