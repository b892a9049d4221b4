"""Latents to pictures: the autoencoder with Stable Diffusion's scaling."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 H W"]:
    """Scaled latents to pixels in about [-1, 1]. The scaling is undone first."""
    return vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor).sample
