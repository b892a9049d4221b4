"""The autoencoder: from pictures to latents and back, with Stable Diffusion's scaling.

The U-Net sees latents of about unit variance: the encoder's output, multiplied by the
`scaling_factor` from the autoencoder's configuration. Before decoding, the scaling is undone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from jaxtyping import Float, Real
from PIL import Image
from torch import Tensor

from sdlearn._support.arguments import check_finite, whole_number
from sdlearn._support.checked import checked
from sdlearn.images import to_pixels, to_rgb


@checked
@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: Float[Tensor, "n 3 H W"]) -> DiagonalGaussianDistribution:
    """The posterior q(z | x), unscaled: its `mean`, its `logvar`, and `sample(generator)` for a z.

    There is one mean and one log-variance for each latent number. Pixels are in [-1, 1]. If the
    pictures are too large for the memory, call `vae.enable_tiling()` first.

    Raises:
        ValueError: the pixels are not in [-1, 1], or their sides are not multiples of the encoder's
            factor.
        FloatingPointError: NaN or infinity in the output, because the dtype's range is too small.
    """
    # the encoder halves the sides at every level but the last
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if pixels.shape[2] % factor or pixels.shape[3] % factor:
        raise ValueError(
            f"pixels: sides that are multiples of {factor}, got {tuple(pixels.shape[2:])}"
        )
    if not pixels.isfinite().all() or pixels.abs().max() > 1.001:
        raise ValueError("pixels: numbers in [-1, 1], got values outside it or not finite")
    posterior = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist
    check_finite("vae", posterior.mean)
    return posterior


@checked
def scale(vae: AutoencoderKL, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """From the autoencoder's z to the latents that the U-Net sees."""
    return z * vae.config.scaling_factor


@checked
def latents_of(
    vae: AutoencoderKL, pictures: Sequence[Image.Image | np.ndarray], at_once: int = 8
) -> Float[Tensor, "n c h w"]:
    """The scaled latents of pictures that all have the same size: what the U-Net is trained on.

    They are the means of the posteriors, without its spread. `at_once` pictures are encoded
    together.

    Raises:
        ValueError: there are no pictures, or they differ in size.
    """
    at_once = whole_number("at_once", at_once, 1, 1024)
    arrays = [np.asarray(to_rgb("pictures", picture)) for picture in pictures]
    sizes = {array.shape[:2] for array in arrays}
    if len(sizes) != 1:
        raise ValueError(f"pictures: at least one, all of one size, got the sizes {sorted(sizes)}")
    pixels = to_pixels(np.stack(arrays))
    return scale(vae, torch.cat([encode(vae, part).mean for part in pixels.split(at_once)]))


@checked
def unscale(vae: AutoencoderKL, latents: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """From the U-Net's latents to the z that the decoder expects."""
    return latents / vae.config.scaling_factor


@checked
@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 H W"]:
    """From scaled latents to pixels in about [-1, 1]. The scaling is undone first.

    Raises:
        ValueError: the latents have another shape, or are not finite.
        FloatingPointError: NaN or infinity in the output, because the dtype's range is too small.
    """
    channels = vae.config.latent_channels
    if latents.shape[1] != channels:
        raise ValueError(f"latents: shape [n, {channels}, h, w], got {tuple(latents.shape)}")
    if not latents.isfinite().all():
        raise ValueError("latents: finite numbers, got NaN or infinity")
    pixels = vae.decode(unscale(vae, latents.to(vae.device, vae.dtype))).sample
    check_finite("vae", pixels)
    return pixels


@checked
def compression_ratio(pixels: Real[Tensor, "*pixels"], latents: Real[Tensor, "*latents"]) -> float:
    """How many numbers the pixels hold for each number in the latents."""
    return pixels.numel() / latents.numel()
