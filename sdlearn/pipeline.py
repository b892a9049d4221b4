"""The whole pipeline: text → text states → denoising from noise → decoder → picture."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from sdlearn.arguments import texts, whole_number
from sdlearn.compression import decode
from sdlearn.denoising import Step, check_denoising, denoise, draw_noise
from sdlearn.images import to_pictures
from sdlearn.loading import Components
from sdlearn.text import encode_text


def text_to_latents(
    model: Components,
    prompt: str | list[str],
    negative_prompt: str = "",
    size: int | None = None,
    steps: int = 25,
    guidance: float = 7.5,
    seed: int = 0,
) -> Iterator[Step]:
    """Yield every denoising step for a prompt, or for a batch of prompts. Arguments as in `text_to_image`."""
    prompts = texts("prompt", prompt)
    check_denoising(model.scheduler, steps, guidance)
    whole_number("seed", seed, 0, 2**63 - 1)
    side = picture_side(model, size) // model.factor
    states = encode_text(model.tokenizer, model.text_encoder, prompts)
    empty_states = encode_text(model.tokenizer, model.text_encoder, [negative_prompt] * len(prompts))
    noise = draw_noise((len(prompts), model.unet.config.in_channels, side, side), seed, like=states)
    yield from denoise(model.unet, model.scheduler, noise, states, empty_states, steps, guidance)


def text_to_image(
    model: Components,
    prompt: str | list[str],
    negative_prompt: str = "",
    size: int | None = None,
    steps: int = 25,
    guidance: float = 7.5,
    seed: int = 0,
) -> Image.Image | list[Image.Image]:
    """Draw the picture that a prompt describes: one picture for a text, a list for a list of texts.

    Args:
        negative_prompt: what to steer away from; takes the place of the empty caption.
        size: the picture's side in pixels, a multiple of 64; by default what the model was trained for.
        guidance: how strongly to follow the prompt; 1 is not at all more than was learned.
        seed: the noise to start from. The same seed gives the same picture.

    Raises:
        TypeError, ValueError: naming the argument, before anything is computed.
    """
    for step in text_to_latents(model, prompt, negative_prompt, size, steps, guidance, seed):
        last = step
    pictures = latents_to_images(model, last.latents)
    return pictures[0] if isinstance(prompt, str) else pictures


def latents_to_images(model: Components, latents) -> list[Image.Image]:
    """Decode latents [n, c, h, w] into n pictures."""
    return [Image.fromarray(picture) for picture in to_pictures(decode(model.vae, latents))]


def picture_side(model: Components, size: int | None) -> int:
    """The side asked for, or the model's own; the U-Net halves it several times, so it must divide evenly."""
    if size is None:
        return model.side
    least = model.factor * 2 ** (len(model.unet.config.block_out_channels) - 1)
    whole_number("size", size, least, 4096)
    if size % least:
        raise ValueError(
            f"size: a multiple of {least}, got {size}; the nearest is {max(least, round(size / least) * least)}"
        )
    return size
