"""What the trainings of adapters share: the finished model, its pages, and how a LoRA is saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import StableDiffusionPipeline

from sdlearn.train.data import captions, how_often
from sdlearn.train.loop import Batch, Moment
from sdlearn.train.unet import Pages, encode_captions, finished, latents_of_pages

SIZE = 256
"""Adapters are trained, and measured, with pictures of this size."""


@dataclass(frozen=True)
class Frozen:
    """The finished model, with the text states of its pages and the latents that are trained on."""

    pipeline: StableDiffusionPipeline
    pages: Pages
    states: torch.Tensor
    no_caption: torch.Tensor

    def pick(self, batch: int, moment: Moment) -> Batch:
        return self.pages.pick(batch, self.states)

    @classmethod
    def load(cls, out: Path, work: Path, pages: int) -> Frozen:
        """Load the model in `out`; draw and encode its first pages, or read them from the cache."""
        pipeline = finished(out)
        device = PartialState().device
        latents = latents_of_pages(pipeline.vae, work / "cache", pages, SIZE)
        often = torch.from_numpy(how_often(pages, single=2)).float().to(device)
        texts = ["", *captions(pages)]
        states = encode_captions(pipeline.tokenizer, pipeline.text_encoder, texts)
        return cls(pipeline, Pages(latents, often), states[1:], states[0].float())


def save_lora(layers: dict[str, torch.Tensor], folder: Path) -> None:
    """Save a LoRA of the U-Net in float16, as `load_lora_weights` reads it."""
    half = {name: values.half().cpu().contiguous() for name, values in layers.items()}
    StableDiffusionPipeline.save_lora_weights(folder, half)
