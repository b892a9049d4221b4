"""Training the autoencoder: pictures 3×H×W to latents 4×H/8×W/8 and back.

The loss is the difference between the picture that goes in and the one that comes back, plus a
small pull of the latents towards a standard normal (Kingma and Welling 2013, Eq. 10). The full
Stable Diffusion adds a perceptual and an adversarial term (Rombach et al. 2022, Section 3.1); drawn
pictures have no texture that would need them.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState
from diffusers import AutoencoderKL
from PIL import Image

from sdlearn.images import contact_sheet, psnr, to_pictures, to_pixels
from sdlearn.picturebook.pages import TEST
from sdlearn.train.data import pictures
from sdlearn.train.loop import Batch, Moment, Recipe, fit
from sdlearn.train.shipping import save_half

RECIPE = Recipe(steps=2600, batch=8, learning_rate=1.5e-3, weight_decay=1e-4)
CROP = 128
KL_WEIGHT = 2e-5
LEVELS = (16, 32, 64, 96)
SCALING_FACTOR = 0.18215
"""Stable Diffusion's. Much code has this number typed in, so we make the autoencoder fit it."""


def make() -> AutoencoderKL:
    """A new autoencoder that at first almost only shrinks and enlarges pictures.

    It learns several times faster from this start.
    """
    vae = AutoencoderKL(
        block_out_channels=LEVELS,
        down_block_types=("DownEncoderBlock2D",) * len(LEVELS),
        up_block_types=("UpDecoderBlock2D",) * len(LEVELS),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=512,
        mid_block_add_attention=False,
    )
    _start_near_identity(vae)
    return vae


@torch.no_grad()
def _start_near_identity(vae: AutoencoderKL) -> None:
    """Let convolutions between blocks pass their channels through, and ResNet blocks add little.

    Also give the latents little noise.
    """
    for name, module in vae.named_modules():
        if not isinstance(module, torch.nn.Conv2d) or name.endswith("conv1"):
            continue
        if name.endswith("conv2"):
            module.weight *= 0.1
        else:
            module.weight.mul_(0.3).add_(torch.nn.init.dirac_(torch.empty_like(module.weight)))
            module.bias.zero_()
    vae.quant_conv.weight[vae.config.latent_channels :] = 0
    vae.quant_conv.bias[vae.config.latent_channels :] = -6


class Objective(torch.nn.Module):
    """Reconstruction plus KL; with `decoder_only` the latents stay exactly as they are."""

    def __init__(self, vae: AutoencoderKL, decoder_only: bool = False):
        super().__init__()
        self.vae = vae
        self.decoder_only = decoder_only
        if decoder_only:
            vae.encoder.requires_grad_(False)
            vae.quant_conv.requires_grad_(False)

    def forward(self, pixels: torch.Tensor) -> Batch:
        posterior = self.vae.encode(pixels).latent_dist
        restored = self.vae.decode(posterior.sample()).sample
        square, absolute = F.mse_loss(restored, pixels), F.l1_loss(restored, pixels)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        loss = square + 0.2 * absolute + KL_WEIGHT * kl
        return {"loss": loss, "square": square, "absolute": absolute, "kl": kl}


def crops(store: np.ndarray, batch: int, moment: Moment) -> Batch:
    """Random crops of 512² pictures at full, half and quarter size.

    In this way the autoencoder learns one code for pictures of every size.
    """
    rng = np.random.default_rng((11, moment.step, moment.process))
    pieces = []
    for page in rng.integers(len(store), size=batch):
        shrink = int(rng.choice([1, 2, 4], p=[0.3, 0.3, 0.4]))
        side = CROP * shrink
        top, left = rng.integers(0, store.shape[1] - side + 1, size=2)
        piece = store[page, top : top + side, left : left + side].astype(np.float32)
        pieces.append(piece.reshape(CROP, shrink, CROP, shrink, 3).mean(axis=(1, 3)))
    pixels = to_pixels(np.stack(pieces))
    return {"pixels": pixels.contiguous(memory_format=torch.channels_last)}


def paint(objective: Objective, file: Path, tests: torch.Tensor) -> None:
    """Paint test pictures above their round trips through the autoencoder."""
    vae = objective.vae
    restored = vae.decode(vae.encode(tests.to(vae.device)).latent_dist.mean).sample.cpu()
    print(f" PSNR {psnr(restored, tests):.2f} dB", flush=True)
    Image.fromarray(contact_sheet(to_pictures(torch.cat([tests, restored])), len(tests))).save(file)


@torch.no_grad()
def measure_scaling_factor(vae: AutoencoderKL, pixels: torch.Tensor) -> float:
    """One over the standard deviation of the latents (Rombach et al. 2022, Appendix G)."""
    latents = torch.cat(
        [vae.encode(piece.to(vae.device)).latent_dist.sample() for piece in pixels.split(8)]
    )
    return 1 / latents.std().item()


@torch.no_grad()
def adopt_scaling_factor(vae: AutoencoderKL, factor: float = SCALING_FACTOR) -> None:
    """Make the latents z larger, in place, so that `factor` scales them to what the U-Net has seen.

    Scaled latents and decoded pictures stay the same. Only the two 1×1 convolutions change: the one
    after the encoder, whose first half gives the mean and whose second half gives the log-variance,
    and the one before the decoder.
    """
    times, channels = vae.config.scaling_factor / factor, vae.config.latent_channels
    vae.quant_conv.weight[:channels] *= times
    vae.quant_conv.bias[:channels] *= times
    vae.quant_conv.bias[channels:] += 2 * math.log(times)
    vae.post_quant_conv.weight /= times
    vae.register_to_config(scaling_factor=factor)


def train(
    out: Path, work: Path, recipe: Recipe = RECIPE, start: Path | None = None, pages: int = 2500
) -> None:
    """Train the autoencoder and save it in `out/vae`.

    If it continues from `start`, only its decoder is trained, so that latents keep their meaning.
    """
    store = pictures(work / "cache", pages, 512)
    tests = to_pixels(pictures(work / "cache", 4, 512, TEST))
    vae = AutoencoderKL.from_pretrained(start / "vae") if start else make()
    objective = Objective(vae, decoder_only=start is not None).to(memory_format=torch.channels_last)
    batch_at = partial(crops, store, recipe.batch)
    trained = fit(objective, batch_at, recipe, work / "vae", partial(paint, tests=tests))
    if start is None:
        sample = to_pixels(pictures(work / "cache", 256, 256))
        trained.vae.register_to_config(scaling_factor=measure_scaling_factor(trained.vae, sample))
        adopt_scaling_factor(trained.vae)
    if PartialState().is_main_process:
        save_half(trained.vae, out / "vae")
