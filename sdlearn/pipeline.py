"""The whole pipelines: text to image, image to image, and inpainting."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral

import numpy as np
import torch
from PIL import Image

from sdlearn._support.arguments import number, texts, whole_number
from sdlearn._support.checked import checked
from sdlearn.compression import decode, encode, scale
from sdlearn.denoising import (
    Predict,
    Step,
    check_denoising,
    denoise,
    draw_noise,
    guided,
    noise_from,
    seeded,
)
from sdlearn.images import LARGEST, to_pictures, to_pixels, to_rgb
from sdlearn.loading import Components
from sdlearn.noising import Schedule
from sdlearn.text import encode_text

Size = int | tuple[int, int]
"""A picture's side, or its height and width, in pixels."""


@checked
def text_to_latents(
    model: Components,
    prompt: str | list[str],
    negative_prompt: str = "",
    size: Size | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
) -> Iterator[Step]:
    """Yield every denoising step for one prompt or several. Arguments as in `text_to_image`."""
    prompts = texts("prompt", prompt)
    steps, guidance = or_defaults(model, steps, guidance)
    generator = seeded(seed)
    height, width = (side // model.factor for side in picture_size(model, size))
    states, negative_states = _read(model, prompts, negative_prompt)
    noise = draw_noise(
        (len(prompts), model.unet.config.in_channels, height, width), generator, like=states
    )
    yield from denoise(
        model.unet,
        model.scheduler,
        noise,
        states,
        negative_states,
        steps,
        guidance,
        generator=generator,
    )


@checked
def text_to_image(
    model: Components,
    prompt: str | list[str],
    negative_prompt: str = "",
    size: Size | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
) -> Image.Image | list[Image.Image]:
    """Draw the picture that a prompt describes; for a list of prompts, a list of pictures.

    Args:
        negative_prompt: what to steer away from; it replaces the empty caption.
        size: the picture's side, or its height and width, in pixels; by default the size that the
            model was trained for.
        steps: how many denoising steps to take; by default as many as the model needs
            (`model.default_steps`).
        guidance: how strongly to follow the prompt; 1 is just the prediction for the prompt, with
            no guidance added, and 0 ignores the prompt. (Where a model's card says 0 for "no
            guidance", say 1.) By default what suits the model (`model.default_guidance`).
        seed: chooses the noise to start from. The same seed gives the same picture.

    Raises:
        TypeError, ValueError: naming the argument, before anything is computed.
    """
    return _pictures(
        model, prompt, text_to_latents(model, prompt, negative_prompt, size, steps, guidance, seed)
    )


@checked
def image_to_latents(
    model: Components,
    picture: Image.Image | np.ndarray,
    prompt: str | list[str],
    strength: float = 0.8,
    mask: Image.Image | np.ndarray | None = None,
    negative_prompt: str = "",
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
) -> Iterator[Step]:
    """Yield every denoising step from a picture. Arguments as in `image_to_image` and `inpaint`."""
    prompts = texts("prompt", prompt)
    steps, guidance = or_defaults(model, steps, guidance)
    check_denoising(model.scheduler, steps, guidance, strength)
    generator = seeded(seed)
    upright = to_rgb("picture", picture)
    latent_mask = None if mask is None else _latent_mask(model, mask, upright)
    start = _fitted(model, upright)
    states, negative_states = _read(model, prompts, negative_prompt)
    posterior = encode(model.vae, to_pixels(np.asarray(start)[None]))
    latents = scale(model.vae, posterior.sample(generator)).to(states).repeat(len(prompts), 1, 1, 1)
    noise = draw_noise(tuple(latents.shape), generator, like=states)
    parts = model.unet, model.scheduler, noise, states, negative_states
    yield from denoise(*parts, steps, guidance, latents, strength, latent_mask, generator)


@checked
def image_to_image(
    model: Components,
    picture: Image.Image | np.ndarray,
    prompt: str | list[str],
    strength: float = 0.8,
    negative_prompt: str = "",
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
) -> Image.Image | list[Image.Image]:
    """Redraw a picture as a prompt describes it (Meng et al. 2022, SDEdit).

    Args:
        picture: any picture; if the U-Net cannot halve its sides often enough, it is resized, with
            a warning.
        strength: how far up the noise ladder to start. A small strength keeps the picture nearly as
            it is; 1 keeps hardly anything of it. Only the last `int(strength * steps)` steps are
            run; that has to be at least one.
        negative_prompt, steps, guidance, seed: as in `text_to_image`.

    Raises:
        TypeError, ValueError: naming the argument, before anything is computed.
    """
    drawing = image_to_latents(
        model, picture, prompt, strength, None, negative_prompt, steps, guidance, seed
    )
    return _pictures(model, prompt, drawing)


@checked
def inpaint(
    model: Components,
    picture: Image.Image | np.ndarray,
    mask: Image.Image | np.ndarray,
    prompt: str | list[str],
    strength: float = 1.0,
    negative_prompt: str = "",
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
) -> Image.Image | list[Image.Image]:
    """Redraw a picture where the mask is white.

    After each step the rest of the picture is put back, noised to the same level.

    Args:
        mask: a picture of the same size; lighter than middle grey means "draw here", and so does
            what is painted white on a transparent picture.
        picture, prompt, strength, negative_prompt, steps, guidance, seed: as in `image_to_image`.

    Raises:
        TypeError, ValueError: naming the argument, before anything is computed.
    """
    drawing = image_to_latents(
        model, picture, prompt, strength, mask, negative_prompt, steps, guidance, seed
    )
    return _pictures(model, prompt, drawing)


@checked
def or_defaults(model: Components, steps: int | None, guidance: float | None) -> tuple[int, float]:
    """The given steps and guidance, if they can be used; for None, the model's own."""
    steps = model.default_steps if steps is None else steps
    guidance = model.default_guidance if guidance is None else guidance
    check_denoising(model.scheduler, steps, guidance)
    return steps, guidance


@checked
def predictor(model: Components, prompt: str, guidance: float = 1.0) -> Predict:
    """The noise that the model predicts for a prompt, as a function of latents and t."""
    number("guidance", guidance, 0, 100)
    states, negative_states = _read(model, texts("prompt", prompt), "")
    schedule, kind = Schedule.of(model.scheduler), model.scheduler.config.prediction_type

    @torch.no_grad()
    def said(latents: torch.Tensor, t: int, read: torch.Tensor) -> torch.Tensor:
        # the states of one text, [1, positions, width], serve all n latents
        predicted = model.unet(latents, t, read.expand(len(latents), -1, -1)).sample
        return noise_from(kind, latents, *schedule.rates(t, latents), predicted)

    def predict(latents: torch.Tensor, t: int) -> torch.Tensor:
        conditional = said(latents, t, states)
        if guidance == 1:
            return conditional
        unconditional = said(latents, t, negative_states)
        return guided(unconditional, conditional, guidance)

    return predict


@checked
def latents_to_images(model: Components, latents) -> list[Image.Image]:
    """Decode latents [n, c, h, w] into n pictures."""
    return [Image.fromarray(picture) for picture in to_pictures(decode(model.vae, latents))]


@checked
def picture_size(model: Components, size: Size | None) -> tuple[int, int]:
    """The requested height and width, or the model's own.

    Raises:
        ValueError: the U-Net cannot halve such a side often enough.
    """
    if size is None:
        return model.side, model.side
    sides = (size, size) if isinstance(size, Integral) else tuple(size)
    least = _least_side(model)
    for side in sides:
        whole_number("size", side, least, LARGEST)
        if side % least:
            raise ValueError(
                f"size: a multiple of {least}, got {side}; the nearest is {_nearest(side, least)}"
            )
    return tuple(map(int, sides))


def _least_side(model: Components) -> int:
    # the VAE divides a side by `factor`, then the U-Net halves it at every level but the last
    return model.factor * 2 ** (len(model.unet.config.block_out_channels) - 1)


def _nearest(side: int, least: int) -> int:
    return max(least, round(side / least) * least)


def _read(
    model: Components, prompts: list[str], negative_prompt: str
) -> tuple[torch.Tensor, torch.Tensor]:
    negative = [negative_prompt] * len(prompts)
    return tuple(
        encode_text(model.tokenizer, model.text_encoder, read).to(model.device, model.dtype)
        for read in (prompts, negative)
    )


def _pictures(
    model: Components, prompt: str | list[str], steps: Iterator[Step]
) -> Image.Image | list[Image.Image]:
    for step in steps:
        last = step
    pictures = latents_to_images(model, last.latents)
    return pictures[0] if isinstance(prompt, str) else pictures


def _fitted(model: Components, picture: Image.Image) -> Image.Image:
    """The picture, resized to the nearest sides that the U-Net can halve often enough."""
    size = _fitting_size(model, picture)
    if size != picture.size:
        was, made = ("×".join(map(str, sides)) for sides in (picture.size, size))
        warnings.warn(
            f"picture: {was} pixels, made {made}: sides are multiples of {_least_side(model)}",
            stacklevel=4,
        )
    return picture.resize(size, Image.Resampling.LANCZOS)


def _fitting_size(model: Components, picture: Image.Image) -> tuple[int, int]:
    least = _least_side(model)
    width, height = picture.size
    return _nearest(width, least), _nearest(height, least)


def _grey_mask(mask: Image.Image | np.ndarray) -> Image.Image:
    """The mask in grey, black where it is transparent.

    Raises:
        ValueError: it is a photo with a hole, which does not say whether the hole is meant.
    """
    on_black, on_white = (
        to_rgb("mask", mask, behind).convert("L") for behind in ("black", "white")
    )
    grey, opaque = np.asarray(on_black), np.equal(on_black, on_white)
    neither = ((grey > 63) & (grey < 192) & opaque).sum()  # neither nearly black nor nearly white
    if not opaque.all() and neither > opaque.sum() / 10:
        raise ValueError(
            "mask: white where to draw, on black or on nothing, got other colours with transparent "
            "parts; if these are meant, mask.getchannel('A').point(lambda a: 255 - a) is the mask"
        )
    return on_black


def _latent_mask(
    model: Components, mask: Image.Image | np.ndarray, picture: Image.Image
) -> torch.Tensor:
    """The picture's mask at the size of the latents: 1 where to draw, float [1, 1, h, w]."""
    grey = _grey_mask(mask)
    if grey.size != picture.size:
        sizes = ["×".join(map(str, sides)) for sides in (picture.size, grey.size)]
        raise ValueError(
            f"mask: {sizes[0]} pixels like the picture, got {sizes[1]}; "
            "mask.resize(picture.size) makes it fit"
        )
    grey = grey.resize(_fitting_size(model, picture), Image.Resampling.LANCZOS)
    chosen = torch.from_numpy(np.asarray(grey) >= 127.5).float()[None, None]
    if not chosen.any():
        raise ValueError(
            "mask: at least one pixel lighter than middle grey, got none; make it white where to "
            "draw"
        )
    size = tuple(side // model.factor for side in chosen.shape[-2:])
    latent_mask = torch.nn.functional.interpolate(chosen, size)  # nearest: still only 0 and 1
    if not latent_mask.any():
        raise ValueError(
            f"mask: at least one latent, which is {model.factor}×{model.factor} pixels, got less"
        )
    return latent_mask.to(model.device, model.dtype)
