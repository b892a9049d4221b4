"""The families of lessons 01 and 03, trained longer than a lesson can wait, with its code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from sdlearn import families
from sdlearn.images import contact_sheet, to_pictures

STEPS = {
    "GAN": 4_000,
    "VAE": 3_000,
    "pixel diffusion": 1_200,
    "mended diffusion": 1_200,
    "latent diffusion": 12_000,
}
KL_WEIGHTS = (0.01, 0.1, 1, 10, 100)
"""For the film of lesson 03: what the KL term of a VAE costs, and what it is good for."""
PAGES = 2000
MOMENTS = (1 / 64, 1 / 32, 1 / 16, *(part / 8 for part in range(1, 9)))
"""When a frame of a film is taken, as shares of the training."""
ACROSS = 6
"""Pictures side by side in a frame."""


def train(out: Path, steps: int | None = None, pages: int = PAGES) -> None:
    """Train each family and save it, and its film, in the folder `families` beside `out`.

    Latent diffusion uses the finished autoencoder in `out`.

    Args:
        steps: how many for every family, instead of its own number in `STEPS`.
    """
    vae = AutoencoderKL.from_pretrained(out / "vae").eval().requires_grad_(False)
    pixels = families.drawn(families.pages(pages))
    for name in STEPS:
        train_one(name, vae, pixels, steps or STEPS[name], out.parent / "families")
    train_weights(pixels, steps or STEPS["VAE"] // 2, out.parent / "families")


def train_one(name: str, vae: AutoencoderKL, pixels: Tensor, steps: int, folder: Path) -> None:
    """Train one family from seed 0, and film it."""
    torch.manual_seed(0)
    family = families.untrained(vae)[name]
    due = {max(1, round(part * steps)) for part in MOMENTS}
    frames = []
    training = families.train(family, pixels, steps)
    for step, _ in enumerate(tqdm(training, desc=name, total=steps), 1):
        if step in due:
            frames.append(to_pictures(family.eval().sample(ACROSS, seed=0)))
            family.train()
    file = folder / families.file_name(name)
    save(family.artist, file)
    save_film(frames, sorted(due), file)


def train_weights(pixels: Tensor, steps: int, folder: Path) -> None:
    """Train a VAE from seed 0 with each weight, and film what they repaint and make."""
    frames = []
    for weight in KL_WEIGHTS:
        torch.manual_seed(0)
        family = families.VAE(weight)
        training = families.train(family, pixels, steps)
        for _ in tqdm(training, desc=f"VAE, weight {weight}", total=steps):
            pass
        family.eval()
        frames += [to_pictures(family.repainted(pixels[:ACROSS]))]
        frames += [to_pictures(family.sample(ACROSS, seed=0))]
    save_film(frames, KL_WEIGHTS, folder / families.file_name("KL weights"))


def save_film(frames: list[np.ndarray], moments: Sequence[float], file: Path) -> None:
    """One JPEG with a row for each frame; its comment lists the moments, or the weights."""
    sheet = Image.fromarray(contact_sheet(np.concatenate(frames), ACROSS))
    sheet.save(file.with_suffix(".jpg"), quality=90, comment=json.dumps(list(moments)))


def save(network: nn.Module, file: Path) -> None:
    """Save in half precision; counters, such as those of batch norms, stay integers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in state.items()}, file)
