"""From text to what the U-Net reads: tokens, then one state for each of the 77 positions."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from sdlearn._support.arguments import texts


@dataclass(frozen=True)
class Token:
    """One position that the text tower reads: its number and the piece of text at that position."""

    position: int
    id: int
    piece: str
    """As the vocabulary writes it: `</w>` ends a word; letters beyond ASCII are spelt as bytes."""
    span: tuple[int, int]
    """Where the piece is in the text; empty for the start and end tokens."""


def tokenize(tokenizer: CLIPTokenizer, prompts: str | list[str]) -> Int[Tensor, "n positions"]:
    """Start token, the text, end token, then end tokens as padding up to the last position.

    A text that is too long is cut off, with a warning that quotes the part that was lost.
    """
    listed = texts("prompts", prompts)
    for text in listed:
        pieces = tokenizer(text).input_ids[1:-1]
        room = tokenizer.model_max_length - 2  # the start and end tokens need two positions
        if len(pieces) > room:
            lost = tokenizer.decode(pieces[room:])
            warnings.warn(
                f"the prompt has {len(pieces)} tokens, but only {room} fit; cut off: {lost!r}",
                stacklevel=2,
            )
    return tokenizer(listed, padding="max_length", truncation=True, return_tensors="pt").input_ids


def encode_text(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: str | list[str]
) -> Float[Tensor, "n positions width"]:
    """What Stable Diffusion reads: the text tower's last hidden states, not pooled or projected."""
    tokens = tokenize(tokenizer, prompts).to(text_encoder.device)
    with torch.no_grad():
        return text_encoder(tokens).last_hidden_state


def pieces(tokenizer: CLIPTokenizer, text: str) -> list[Token]:
    """The tokens of one text and their pieces, from start token to end token, without padding."""
    read = tokenizer(texts("text", text)[0], return_offsets_mapping=True, truncation=True)
    written = tokenizer.convert_ids_to_tokens(read.input_ids)
    return [
        Token(*fields)
        for fields in zip(
            range(len(written)), read.input_ids, written, read.offset_mapping, strict=True
        )
    ]


def positions_of(tokenizer: CLIPTokenizer, text: str, word: str) -> list[int]:
    """The positions of all pieces of a word, or of several words in a row, wherever it occurs.

    Raises:
        ValueError: the word is not in the text, or was cut off because the text is too long.
    """
    spans = [
        match.span()
        for match in re.finditer(rf"(?<!\w){re.escape(word.strip())}(?!\w)", text, re.IGNORECASE)
    ]
    if not word.strip() or not spans:
        raise ValueError(f"word: {word!r} is not in the prompt {text!r}")
    read = pieces(tokenizer, text)[1:-1]  # without the start and end tokens
    positions = [
        token.position
        for token in read
        if any(token.span[0] < end and start < token.span[1] for start, end in spans)
    ]
    if not positions:
        raise ValueError(
            f"word: {word!r} was cut off: the prompt is longer than {tokenizer.model_max_length} "
            "positions"
        )
    return positions


def split_words(tokenizer: CLIPTokenizer, text: str) -> list[str]:
    """The words that the tokenizer splits into pieces, because it has rarely or never read them."""
    words = dict.fromkeys(re.findall(r"[^\W\d_]+", text.lower()))
    # a whole word has three tokens: the start token, the word and the end token
    return [word for word in words if len(tokenizer(word).input_ids) > 3]
