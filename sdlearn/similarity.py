"""CLIP: texts and pictures as vectors in one space, compared by the angle between them.

CLIP's text tower has two outputs, and they are easily mixed up. What is compared here is the
*projected state of the end token*, one vector a text. What Stable Diffusion reads is every
position's state, not projected: `sdlearn.text.encode_text`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from sdlearn.images import to_rgb
from sdlearn.text import tokenize


@torch.no_grad()
def text_vectors(
    tokenizer: CLIPTokenizer, clip: CLIPModel, prompts: str | list[str]
) -> Float[Tensor, "n d"]:
    """One vector a text: its end token's state, projected into the common space."""
    return clip.get_text_features(tokenize(tokenizer, prompts).to(clip.device)).pooler_output


@torch.no_grad()
def image_vectors(
    image_processor: CLIPImageProcessorPil, clip: CLIPModel, pictures: list[Image.Image]
) -> Float[Tensor, "n d"]:
    """One vector a picture: the image tower's summary, projected into the common space."""
    if not isinstance(pictures, list | tuple) or not pictures:
        raise TypeError(f"pictures: a list of at least one picture, got {type(pictures).__name__}")
    listed = [to_rgb("pictures", picture) for picture in pictures]
    pixels = image_processor(listed, return_tensors="pt").pixel_values
    return clip.get_image_features(pixels.to(clip.device, clip.dtype)).pooler_output


def cosine_similarity(
    first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]
) -> Float[Tensor, "n m"]:
    """The cosine of the angle between every vector of one set and every vector of the other, in
    [-1, 1].
    """
    return F.normalize(first, dim=1) @ F.normalize(second, dim=1).T


def temperature(clip: CLIPModel) -> float:
    """The temperature that CLIP has learned; its configuration holds the logarithm of
    the inverse.
    """
    return 1 / clip.logit_scale.exp().item()


def contrastive_loss(similarity: Float[Tensor, "n n"], temperature: float) -> Float[Tensor, ""]:
    """The symmetric contrastive loss of n matching pairs (Radford et al. 2021, Figure 3).

    Row i of the similarities belongs to the same pair as column i. Divided by the temperature they
    are logits: of the captions for every picture by rows, of the pictures for every caption by
    columns.
    """
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise ValueError(
            f"similarity: n×n, one row and one column for each pair, got {tuple(similarity.shape)}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature: a number above 0, got {temperature}")
    logits = similarity / temperature
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
