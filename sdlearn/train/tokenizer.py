"""The tokenizer: byte-level byte-pair encoding, learned from the captions, in CLIP's own format.

The vocabulary is built like CLIP's (Radford et al. 2021, Section 2.4): 256 bytes, the same 256
bytes at the end of a word, the results of the merges, and the two tokens that start and end a text.
Any Unicode text consists of bytes, so any text can be turned into tokens.
"""

from __future__ import annotations

import json
from pathlib import Path

from accelerate import PartialState
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

from sdlearn.train.data import captions

START, END, END_OF_WORD = "<|startoftext|>", "<|endoftext|>", "</w>"
LENGTH = 77


def train(out: Path, pages: int = 20_000) -> None:
    """Learn the merges from the captions of `pages` pages and save `out/tokenizer`."""
    if not PartialState().is_main_process:
        return
    save(make(captions(pages)), out / "tokenizer")


def save(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Save as one file, and as `vocab.json` and `merges.txt` like Stable Diffusion 1.5."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))


def make(texts: list[str]) -> CLIPTokenizer:
    """A tokenizer whose merges are learned from the texts."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn_merges(texts, alphabet)
    pieces = [
        *alphabet,
        *(byte + END_OF_WORD for byte in alphabet),
        *map("".join, merges),
        START,
        END,
    ]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return CLIPTokenizer(vocabulary, merges, model_max_length=LENGTH, pad_token=END)


def learn_merges(texts: list[str], alphabet: list[str]) -> list[tuple[str, str]]:
    """The pairs that byte-pair encoding merges, most frequent first.

    Merging continues until every word of the texts is a single token.
    """
    as_clip = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(BPE(end_of_word_suffix=END_OF_WORD))
    learner.normalizer, learner.pre_tokenizer = as_clip.normalizer, as_clip.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=2_000,
        initial_alphabet=alphabet,
        end_of_word_suffix=END_OF_WORD,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
