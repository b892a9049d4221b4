"""Compare solvers: how many steps does each need, and how much guidance can it take?

All of them start from the same noise and use the same U-Net.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler

from sdlearn._support.checked import checked
from sdlearn.evaluate.judge import Judge
from sdlearn.evaluate.samples import captions, generate, grain, shares, unseen_scenes, verdicts
from sdlearn.loading import Components

SOLVERS = {
    "PNDM, as Stable Diffusion 1.5 ships it": (
        PNDMScheduler,
        {"timestep_spacing": "leading", "set_alpha_to_one": False, "skip_prk_steps": True},
    ),
    "DDIM, trailing": (DDIMScheduler, {"timestep_spacing": "trailing", "set_alpha_to_one": True}),
    "DDIM, trailing, ending at t = 0": (
        DDIMScheduler,
        {"timestep_spacing": "trailing", "set_alpha_to_one": False},
    ),
    "DPM-Solver++ 2M, trailing": (DPMSolverMultistepScheduler, {"timestep_spacing": "trailing"}),
}
"""Each solver's class and its configuration; the noise schedule stays the model's."""

TRIALS = {
    "DDIM, trailing": ((10, 3, 1), (12, 3, 1), (12, 7.5, 1)),
    "DDIM, trailing, ending at t = 0": ((12, 3, 3),),
    "DPM-Solver++ 2M, trailing": ((12, 3, 3), (12, 7.5, 3)),
    "PNDM, as Stable Diffusion 1.5 ships it": ((25, 3, 3), (25, 7.5, 3)),
}
"""The steps and guidance to try with each solver, and a divisor for the number of prompts.

The solver that the model ships with, "DDIM, trailing", is tried on all prompts; the others are
tried on a third of them.
"""

HEAD = ("solver", "steps", "guidance", "prompts", "whole prompt right", "grain")


@checked
def with_solver(model: Components, name: str) -> Components:
    """The same model with another solver."""
    if name not in SOLVERS:
        raise ValueError(f"name: one of {', '.join(SOLVERS)}, got {name!r}")
    kind, changes = SOLVERS[name]
    return replace(model, scheduler=kind.from_config(model.scheduler.config, **changes))


def compare_solvers(model: Components, judge: Judge, count: int) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each trial, as soon as it is measured."""
    scenes = unseen_scenes(count, held_out=False)
    for name, trials in TRIALS.items():
        other = with_solver(model, name)
        for steps, guidance, part in trials:
            asked = scenes[: max(1, count // part)]
            pixels = generate(other, captions(asked), seed=0, steps=steps, guidance=guidance)
            whole = shares(verdicts(judge, asked, pixels))["whole"]
            yield (
                name,
                f"{steps}",
                f"{guidance:g}",
                f"{len(asked)}",
                f"{whole}",
                f"{grain(asked, pixels):.1f}",
            )
