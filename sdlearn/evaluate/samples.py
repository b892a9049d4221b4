"""The scenes that a model is tested on, its pictures of them, and how much of these is right."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from tqdm.auto import tqdm

from sdlearn._support.share import Share, share_of
from sdlearn.compression import decode
from sdlearn.evaluate.judge import Judge, Reading, Verdict, verdict_on
from sdlearn.images import to_pixels
from sdlearn.loading import Components
from sdlearn.picturebook.drawing import draw_array
from sdlearn.picturebook.pages import TEST, scene_at
from sdlearn.picturebook.scenes import GROUND_KINDS, Scene, compose
from sdlearn.pipeline import text_to_latents

AT_ONCE = 4
"""How many pictures are drawn in one batch."""
SKY = 0.045
"""The fraction of a page, from the top, that no cloud, sun, moon or star of a backdrop reaches."""


def unseen_scenes(count: int, held_out: bool) -> list[Scene]:
    """Pages of the test book, from page 1000 on; held-out ones if asked for."""
    return [scene_at(page, TEST, held_out) for page in range(1000, 1000 + count)]


def drawn(scenes: Iterable[Scene], size: int) -> torch.Tensor:
    """The scenes, drawn by the picture book: pixels [n, 3, size, size] in [-1, 1]."""
    return to_pixels(np.stack([draw_array(scene, size) for scene in scenes]))


def captions(scenes: Iterable[Scene]) -> list[str]:
    """The captions of the scenes, in the same order."""
    return [scene.caption for scene in scenes]


def generate(model: Components, prompts: list[str], seed: int, **options) -> torch.Tensor:
    """One picture for each prompt: float32 [n, 3, height, width] on the CPU.

    options: size, steps and guidance as in `sdlearn.text_to_image`; by default the model's own.
    """
    pixels = []
    for first in tqdm(
        range(0, len(prompts), AT_ONCE), desc=f"drawing {len(prompts)} prompts", delay=60
    ):
        for step in text_to_latents(
            model, prompts[first : first + AT_ONCE], seed=seed + first, **options
        ):
            last = step
        pixels += [decode(model.vae, z).float().cpu() for z in last.latents.split(1)]
    return torch.cat(pixels)


def as_pipeline(model: Components) -> StableDiffusionPipeline:
    """The model's parts in diffusers' own pipeline, without progress bars."""
    parts = (model.vae, model.text_encoder, model.tokenizer, model.unet, model.scheduler)
    pipeline = StableDiffusionPipeline(*parts, None, None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate_by_diffusers(model: Components, prompts: list[str], seed: int) -> torch.Tensor:
    """The same with diffusers' own pipeline at its defaults: only prompt and noise are set."""
    return draw_with(as_pipeline(model), prompts, seed)


def draw_with(
    pipeline: DiffusionPipeline, prompts: list[str], seed: int, **options
) -> torch.Tensor:
    """One picture for each prompt by a pipeline of diffusers: float32 [n, 3, h, w], on the CPU.

    options: as the pipeline's call takes them.
    """
    pixels = []
    for first in tqdm(
        range(0, len(prompts), AT_ONCE),
        desc=f"drawing {len(prompts)} prompts by diffusers",
        delay=60,
    ):
        noise = torch.Generator().manual_seed(seed + first)
        some = prompts[first : first + AT_ONCE]
        made = pipeline(some, generator=noise, output_type="pt", **options).images
        pixels.append(made.float().cpu() * 2 - 1)
    return torch.cat(pixels)


def readings(judge: Judge, pixels: torch.Tensor) -> list[Reading]:
    """What the judge reads in each of many pictures, 16 at a time."""
    return [reading for piece in pixels.split(16) for reading in judge.read(piece)]


def verdicts(judge: Judge, scenes: list[Scene], pixels: torch.Tensor) -> list[Verdict]:
    """What is right in each picture, as the judge reads it."""
    pairs = zip(scenes, readings(judge, pixels), strict=True)
    return [verdict_on(scene, *reading) for scene, reading in pairs]


# --- figures --------------------------------------------------------------------------------------


def shares(verdicts: list[Verdict]) -> dict[str, Share]:
    """The share of right answers, for each part of the prompts."""
    return {
        "setting": share_of(verdict.setting for verdict in verdicts),
        "kind": share_of(right for verdict in verdicts for right in verdict.kinds),
        "colour": share_of(right for verdict in verdicts for right in verdict.colours),
        "relation": share_of(
            verdict.relation for verdict in verdicts if verdict.relation is not None
        ),
        "nothing else": share_of(verdict.nothing_else for verdict in verdicts),
        "whole": share_of(verdict.whole for verdict in verdicts),
    }


def whole_by_count(scenes: list[Scene], verdicts: list[Verdict]) -> dict[int, Share]:
    """The share of prompts drawn entirely right, for prompts with one, two and three things."""
    pairs = list(zip(scenes, verdicts, strict=True))
    return {
        count: share_of(verdict.whole for scene, verdict in pairs if len(scene.things) == count)
        for count in (1, 2, 3)
    }


def grain(scenes: list[Scene], pixels: torch.Tensor) -> float:
    """How rough the top of the sky is, in grey levels of 255; on the pages it is smooth.

    This is the standard deviation of the grey values along each row, averaged over the pictures
    whose prompt asks for nothing in the sky.
    """
    empty = [all(thing.kind in GROUND_KINDS for thing in scene.things) for scene in scenes]
    if not any(empty):
        return float("nan")
    grey = (pixels[torch.tensor(empty)].clamp(-1, 1).mean(dim=1) + 1) * 127.5
    sky = grey[:, : int(SKY * grey.shape[1])]
    return (sky - sky.mean(dim=2, keepdim=True)).square().mean(dim=(1, 2)).sqrt().mean().item()


def variety(scenes: list[Scene], first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean distance between two samples of a prompt, divided by that between two drawings of it."""
    size = first.shape[-1]
    again = [[_redrawn(scene, seed) for scene in scenes] for seed in (1, 2)]
    by_hand = (drawn(again[0], size) - drawn(again[1], size)).abs().mean()
    return ((first - second).abs().mean() / by_hand).item()


def _redrawn(scene: Scene, seed: int) -> Scene:
    things = [(thing.colour, thing.kind) for thing in scene.things]
    return compose(
        things,
        scene.setting,
        scene.relation,
        rng=np.random.default_rng((5, seed, int(scene.things[0].x * 1e9))),
    )
