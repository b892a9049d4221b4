"""CLIP: texts and pictures as vectors in one space, compared by the angle between them.

CLIP's text tower has two outputs, which are easy to confuse. Here we compare the *projected state
of the end token*, one vector for each text. Stable Diffusion reads the state of every position, not
projected: see `sdlearn.text.encode_text`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from sdlearn._support.checked import checked
from sdlearn.images import to_rgb
from sdlearn.text import tokenize


@checked
@torch.no_grad()
def text_vectors(
    tokenizer: CLIPTokenizer, clip: CLIPModel, prompts: str | list[str]
) -> Float[Tensor, "n d"]:
    """One vector for each text: its end token's state, projected into the common space."""
    return clip.get_text_features(tokenize(tokenizer, prompts).to(clip.device)).pooler_output


@checked
@torch.no_grad()
def image_vectors(
    image_processor: CLIPImageProcessorPil,
    clip: CLIPModel,
    pictures: list[Image.Image | np.ndarray],
) -> Float[Tensor, "n d"]:
    """One vector for each picture: the image tower's summary, projected into the common space."""
    if len(pictures) == 0:
        raise ValueError("pictures: at least one, got an empty list")
    listed = [to_rgb("pictures", picture) for picture in pictures]
    pixels = image_processor(listed, return_tensors="pt").pixel_values
    return clip.get_image_features(pixels.to(clip.device, clip.dtype)).pooler_output


@checked
def pixel_vectors(
    image_processor: CLIPImageProcessorPil, clip: CLIPModel, pixels: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n d"]:
    """The vectors of pixels in [-1, 1], computed so that gradients flow back to them."""
    side = clip.config.vision_config.image_size
    mean, spread = (
        torch.tensor(values, device=clip.device).view(3, 1, 1)
        for values in (image_processor.image_mean, image_processor.image_std)
    )
    seen = F.interpolate((pixels.clamp(-1, 1) + 1) / 2, size=(side, side), mode="area")
    return clip.get_image_features(((seen - mean) / spread).to(clip.dtype)).pooler_output


@checked
def cosine_similarity(
    first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]
) -> Float[Tensor, "n m"]:
    """The cosine of the angle between each vector of one set and each of the other.

    In float32, from -1 to 1.
    """
    # cos φ = a · b / (‖a‖ ‖b‖); rounding can give 1.0000001, and acos would then be NaN
    first, second = (F.normalize(vectors.float(), dim=1) for vectors in (first, second))
    return (first @ second.T).clamp(-1, 1)


@checked
def temperature(clip: CLIPModel) -> float:
    """The temperature that CLIP has learned; CLIP stores the logarithm of its inverse."""
    return 1 / clip.logit_scale.exp().item()


@checked
def contrastive_loss(
    similarity: Float[Tensor, "n n"], temperature: float | Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """The symmetric contrastive loss of n matching pairs (Radford et al. 2021, Figure 3).

    Row i of the similarities belongs to the same pair as column i. Divided by the temperature, the
    similarities are logits: each row scores all captions for one picture, and each column scores
    all pictures for one caption.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: a number above 0, got {temperature}")
    if not isinstance(temperature, Tensor):
        temperature = float(temperature)  # torch has no room for a large int
    logits = similarity / temperature
    pairs = torch.arange(len(logits), device=logits.device)  # column i is the match of row i
    # half the mean of -log softmax(row i)_i, plus half that of the columns
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
