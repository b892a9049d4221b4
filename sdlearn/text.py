"""From text to what the U-Net reads: tokens, then one state for each of the 77 positions."""

from __future__ import annotations

import re
import unicodedata
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

    Capitals do not matter, nor how accents are stored, nor how wide a gap between two words is. In
    a script without gaps between words, such as Chinese or Thai, any part of the text is found.

    Raises:
        ValueError: the word is not in the text, or was cut off because the text is too long.
    """
    spans = _spans_of(word, text)
    if not spans:
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


def words_in(text: str) -> list[str]:
    """The different words of a text, in small letters; a run of Chinese or Thai is one word."""
    return list(dict.fromkeys(re.findall(r"\w+", _composed(text)[0].lower())))


def split_words(tokenizer: CLIPTokenizer, text: str) -> list[str]:
    """The words that the tokenizer splits into pieces, because it has rarely or never read them."""
    words = dict.fromkeys(re.findall(r"[^\W\d_]+", _composed(text)[0].lower()))
    # a whole word has three tokens: the start token, the word and the end token
    return [word for word in words if len(tokenizer(word).input_ids) > 3]


WITHOUT_GAPS = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7af"  # Korean, where particles follow a noun without a gap
)
LETTER = rf"[^\W{WITHOUT_GAPS}]"
"""A letter or digit of a script that puts gaps between its words."""


def _spans_of(word: str, text: str) -> list[tuple[int, int]]:
    """Where the word begins and ends in the text, each time that it occurs."""
    composed, origins = _composed(text)
    parts = _composed(word)[0].split()
    if not parts:
        return []
    before = rf"(?<!{LETTER})" if re.match(LETTER, parts[0]) else ""
    after = rf"(?!{LETTER})" if re.search(rf"{LETTER}\Z", parts[-1]) else ""
    pattern = before + r"\s+".join(map(re.escape, parts)) + after
    found = re.finditer(pattern, composed, re.IGNORECASE)
    return [(origins[match.start()], origins[match.end()]) for match in found]


def _composed(text: str) -> tuple[str, list[int]]:
    """The text with each accent and its letter as one character (Unicode's form NFC).

    Also where each of its characters begins in the text, and where the text ends.
    """
    composed, origins, start = "", [], 0
    while start < len(text):
        end = start + 1
        # as long as another character melts into this one
        while end < len(text) and len(_nfc(text[start : end + 1])) <= len(_nfc(text[start:end])):
            end += 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        melted = _nfc(text[start:end])
        composed += melted
        origins += [start] * len(melted)
        start = end
    return composed, [*origins, len(text)]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
