"""What the trainings of adapters share: the finished model, its pages, and how a LoRA is saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from diffusers import StableDiffusionPipeline
from PIL import Image

from sdlearn.train.data import captions, how_often
from sdlearn.train.loop import Batch, Moment
from sdlearn.train.plans import plan_for
from sdlearn.train.unet import (
    Pages,
    encode_captions,
    encode_pages,
    finished,
    latents_of_pages,
)

SIZE = 256
"""Adapters are trained, and measured, with pictures of this size."""

ALL_LAYERS = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out"),
    *("ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv"),
    *("upsamplers.0.conv",),
)
"""Every layer with a matrix or kernel but the first and last convolution and the time embedding."""


@dataclass(frozen=True)
class Frozen:
    """The finished model, with the text states of its pages and the latents that are trained on."""

    pipeline: StableDiffusionPipeline
    pages: Pages
    states: torch.Tensor
    no_caption: torch.Tensor

    def pick(self, batch: int, moment: Moment) -> Batch:
        return self.pages.pick(batch, self.states)

    def with_pages(self, drawn: Iterable[tuple[Image.Image, str]]) -> Frozen:
        """The same model with other pages: pictures with their captions, all equally often."""
        pictures, texts = zip(*drawn, strict=True)
        arrays = (np.asarray(picture) for picture in pictures)
        latents = torch.cat([*encode_pages(self.pipeline.vae, arrays)])
        states = encode_captions(self.pipeline.tokenizer, self.pipeline.text_encoder, list(texts))
        often = torch.ones(len(latents), device=self.no_caption.device)
        return replace(self, pages=Pages(latents, often), states=states)

    @classmethod
    def load(cls, out: Path, work: Path, pages: int) -> Frozen:
        """Load the model in `out`; draw and encode its first pages, or read them from the cache."""
        pipeline = finished(out)
        device = PartialState().device
        keep = plan_for(device).keep
        latents = keep(latents_of_pages(pipeline.vae, work / "cache", pages, SIZE), device)
        often = torch.from_numpy(how_often(pages, single=2)).float().to(device)
        texts = ["", *captions(pages)]
        states = encode_captions(pipeline.tokenizer, pipeline.text_encoder, texts)
        no_caption = states[0].float()
        return cls(pipeline, Pages(latents, often), keep(states[1:], device), no_caption)


def save_lora(layers: dict[str, torch.Tensor], folder: Path) -> None:
    """Save a LoRA of the U-Net in float16, as `load_lora_weights` reads it."""
    half = {name: values.half().cpu().contiguous() for name, values in layers.items()}
    StableDiffusionPipeline.save_lora_weights(folder, half)
