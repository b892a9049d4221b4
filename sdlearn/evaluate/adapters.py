"""Adapters: how much of a prompt is right after so many calls of the U-Net."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from diffusers import LCMScheduler

from sdlearn.adapters import ADAPTERS, with_lora
from sdlearn.evaluate.judge import Judge
from sdlearn.evaluate.samples import captions, generate, grain, shares, unseen_scenes, verdicts
from sdlearn.loading import Components

FEW_STEPS = ADAPTERS / "few-steps"
SIZE = 256
HEAD = ("drawn with", "steps", "guidance", "calls", "prompts", "whole prompt right", "grain")


def with_few_steps(model: Components, folder: Path = FEW_STEPS) -> Components:
    """The model with the LoRA that draws in few calls, and the scheduler for it.

    Guidance is baked in: draw with guidance 1. The model that was given stays as it is.

    Raises:
        FileNotFoundError: there is no LoRA; `python -m sdlearn.train few-steps` makes one.
        ValueError: it was made for another U-Net.
    """
    few = with_lora(model, folder)
    return replace(
        few,
        scheduler=LCMScheduler.from_config(model.scheduler.config),
        default_steps=4,
        default_guidance=1.0,
    )


def compare_few_steps(
    model: Components, few: Components, judge: Judge, count: int
) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each trial, as soon as it is measured."""
    scenes = unseen_scenes(count, held_out=False)
    trials = [("the model", model, steps, model.default_guidance) for steps in (2, 4, 8, 12)]
    trials += [("the model without guidance", model, steps, 1.0) for steps in (1, 2, 4, 8)]
    trials += [("the model with the LoRA", few, steps, 1.0) for steps in (1, 2, 4, 8)]
    for name, drawing, steps, guidance in trials:
        pixels = generate(
            drawing, captions(scenes), seed=0, size=SIZE, steps=steps, guidance=guidance
        )
        yield (
            name,
            f"{steps}",
            f"{guidance:g}",
            f"{steps * (1 if guidance == 1 else 2)}",
            f"{len(scenes)}",
            f"{shares(verdicts(judge, scenes, pixels))['whole']}",
            f"{grain(scenes, pixels):.1f}",
        )
