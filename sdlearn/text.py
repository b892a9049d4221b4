"""Text to what the U-Net reads: tokens, then one state for each of the 77 places."""

from __future__ import annotations

import re
import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from sdlearn.arguments import texts


def tokenize(tokenizer: CLIPTokenizer, prompts: str | list[str]) -> Int[Tensor, "n places"]:
    """Start token, the text, end token, then end tokens up to the last place.

    A text that is too long is cut, with a warning that quotes what was cut.
    """
    listed = texts("prompts", prompts)
    for text in listed:
        pieces = tokenizer(text).input_ids[1:-1]
        room = tokenizer.model_max_length - 2
        if len(pieces) > room:
            lost = tokenizer.decode(pieces[room:])
            warnings.warn(f"the prompt has {len(pieces)} tokens, {room} fit; cut off: {lost!r}", stacklevel=2)
    return tokenizer(listed, padding="max_length", truncation=True, return_tensors="pt").input_ids


def encode_text(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: str | list[str]
) -> Float[Tensor, "n places width"]:
    """The text tower's last hidden states: what Stable Diffusion reads. Neither pooled nor projected."""
    tokens = tokenize(tokenizer, prompts).to(text_encoder.device)
    with torch.no_grad():
        return text_encoder(tokens).last_hidden_state


def split_words(tokenizer: CLIPTokenizer, text: str) -> list[str]:
    """The words of a text that the tokenizer knows only in pieces: it has seldom or never read them."""
    words = dict.fromkeys(re.findall(r"[^\W\d_]+", text.lower()))
    return [word for word in words if len(tokenizer(word).input_ids) > 3]
