"""The four families of lesson 01, trained longer than a lesson can wait, with the lesson's code."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import nn
from tqdm.auto import tqdm

from sdlearn import families

STEPS = {"GAN": 4_000, "VAE": 3_000, "pixel diffusion": 1_200, "latent diffusion": 12_000}
PAGES = 2000


def train(out: Path, steps: int | None = None, pages: int = PAGES) -> None:
    """Train each family and save it in the folder `families` beside `out`.

    Latent diffusion uses the finished autoencoder in `out`.

    Args:
        steps: how many for every family, instead of its own number in `STEPS`.
    """
    vae = AutoencoderKL.from_pretrained(out / "vae").eval().requires_grad_(False)
    pixels = families.drawn(families.pages(pages))
    for name in STEPS:
        torch.manual_seed(0)
        family = families.untrained(vae)[name]
        count = steps or STEPS[name]
        for _ in tqdm(families.train(family, pixels, count), desc=name, total=count):
            pass
        save(family.artist, out.parent / "families" / families.file_name(name))


def save(network: nn.Module, file: Path) -> None:
    """Save in half precision; counters, such as those of batch norms, stay integers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in state.items()}, file)
