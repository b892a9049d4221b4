"""From text to what the U-Net reads: 77 tokens (a longer text is cut), and a state for each."""

from __future__ import annotations

import itertools
import re
import threading
import unicodedata
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import BatchEncoding, CLIPTextModel, CLIPTokenizer

from sdlearn._support.arguments import check_finite, texts
from sdlearn._support.checked import checked


@dataclass(frozen=True)
class Token:
    """One position that the text tower reads: its number and the piece of text at that position."""

    position: int
    id: int
    piece: str
    """As the vocabulary writes it: `</w>` ends a word; letters beyond ASCII are spelt as bytes."""
    span: tuple[int, int]
    """Where the piece is in the text; empty for the start and end tokens."""


@checked
def tokenize(tokenizer: CLIPTokenizer, prompts: str | list[str]) -> Int[Tensor, "n positions"]:
    """Start token, the text, end token, then end tokens as padding up to the last position.

    A text that is too long is cut off, with a warning that quotes the part that was lost, unless
    this thread was told to `cut_silently`.
    """
    listed = [_with_all_vectors(tokenizer, text) for text in texts("prompts", prompts)]
    for text in listed:
        if (lost := _too_much(tokenizer, text)) and _WARNS.get():
            room = tokenizer.model_max_length - 2
            warnings.warn(
                f"the prompt has {room + len(lost)} tokens, but only {room} fit; cut off: "
                f"{tokenizer.decode(lost)!r}",
                stacklevel=3,
            )
    return _read(tokenizer, listed, **FULL, return_tensors="pt").input_ids


_WARNS = ContextVar("whether `tokenize` warns about what is cut off", default=True)


def cut_silently() -> None:
    """From now on, `tokenize` does not warn on this thread: its caller says itself what is lost."""
    _WARNS.set(False)


def _too_much(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    """The tokens of a text that do not fit; the start and end tokens need two positions."""
    numbers = _read(tokenizer, text, truncation=False, verbose=False).input_ids[1:-1]
    room = tokenizer.model_max_length - 2
    if len(numbers) <= room:
        return []
    return numbers[:-room] if tokenizer.truncation_side == "left" else numbers[room:]


@checked
def cut_off(tokenizer: CLIPTokenizer, text: str) -> str:
    """The part of a text that no position is left for: empty if the text fits."""
    return tokenizer.decode(_too_much(tokenizer, _with_all_vectors(tokenizer, text)))


FULL = {"padding": "max_length", "truncation": True}
_ONE_READER = threading.Lock()


def _read(tokenizer: CLIPTokenizer, text: str | list[str], **options) -> BatchEncoding:
    """What the tokenizer makes of a text.

    A tokenizer keeps its options from one call to the next, so only one thread at a time may use
    it.
    """
    with _ONE_READER:
        return tokenizer(text, **options)


def _with_all_vectors(tokenizer: CLIPTokenizer, text: str) -> str:
    """A word that was learned as several vectors, `<x>`, as all of them: `<x> <x>_1 <x>_2`.

    As in diffusers' `TextualInversionLoaderMixin.maybe_convert_prompt`.
    """
    added = tokenizer.get_added_vocab()
    for word in added:
        count = next(i for i in range(1, len(added) + 1) if f"{word}_{i}" not in added)
        if count > 1 and word in text:
            text = text.replace(word, " ".join([word, *(f"{word}_{i}" for i in range(1, count))]))
    return text


@checked
def encode_text(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: str | list[str]
) -> Float[Tensor, "n positions width"]:
    """What Stable Diffusion reads: the text tower's last hidden states, not pooled or projected."""
    tokens = tokenize(tokenizer, prompts).to(text_encoder.device)
    with torch.no_grad():
        states = text_encoder(tokens).last_hidden_state
    check_finite("text_encoder", states)
    return states


@checked
def pieces(tokenizer: CLIPTokenizer, text: str) -> list[Token]:
    """The tokens of one text and their pieces, from start token to end token, without padding."""
    (text,) = texts("text", text)
    whole = _with_all_vectors(tokenizer, text)
    read = _read(tokenizer, whole, **FULL, return_offsets_mapping=True)
    written = tokenizer.convert_ids_to_tokens(read.input_ids)
    fields = zip(read.input_ids, written, read.offset_mapping, read.attention_mask, strict=True)
    return [
        Token(position, number, piece, span)
        for position, (number, piece, span, is_read) in enumerate(fields)
        if is_read
    ]


@checked
def positions_of(tokenizer: CLIPTokenizer, text: str, word: str) -> list[int]:
    """The positions of all pieces of a word, or of several words in a row, wherever it occurs.

    Case, the encoding of accents and the width of gaps make no difference. In a script without gaps
    between words, such as Chinese or Thai, any part of the text matches.

    Raises:
        ValueError: the word is not in the text, or was cut off because the text is too long.
    """
    spans = _spans_of(word, _with_all_vectors(tokenizer, text))
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


@checked
def words_in(text: str) -> list[str]:
    """The different words of a text, in lower case; a run of Chinese or Thai is one word."""
    return list(dict.fromkeys(_runs(text, _is_letter)))


@checked
def split_words(tokenizer: CLIPTokenizer, text: str) -> list[str]:
    """The words that the tokenizer splits into pieces, because it has rarely or never read them."""
    words = dict.fromkeys(_runs(*texts("text", text), lambda c: c.isalpha() or _is_mark(c)))
    # a whole word has three tokens: the start token, the word and the end token
    return [word for word in words if len(_read(tokenizer, word).input_ids) > 3]


WITHOUT_GAPS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7af]"  # Korean, where particles follow a noun without a gap
)
"""Characters of scripts that put no gaps between words, so any part of a text may be a word."""


