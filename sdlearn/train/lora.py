"""Training LoRAs that teach the finished model something new: a thing, or a style.

Hu et al. 2021, *LoRA: Low-Rank Adaptation of Large Language Models*. The U-Net stays frozen; small
matrices beside its layers learn with the U-Net's own loss.

The thing is a rocket, which the picture book does not have. A quarter of each batch are ordinary
pages, so that the rest is not forgotten. The style is pencil. All of its pages are in pencil; for
colours, switch the LoRA off. Both change all layers: without the convolutions, a rocket is blurred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image

from sdlearn.noising import Schedule
from sdlearn.picturebook import draw, in_pencil, page_with, rocket, scene_at
from sdlearn.train.adapters import ALL_LAYERS, SIZE, Frozen, save_lora
from sdlearn.train.loop import Batch, Moment, Recipe, fit
from sdlearn.train.plans import plan_for
from sdlearn.train.unet import Objective, paint

RECIPE = Recipe(steps=1000, batch=16, learning_rate=1e-3, warmup=50, weight_decay=0.0)
STYLE, STYLE_SIZE = replace(RECIPE, steps=2000, batch=4, learning_rate=1.5e-3), 512
"""The style is learned on large pages: on those of 256², thin lines become blurred and broken."""
PAGES = 300
"""How many pages show the new thing or style."""
RANK = 16
OLD = 0.25
"""Which part of a batch are ordinary pages, where the LoRA must not change what is drawn."""


class Adapted(Objective):
    """The U-Net's own loss; only the LoRA is trained."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        schedule: Schedule,
        no_caption: torch.Tensor,
    ):
        super().__init__(unet.requires_grad_(False), schedule, no_caption)
        chosen = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(ALL_LAYERS))
        self.unet.add_adapter(chosen, "new")


def rocket_pages(count: int) -> Iterable[tuple[Image.Image, str]]:
    """Pages with a rocket, each with its caption."""
    return (page_with(rocket(), "rocket", page, SIZE) for page in range(count))


def pencil_pages(count: int) -> Iterable[tuple[Image.Image, str]]:
    """Pages of the training book in pencil; their captions do not mention it."""
    scenes = map(scene_at, range(count))
    return ((in_pencil(draw(scene, STYLE_SIZE)), scene.caption) for scene in scenes)


def mixed(new: Frozen, old: Frozen, batch: int, moment: Moment) -> Batch:
    """A batch of new pages, and a part `OLD` of ordinary ones."""
    ordinary = round(OLD * batch)
    parts = new.pick(batch - ordinary, moment), old.pick(ordinary, moment)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def train_thing(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Teach the model in `out` the rocket; the LoRA goes to `adapters/rocket` beside `out`."""
    old = Frozen.load(out, work, pages)
    new = old.with_pages(rocket_pages(pages))
    batch_at = partial(mixed, new, old, recipe.batch)
    _train("rocket", old, batch_at, out, work, recipe, SIZE)


def train_style(out: Path, work: Path, recipe: Recipe = STYLE, pages: int = PAGES) -> None:
    """Teach the model in `out` to draw in pencil; the LoRA goes to `adapters/pencil` beside it."""
    old = Frozen.load(out, work, pages)
    new = old.with_pages(pencil_pages(pages))
    _train("pencil", old, partial(new.pick, recipe.batch), out, work, recipe, STYLE_SIZE)


def _train(
    name: str,
    frozen: Frozen,
    batch_at: Callable[[Moment], Batch],
    out: Path,
    work: Path,
    recipe: Recipe,
    size: int,
) -> None:
    pipeline = frozen.pipeline
    schedule = Schedule.of(pipeline.scheduler)
    objective = Adapted(pipeline.unet, schedule, frozen.no_caption)
    objective.to(memory_format=torch.channels_last)
    plan_for(PartialState().device).prepare(objective.unet)
    sample = partial(paint, pipeline=pipeline, size=size)
    trained = fit(objective, batch_at, recipe, work / name, sample)
    if PartialState().is_main_process:
        layers = get_peft_model_state_dict(trained.unet, adapter_name="new")
        save_lora(layers, out.parent / "adapters" / name)
