"""Pictures as tensors and back. Pixels are floats in [-1, 1] wherever a network sees them."""

from __future__ import annotations

import io

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor


def to_pixels(pictures: UInt8[np.ndarray, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """8-bit pictures to pixels in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(pixels: Float[Tensor, "n 3 h w"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Pixels in [-1, 1] to 8-bit pictures; what lies outside is clipped."""
    halved = (pixels.float() / 2 + 0.5).clamp(0, 1)
    return (halved * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def contact_sheet(pictures: UInt8[np.ndarray, "n h w 3"], columns: int) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures side by side, `columns` to a row; n must fill the rows."""
    n, height, width, depth = pictures.shape
    rows = pictures.reshape(n // columns, columns, height, width, depth)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * width, depth)


def to_jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    """For the eye only: JPEG changes the numbers."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def psnr(first: Float[Tensor, "n 3 h w"], second: Float[Tensor, "n 3 h w"]) -> float:
    """Mean peak signal-to-noise ratio in dB of pixels in [-1, 1]; infinite for equal pictures."""
    error = ((first.clamp(-1, 1) - second) / 2).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).mean().item()