def _is_mark(character: str) -> bool:
    """True for accents and vowel signs, which belong to the letter before them."""
    return unicodedata.category(character).startswith("M")


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_" or _is_mark(character)


def _runs(text: str, belongs: Callable[[str], bool]) -> list[str]:
    """The longest parts of a text whose characters all belong, in lower case."""
    groups = itertools.groupby(_composed(text)[0], belongs)
    # lower() would make two characters of a few letters, such as İ: these stay
    return [
        "".join(c.lower() if len(c.lower()) == 1 else c for c in run)
        for good, run in groups
        if good
    ]


def _spans_of(word: str, text: str) -> list[tuple[int, int]]:
    """Where the word begins and ends in the text, each time that it occurs."""
    composed, origins = _composed(text)
    parts = _composed(word)[0].split()
    if not parts:
        return []
    matches = re.finditer(r"\s+".join(map(re.escape, parts)), composed, re.IGNORECASE)
    return [
        (origins[match.start()], origins[match.end()])
        for match in matches
        if not (_is_inside(composed, match.start()) or _is_inside(composed, match.end()))
    ]


def _is_inside(text: str, offset: int) -> bool:
    """True if the offset is between two characters of one word."""
    if not 0 < offset < len(text):
        return False
    before, after = text[offset - 1], text[offset]
    if _is_mark(after):
        return True
    no_gaps = WITHOUT_GAPS.match(before) or WITHOUT_GAPS.match(after)
    return _is_letter(before) and _is_letter(after) and not no_gaps


def _composed(text: str) -> tuple[str, list[int]]:
    """The text with each accent and its letter as one character (Unicode's form NFC).

    Also where each of its characters begins in the text, and where the text ends.
    """
    composed, origins, start = "", [], 0
    while start < len(text):
        end = start + 1
        # while the next character combines with these
        while end < len(text) and len(_nfc(text[start : end + 1])) <= len(_nfc(text[start:end])):
            end += 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        joined = _nfc(text[start:end])
        composed += joined
        origins += [start] * len(joined)
        start = end
    return composed, [*origins, len(text)]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
