"""ControlNet: a second input for a finished U-Net, a picture that says where things go.

Zhang et al. 2023, *Adding Conditional Control to Text-to-Image Diffusion Models*. A copy of the
U-Net's encoder reads the noisy latents and the picture. What it finds is added to what the U-Net's
own encoder hands to the decoder: to the skip connections and to the middle.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn._support.hooks import of_this_thread
from sdlearn._support.paths import ASSETS
from sdlearn._support.wrapping import uncompiled, unwrapped
from sdlearn.images import LARGEST, to_pixels, to_rgb
from sdlearn.loading import Components

MASKS = ASSETS / "adapters" / "masks"
EDGES = ASSETS / "adapters" / "edges"
STEEP = 0.06
"""By how much a colour in [0, 1] must change from one pixel to the next to be an edge."""
WIDER = 16
"""How many channels each of the small convolutions that shrink a picture adds."""

Picture = Image.Image | np.ndarray


@checked
def start_control(unet: UNet2DConditionModel, factor: int = 8) -> ControlNetModel:
    """A new ControlNet for this U-Net: a copy of its encoder, behind convolutions of zeros.

    It does not change any picture until it is trained.

    Args:
        factor: how many times a picture's side is longer than that of its latents; a power of two.
    """
    halvings = whole_number("factor", factor, 1, 64).bit_length() - 1
    if factor != 2**halvings:
        raise ValueError(f"factor: a power of two, got {factor}")
    widths = tuple(WIDER * (level + 1) for level in range(halvings + 1))
    control = ControlNetModel.from_unet(unwrapped(unet), conditioning_embedding_out_channels=widths)
    return _beside(unet, control)


@checked
def load_control(model: Components, folder: Path | str = MASKS) -> ControlNetModel:
    """Load a finished ControlNet for this model: by default, the one that ships with the small one.

    That one reads masks: white where a thing is, and black elsewhere.

    Raises:
        FileNotFoundError: there is no ControlNet in the folder.
        ValueError: it was trained for a U-Net of another shape.
    """
    if not (Path(folder) / "config.json").exists():
        raise FileNotFoundError(f"folder: {folder} holds no ControlNet (config.json)")
    control = ControlNetModel.from_pretrained(folder).requires_grad_(False).eval()
    _check_fit(model.unet, control)
    return _beside(model.unet, control)


def _beside(unet: UNet2DConditionModel, control: ControlNetModel) -> ControlNetModel:
    """The ControlNet on the U-Net's device, in its precision."""
    # diffusers' own `to` prints a warning about modules to be kept in float32, of which it has none
    return torch.nn.Module.to(control, unet.device, unet.dtype)


def _check_fit(unet: UNet2DConditionModel, control: ControlNetModel) -> None:
    """Raise ValueError unless the ControlNet was made for a U-Net of this shape."""
    for name in ("in_channels", "block_out_channels", "cross_attention_dim"):
        ours, its = (_as_list(part.config[name]) for part in (unwrapped(unet), control))
        if ours != its:
            raise ValueError(
                f"control: made for another U-Net, with {name} {its} where this one has {ours}; "
                f"start_control(unet) makes one that fits and that you can train"
            )


def _as_list(value: object) -> list:
    """A setting as a list: JSON has no tuples."""
    return list(value) if isinstance(value, list | tuple) else [value]


@checked
def control_pixels(
    picture: Picture | list[Picture], size: tuple[int, int]
) -> Float[Tensor, "n 3 h w"]:
    """Pictures as a ControlNet reads them: in [0, 1], unlike the autoencoder's, at this size.

    Args:
        size: height and width, in pixels.
    """
    height, width = (whole_number("size", side, 1, LARGEST) for side in size)
    fitted = [each.resize((width, height), Image.BILINEAR) for each in _all_rgb(picture)]
    return (to_pixels(np.stack([np.asarray(each) for each in fitted])) + 1) / 2


@checked
def find_edges(picture: Picture) -> Image.Image:
    """White lines on black, where the picture's colours change abruptly, as large as the picture.

    What a ControlNet for edges reads. Sobel's two kernels (1968) measure how fast a colour changes
    to the right and downwards; the fastest of red, green and blue counts.
    """
    pixels = (to_pixels(np.asarray(to_rgb("picture", picture))[None]) + 1) / 2
    lines = edges_of(pixels)[0, 0].mul(255).to(torch.uint8)
    return Image.fromarray(lines.cpu().numpy()).convert("RGB")


def edges_of(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
    """1 where colours in [0, 1] change by more than `STEEP` from one pixel to the next."""
    right = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    kernels = torch.stack([right, right.T])[:, None].to(pixels)
    channels = torch.nn.functional.pad(pixels.flatten(0, 1)[:, None], (1, 1, 1, 1), "replicate")
    slopes = torch.nn.functional.conv2d(channels, kernels).norm(dim=1)
    fastest = slopes.view(pixels.shape).amax(dim=1, keepdim=True)
    return (fastest > STEEP).to(pixels)


@checked
@contextmanager
def controlled(
    unet: UNet2DConditionModel,
    control: ControlNetModel,
    picture: Picture | list[Picture],
    scale: float = 1.0,
) -> Iterator[None]:
    """Inside the `with` block, the U-Net also follows a picture, through a ControlNet.

    Args:
        picture: what the ControlNet was trained to read; it is resized to the picture that is
            drawn. A list has one for each picture of the batch.
        scale: how much of what the ControlNet finds is added; 0 changes nothing.

    Raises:
        TypeError, ValueError: naming the argument, before the U-Net runs; if there are more
            pictures than are drawn, when it runs.
    """
    number("scale", scale, 0, 100)
    _check_fit(unet, control)
    pictures = _all_rgb(picture)
    inner = unwrapped(unet)
    signature = inspect.signature(inner.forward)
    shrinks = 2 ** (len(control.config.conditioning_embedding_out_channels) - 1)
    seen: dict[torch.Size, Tensor] = {}

    def add(module, args, kwargs) -> tuple[tuple, dict]:
        call = signature.bind(*args, **kwargs).arguments
        noisy = call["sample"]
        if noisy.shape not in seen:
            height, width = (shrinks * side for side in noisy.shape[2:])
            seen[noisy.shape] = _for_each(control_pixels(pictures, (height, width)), noisy)
        read = (noisy, call["encoder_hidden_states"], seen[noisy.shape])
        # a ControlNet in training is in full precision, also beside a U-Net that is not
        latents, states, shown = (each.to(control.dtype) for each in read)
        down, middle = control(
            latents, call["timestep"], states, shown, conditioning_scale=scale, return_dict=False
        )
        call |= {
            "down_block_additional_residuals": [found.to(noisy.dtype) for found in down],
            "mid_block_additional_residual": middle.to(noisy.dtype),
        }
        return (), call

    with uncompiled(unet):
        handle = inner.register_forward_pre_hook(of_this_thread(add), with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def _all_rgb(pictures: Picture | list[Picture]) -> list[Image.Image]:
    given = pictures if isinstance(pictures, list) else [pictures]
    if not given:
        raise ValueError("picture: at least one, got an empty list")
    return [to_rgb("picture", picture) for picture in given]


def _for_each(pixels: Tensor, noisy: Tensor) -> Tensor:
    """The pictures, repeated for the whole batch: with guidance, it holds each drawing twice."""
    if len(noisy) % len(pixels):
        raise ValueError(
            f"picture: one, or one for each picture that is drawn; got {len(pixels)} for a batch "
            f"of {len(noisy)}"
        )
    return pixels.repeat(len(noisy) // len(pixels), 1, 1, 1).to(noisy)
