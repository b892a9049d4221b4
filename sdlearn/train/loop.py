"""The one training loop that every part of the small model goes through, on 🤗 Accelerate.

A part gives an *objective* (a module whose forward takes a batch and returns its losses) and a function
from a step to a batch. Every step seeds its own random numbers, so a run that was killed goes on from its
last checkpoint exactly as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from tqdm.auto import tqdm

Batch = dict[str, torch.Tensor]


FEWEST = 4
"""Kernels to or from as few channels as a latent has are left to AdamW."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train. `batch` is for one process."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    seed: int = 0
    muon: bool = False
    """Muon for the kernels in place of AdamW."""


def fit(
    objective: torch.nn.Module,
    batch_at: Callable[[int, int], Batch],
    recipe: Recipe,
    work: Path,
    sample: Callable[[torch.nn.Module, Path], None] | None = None,
    save_every: int = 250,
) -> torch.nn.Module:
    """Train the objective and return it with its EMA weights in place.

    Args:
        batch_at: gives the batch of a step and a process, always the same for the same two numbers.
        work: folder for checkpoints, `log.jsonl` and sample pictures; a run found there is continued.
        sample: paints how far the training has come, into the file it is given.
    """
    accelerator = Accelerator()
    objective.to(accelerator.device)
    trained = [p for p in objective.parameters() if p.requires_grad]
    objective, *optimizers = accelerator.prepare(objective, *make_optimizers(trained, recipe))
    ema = EMAModel(trained, decay=recipe.ema_decay, use_ema_warmup=True, power=0.75, foreach=True)
    ema.to(accelerator.device)
    accelerator.register_for_checkpointing(ema)
    first = _resume(accelerator, work)
    steps = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, desc=work.name)
    steps.disable = not accelerator.is_main_process
    for step in steps:
        torch.manual_seed((recipe.seed * 1_000_003 + step) * 4096 + accelerator.process_index)
        batch = {
            name: value.to(accelerator.device) for name, value in batch_at(step, accelerator.process_index).items()
        }
        losses = objective(**batch)
        accelerator.backward(losses["loss"])
        accelerator.clip_grad_norm_(trained, recipe.clip_norm)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, recipe)
            optimizer.step()
            optimizer.zero_grad()
        ema.step(trained)
        done = step + 1
        if accelerator.is_main_process and (done % 25 == 0 or done == recipe.steps):
            _log(work, done, learning_rate_at(step, recipe), losses, steps)
        if done % save_every == 0 or done == recipe.steps:
            _save(accelerator, work, done)
            if sample and accelerator.is_main_process:
                _sample_with(ema, trained, lambda: sample(accelerator.unwrap_model(objective), work / "sample.png"))
    ema.copy_to(trained)
    return accelerator.unwrap_model(objective).eval()


def make_optimizers(trained: list[torch.nn.Parameter], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """AdamW for everything; or Muon for the kernels between hidden channels and AdamW for the rest."""
    shared = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    kernels = [p for p in trained if recipe.muon and p.ndim > 1 and min(p.shape[:2]) > FEWEST]
    rest = [p for p in trained if not any(p is kernel for kernel in kernels)]
    adamw = torch.optim.AdamW(rest, betas=(0.9, 0.99), fused=True, **shared)
    return [adamw, KernelMuon(kernels, adjust_lr_fn="match_rms_adamw", **shared)] if kernels else [adamw]


class KernelMuon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024), which takes matrices, for kernels of any rank: a row for each output channel.

    The matrices are views of the kernels, taken anew at every step: whoever prepares a model for several processes may
    have moved its numbers.
    """

    def __init__(self, kernels: list[torch.nn.Parameter], **options):
        self.kernels = kernels
        super().__init__([torch.nn.Parameter(as_matrix(kernel.data)) for kernel in kernels], **options)

    def step(self, closure=None):
        for matrix, kernel in zip(self.param_groups[0]["params"], self.kernels, strict=True):
            matrix.data = as_matrix(kernel.data)
            matrix.grad = None if kernel.grad is None else as_matrix(kernel.grad)
        return super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for kernel in self.kernels:
            kernel.grad = None
        super().zero_grad(set_to_none)


def as_matrix(kernel: torch.Tensor) -> torch.Tensor:
    """A kernel [out, in, ...] as a view [out, everything else], in the order in which it lies in memory."""
    if kernel.ndim > 2 and kernel.is_contiguous(memory_format=torch.channels_last):
        kernel = kernel.permute(0, 2, 3, 1)
    return kernel.view(len(kernel), -1)


def learning_rate_at(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _sample_with(ema: EMAModel, parameters: list[torch.nn.Parameter], paint: Callable[[], None]) -> None:
    """Paint with the averaged weights in place of the raw ones."""
    ema.store(parameters)
    ema.copy_to(parameters)
    with torch.no_grad():
        paint()
    ema.restore(parameters)


def _log(work: Path, step: int, rate: float, losses: Batch, bar: tqdm) -> None:
    values = {name: round(value.detach().float().mean().item(), 6) for name, value in losses.items()}
    if not math.isfinite(values["loss"]):
        raise FloatingPointError(f"the loss of {work.name} is {values['loss']} at step {step}")
    bar.set_postfix(values)
    with (work / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "learning_rate": rate, **values}) + "\n")


def _save(accelerator: Accelerator, work: Path, step: int) -> None:
    """Write a checkpoint beside the others under its final name only when it is whole; keep the last one."""
    unfinished = work / "unfinished"
    accelerator.wait_for_everyone()
    accelerator.save_state(str(unfinished))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        older = _checkpoints(work)
        final = work / f"step-{step:07d}"
        if final in older:
            shutil.rmtree(unfinished)
            return
        unfinished.rename(final)
        for folder in older:
            shutil.rmtree(folder)


def _resume(accelerator: Accelerator, work: Path) -> int:
    work.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:
        shutil.rmtree(work / "unfinished", ignore_errors=True)
    accelerator.wait_for_everyone()
    found = _checkpoints(work)
    if not found:
        return 0
    accelerator.load_state(str(found[-1]))
    return int(found[-1].name.removeprefix("step-"))


def _checkpoints(work: Path) -> list[Path]:
    return sorted(work.glob("step-*"))
