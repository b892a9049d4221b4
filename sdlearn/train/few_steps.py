"""Distilling guided DDIM into a LoRA that draws in one to four calls: LCM-LoRA.

Luo et al. 2023, *Latent Consistency Models*, Algorithm 1, and Luo et al. 2023, *LCM-LoRA*. The
teacher is the U-Net itself. It takes one step of DDIM with guidance; from both ends of that step
the student, the same U-Net with the LoRA, must see the same picture x̂₀. Guidance is baked in: the
student is called once a step, without the empty prompt.
"""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import LCMScheduler, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict

from sdlearn.noising import Schedule
from sdlearn.train.adapters import ALL_LAYERS, SIZE, Frozen, save_lora
from sdlearn.train.loop import Batch, Recipe, fit
from sdlearn.train.plans import plan_for
from sdlearn.train.unet import paint

RECIPE = Recipe(steps=1500, batch=16, learning_rate=1e-3, warmup=50, weight_decay=0.0)
PAGES = 6_000
RANK = 32
STRIDE = 100
"""How many timesteps the teacher's step goes down.

What the student learns near the picture is passed on step by step until it reaches pure noise, here
in ten steps. Longer steps need fewer, but follow the path less closely.
"""
GUIDANCE = 5.0
HUBER = 1e-3
"""Pseudo-Huber loss: errors much smaller than this count squared, larger ones by their size."""


class Consistency(torch.nn.Module):
    """Both ends of one step of the teacher's must lead the student to the same x̂₀."""

    def __init__(self, unet: UNet2DConditionModel, schedule: Schedule, no_caption: torch.Tensor):
        super().__init__()
        self.teacher = copy.deepcopy(unet).requires_grad_(False)
        self.unet = unet.requires_grad_(False)
        self.unet.add_adapter(
            LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(ALL_LAYERS)), "few_steps"
        )
        # one more value at the end, for "before the first step": a picture without noise
        alpha_bars = torch.cat([schedule.alpha_bars, torch.ones(1)])
        self.register_buffer("signal", alpha_bars.sqrt(), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bars).sqrt(), persistent=False)
        self.register_buffer("no_caption", no_caption, persistent=False)

    def forward(self, mean: torch.Tensor, spread: torch.Tensor, states: torch.Tensor) -> Batch:
        latents = mean + spread * torch.randn_like(mean)
        noise = torch.randn_like(latents)
        t = torch.randint(len(self.signal) - 1, (len(latents),), device=latents.device)
        before = (t - STRIDE).clamp(min=-1)  # -1, the extra value, stands for no noise
        signal, sigma = self.rates(t)
        noisy = signal * latents + sigma * noise
        with torch.no_grad():
            nearer = self.teachers_step(noisy, t, before, states)
            target = self.clean(nearer, before, states)
        error = self.clean(noisy, t, states) - target
        return {"loss": ((error.square() + HUBER**2).sqrt() - HUBER).mean()}

    def rates(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.signal[t, None, None, None], self.sigma[t, None, None, None]

    def teachers_step(
        self, noisy: torch.Tensor, t: torch.Tensor, before: torch.Tensor, states: torch.Tensor
    ) -> torch.Tensor:
        """One step of DDIM with guidance (Song et al. 2021, Eq. 12 with η = 0)."""
        both = torch.cat([self.no_caption.expand_as(states), states])
        unconditional, text = self.teacher(
            noisy.repeat(2, 1, 1, 1), t.repeat(2), both
        ).sample.chunk(2)
        predicted = unconditional + GUIDANCE * (text - unconditional)
        signal, sigma = self.rates(t)
        clean = (noisy - sigma * predicted) / signal
        signal, sigma = self.rates(before)
        return signal * clean + sigma * predicted

    def clean(self, noisy: torch.Tensor, t: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """The student's x̂₀. Without noise (t = -1) it is the input, whatever the network says.

        The paper blends the two over all t; we switch.
        """
        signal, sigma = self.rates(t)
        predicted = self.unet(noisy, t.clamp(min=0), states).sample
        return (noisy - sigma * predicted) / signal


def train(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Train the LoRA on the model in `out`, and save it in `adapters/few-steps` beside `out`."""
    frozen = Frozen.load(out, work, pages)
    pipeline = frozen.pipeline
    objective = Consistency(pipeline.unet, Schedule.of(pipeline.scheduler), frozen.no_caption)
    objective.to(memory_format=torch.channels_last)
    for unet in (objective.unet, objective.teacher):
        plan_for(PartialState().device).prepare(unet)
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    sample = partial(paint, pipeline=pipeline, size=SIZE, steps=4, guidance=1.0)
    trained = fit(objective, partial(frozen.pick, recipe.batch), recipe, work / "few-steps", sample)
    if PartialState().is_main_process:
        layers = get_peft_model_state_dict(trained.unet, adapter_name="few_steps")
        save_lora(layers, out.parent / "adapters" / "few-steps")
