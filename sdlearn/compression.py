"""The autoencoder: pictures to latents and back, with Stable Diffusion's scaling.

The U-Net sees latents of about unit variance: what the encoder gives, times the `scaling_factor` of
the autoencoder's configuration. The decoder wants it undone.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: Float[Tensor, "n 3 H W"]) -> DiagonalGaussianDistribution:
    """q(z | x): a `mean` and a `logvar` for each latent number, and `sample(generator)`. Not scaled
    yet.

    Pixels are in [-1, 1]. Pictures too large for the memory: call `vae.enable_tiling()` first.

    Raises:
        ValueError: pixels that are no pictures, or whose sides the encoder cannot halve often
            enough.
    """
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if pixels.ndim != 4 or pixels.shape[1] != vae.config.in_channels or 0 in pixels.shape:
        raise ValueError(
            f"pixels: shape [n, {vae.config.in_channels}, H, W], got {tuple(pixels.shape)}"
        )
    if pixels.shape[2] % factor or pixels.shape[3] % factor:
        raise ValueError(
            f"pixels: sides that are multiples of {factor}, got {tuple(pixels.shape[2:])}"
        )
    if not pixels.isfinite().all() or pixels.abs().max() > 1.001:
        raise ValueError("pixels: numbers in [-1, 1], got some outside it or not finite")
    return vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist


def scale(vae: AutoencoderKL, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """What the autoencoder calls z, as the latents that the U-Net sees."""
    return z * vae.config.scaling_factor


def unscale(vae: AutoencoderKL, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The U-Net's latents, as the z that the decoder wants."""
    return latents / vae.config.scaling_factor


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 H W"]:
    """Scaled latents to pixels in about [-1, 1]. The scaling is undone first."""
    channels = vae.config.latent_channels
    if latents.ndim != 4 or latents.shape[1] != channels or 0 in latents.shape:
        raise ValueError(f"latents: shape [n, {channels}, h, w], got {tuple(latents.shape)}")
    if not latents.isfinite().all():
        raise ValueError("latents: finite numbers, got NaN or infinity")
    return vae.decode(unscale(vae, latents.to(vae.device, vae.dtype))).sample


def compression_ratio(pixels: Tensor, latents: Tensor) -> float:
    """How many times fewer numbers the latents are than the pixels: counted, not computed from a
    formula.
    """
    return pixels.numel() / latents.numel()
