"""Textual inversion: one new row in the table of words, and nothing else, is trained.

Gal et al. 2022, *An Image is Worth One Word*. The word is *mimo*: a cat in a shade half way between
yellow and orange, which no word of the picture book names. U-Net and text encoder stay frozen.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

from sdlearn.noising import Schedule
from sdlearn.picturebook import mimo_page
from sdlearn.train.adapters import SIZE, Frozen
from sdlearn.train.loop import Batch, Recipe, fit
from sdlearn.train.plans import plan_for
from sdlearn.train.unet import Objective

RECIPE = Recipe(steps=150, batch=16, learning_rate=2e-3, warmup=20, weight_decay=0.0)
PAGES = 100
"""How many pages show a mimo."""
WORD, LIKE = "<mimo>", "cat"
"""The new token, and the word whose row it starts from."""


class OneRow(Objective):
    """The U-Net's own loss; only the last row of the text encoder's table is trained."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        schedule: Schedule,
        no_caption: torch.Tensor,
        text_encoder: CLIPTextModel,
    ):
        super().__init__(unet.requires_grad_(False), schedule, no_caption)
        self.text_encoder = text_encoder.requires_grad_(False)
        self.rows = text_encoder.get_input_embeddings().weight.requires_grad_(True)
        self.rows.register_hook(only_the_last)

    def forward(self, mean: torch.Tensor, spread: torch.Tensor, states: torch.Tensor) -> Batch:
        """states: token ids [n, 77], which the text encoder reads with the row as it is now."""
        return super().forward(mean, spread, self.text_encoder(states.long()).last_hidden_state)


def only_the_last(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient of a table, zero in every row but the last."""
    last = torch.zeros_like(gradient)
    last[-1] = gradient[-1]
    return last


def train(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Find a word for the mimo; its row goes to `adapters/mimo` beside `out`."""
    frozen = Frozen.load(out, work, pages)
    pipeline = frozen.pipeline
    tokenizer, text_encoder = pipeline.tokenizer, pipeline.text_encoder
    tokenizer.add_tokens(WORD)
    text_encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = text_encoder.get_input_embeddings().weight
    rows.data[-1] = rows.data[tokenizer.convert_tokens_to_ids(f"{LIKE}</w>")]
    drawn = [mimo_page(WORD, page, SIZE) for page in range(pages)]
    texts = [text for _, text in drawn]
    tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    mimos = replace(frozen.with_pages(drawn), states=tokens)  # read anew at every step
    objective = OneRow(
        pipeline.unet, Schedule.of(pipeline.scheduler), frozen.no_caption, text_encoder
    )
    objective.to(memory_format=torch.channels_last)
    plan_for(PartialState().device).prepare(objective.unet)
    trained = fit(objective, partial(mimos.pick, recipe.batch), recipe, work / "mimo")
    if PartialState().is_main_process:
        folder = out.parent / "adapters" / "mimo"
        folder.mkdir(parents=True, exist_ok=True)
        row = trained.rows.detach()[-1].half().cpu().clone()
        save_file({WORD: row}, folder / "learned_embeds.safetensors")
