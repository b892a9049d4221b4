"""Training CLIP: two towers meet in one space, by the symmetric contrastive loss.

Every batch contains scenes together with their twins, which differ in one word or in the order of
two words ("hard negatives", Yuksekgonul et al. 2023). To tell them apart, the text tower has to
bind each colour to its thing.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextModel, CLIPTokenizer

from sdlearn.images import to_pixels
from sdlearn.picturebook.pages import TRAIN, TWIN
from sdlearn.train.data import captions, how_often, pictures
from sdlearn.train.loop import Batch, Moment, Recipe, fit
from sdlearn.train.shipping import save_half
from sdlearn.train.tokenizer import save as save_tokenizer

RECIPE = Recipe(steps=3000, batch=128, learning_rate=1e-3, weight_decay=0.1)
IMAGE_SIDE, PATCH_SIDE, WIDTH, LAYERS, HEADS = 128, 16, 128, 4, 4
MAX_LOGIT_SCALE = math.log(100)


def make(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A new CLIP, small, with two towers of one size."""
    tower = dict(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
    )
    ends = dict(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    positions = tokenizer.model_max_length
    text = dict(
        **tower,
        **ends,
        vocab_size=len(tokenizer),
        max_position_embeddings=positions,
        projection_dim=WIDTH,
    )
    vision = dict(**tower, image_size=IMAGE_SIDE, patch_size=PATCH_SIDE, projection_dim=WIDTH)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def make_image_processor() -> CLIPImageProcessorPil:
    """A processor that shrinks and crops to the image tower's side, with pixels in [-1, 1]."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE_SIDE},
        crop_size={"height": IMAGE_SIDE, "width": IMAGE_SIDE},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


class Objective(torch.nn.Module):
    """Match pictures to captions and captions to pictures (Radford et al. 2021, Figure 3)."""

    def __init__(self, clip: CLIPModel):
        super().__init__()
        self.clip = clip

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor) -> Batch:
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        output = self.clip(input_ids=tokens, pixel_values=pixels, return_loss=True)
        hits = output.logits_per_image.argmax(dim=1) == torch.arange(
            len(pixels), device=pixels.device
        )
        return {
            "loss": output.loss,
            "top1": hits.float(),
            "temperature": 1 / self.clip.logit_scale.exp(),
        }


def pairs(
    store: tuple[np.ndarray, np.ndarray],
    tokens: tuple[torch.Tensor, torch.Tensor],
    batch: int,
    moment: Moment,
) -> Batch:
    """Half a batch of pages, followed by their twins."""
    rng = np.random.default_rng((12, moment.step, moment.process))
    pages = rng.choice(len(store[0]), batch // 2, replace=False, p=how_often(len(store[0])))
    pixels = np.concatenate([drawn[pages] for drawn in store])
    return {"pixels": to_pixels(pixels), "tokens": torch.cat([text[pages] for text in tokens])}


def train(
    out: Path, work: Path, recipe: Recipe = RECIPE, start: Path | None = None, pages: int = 10_000
) -> None:
    """Train CLIP and save it in `out/clip`, and its text tower in `out/text_encoder`.

    The text tower is the one whose states the U-Net reads.
    """
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    clip = CLIPModel.from_pretrained(start / "clip").float() if start else make(tokenizer)
    store = tuple(pictures(work / "cache", pages, IMAGE_SIDE, book) for book in (TRAIN, TWIN))
    texts = captions(pages, TRAIN) + captions(pages, TWIN)
    tokens = tokenizer(texts, padding="longest", return_tensors="pt").input_ids.split(pages)
    trained = fit(
        Objective(clip), partial(pairs, store, tokens, recipe.batch), recipe, work / "clip"
    )
    if not PartialState().is_main_process:
        return
    save_half(trained.clip, out / "clip")
    make_image_processor().save_pretrained(out / "clip")
    save_tokenizer(tokenizer, out / "clip")
    save_half(CLIPTextModel.from_pretrained(out / "clip"), out / "text_encoder")
