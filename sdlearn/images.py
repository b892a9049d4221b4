"""From pictures to tensors and back. Pixels are floats in [-1, 1] wherever a network sees them."""

from __future__ import annotations

import io

import numpy as np
import torch
from jaxtyping import Float, Real, UInt8
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked


@checked
def to_pixels(pictures: Real[np.ndarray, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """From 8-bit pictures, or averages of them, to pixels in [-1, 1]."""
    return torch.tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


@checked
def to_pictures(pixels: Float[Tensor, "n 3 h w"]) -> UInt8[np.ndarray, "n h w 3"]:
    """From pixels in [-1, 1] to 8-bit pictures; values outside are clipped."""
    if not pixels.isfinite().all():
        raise ValueError("pixels: finite numbers, got NaN or infinity")
    halved = (pixels.float() / 2 + 0.5).clamp(0, 1)
    return (halved * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


LARGEST = 4096
"""The longest side that a picture may have, in pixels."""


def to_rgb(name: str, picture: Image.Image | np.ndarray, behind: str = "white") -> Image.Image:
    """Any picture as 8-bit RGB, turned upright as its EXIF data says.

    Transparent areas show the colour `behind`, 16 bits are rounded to 8, and floats have to be in
    [0, 1].

    Raises:
        TypeError, ValueError: naming the argument, if it is not a picture, is empty, not finite or
            too large, or holds numbers of another range.
    """
    if isinstance(picture, np.ndarray):
        picture = _from_array(name, picture)
    if not isinstance(picture, Image.Image):
        raise TypeError(
            f"{name}: a PIL picture or an array [h, w, 3], got {type(picture).__name__}"
        )
    if 0 in picture.size or max(picture.size) > LARGEST:
        size = "×".join(map(str, picture.size))
        raise ValueError(
            f"{name}: sides from 1 to {LARGEST} pixels, got {size}; "
            "picture.thumbnail((1024, 1024)) shrinks"
        )
    try:
        upright = _upright(picture)
        if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
            see_through, upright = upright.info.get("transparency"), np.asarray(upright)
            opaque = upright != see_through
            upright = _from_array(name, upright)
            if not opaque.all():
                upright.putalpha(Image.fromarray(opaque).convert("L"))
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, behind), upright)
        return upright.convert("RGB")
    except (OSError, SyntaxError) as error:  # a file that is cut short or damaged
        raise ValueError(f"{name}: its file cannot be read: {error}") from error
    except ValueError as error:
        if str(error).startswith(f"{name}:"):
            raise
        raise ValueError(f"{name}: a picture of mode {picture.mode}: {error}") from error


def _upright(picture: Image.Image) -> Image.Image:
    """The picture, turned as its EXIF data says, if that can be read."""
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF data can raise anything; the picture itself is intact
        return picture


def _from_array(name: str, array: np.ndarray) -> Image.Image:
    """An array of 8-bit, 16-bit or float numbers, grey or in 1, 3 or 4 channels, as a picture."""
    if (
        array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))
        or 0 in array.shape
    ):
        raise ValueError(
            f"{name}: shape [h, w], or [h, w, channels] with 1, 3 or 4 channels, got {array.shape}"
        )
    array = np.ascontiguousarray(_eight_bits(name, array))
    return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


def _eight_bits(name: str, array: np.ndarray) -> UInt8[np.ndarray, "*shape"]:
    """The numbers as 8 bits. A range that suggests another kind of number is refused."""
    kind = array.dtype
    if kind == np.uint8:
        return array
    if np.issubdtype(kind, np.bool_):
        return array.astype(np.uint8) * 255
    if not (np.issubdtype(kind, np.floating) or np.issubdtype(kind, np.integer)):
        raise TypeError(f"{name}: 8-bit or 16-bit whole numbers, floats or bools, got {kind}")
    least, most = array.min(), array.max()
    got = f"got numbers from {least:g} to {most:g}"
    if np.issubdtype(kind, np.floating):
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: floats are from 0 to 1, got some that are not finite")
        if least < 0 or most > 1:
            fits = "; (x + 1) / 2 makes them fit" if least >= -1 and most <= 1 else ""
            fits = "; x / 255 makes them fit" if least >= 0 and most <= 255 else fits
            raise ValueError(f"{name}: floats are from 0 to 1, {got}{fits}")
        return (array.astype(np.float64) * 255).round().astype(np.uint8)
    if least < 0 or most > 65535:
        raise ValueError(f"{name}: whole numbers from 0 to 65535 (16 bits), {got}")
    if 0 < most <= 255:
        raise ValueError(
            f"{name}: {kind} is read as 16 bits, from 0 to 65535, {got}, which would be black; "
            f"x.astype({'bool' if most == 1 else 'numpy.uint8'}) says what they are (in Pillow, "
            "convert('L'))"
        )
    return (array / 257).round().astype(np.uint8)


@checked
def square(picture: Image.Image, side: int) -> Image.Image:
    """The largest square in the middle of a picture, resized to this side."""
    whole_number("side", side, 1, LARGEST)
    return ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)


@checked
def figure_to_picture(figure: Figure) -> Image.Image:
    """A Figure, rendered as a picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


@checked
def contact_sheet(
    pictures: UInt8[np.ndarray, "n h w 3"], columns: int
) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures side by side, `columns` to a row; n must fill the rows."""
    n, height, width, depth = pictures.shape
    whole_number("columns", columns, 1, n)
    if n % columns:
        raise ValueError(f"columns: a divisor of {n}, the number of pictures, got {columns}")
    rows = pictures.reshape(n // columns, columns, height, width, depth)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * width, depth)


@checked
def to_jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    """A picture as JPEG, only for display: JPEG changes its values."""
    file = io.BytesIO()
    quality = whole_number("quality", quality, 1, 100)
    to_rgb("picture", picture).save(file, "JPEG", quality=quality)
    return file.getvalue()


@checked
def psnr(first: Float[Tensor, "n 3 h w"], second: Float[Tensor, "n 3 h w"]) -> float:
    """Mean peak signal-to-noise ratio in dB, pixels in [-1, 1]; infinite for equal pictures."""
    # 10 log₁₀(1 / MSE), where halving moves the values to a range of 1
    error = ((first.clamp(-1, 1) - second) / 2).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).mean().item()
