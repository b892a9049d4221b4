"""The one training loop, on 🤗 Accelerate, that every part of the small model uses.

A part provides an *objective* (a module whose forward takes a batch and returns its losses) and a
function that makes the batch for a given moment. Every step seeds its own random numbers, so a run
that was killed continues from its last checkpoint exactly as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from diffusers.training_utils import EMAModel
from tqdm.auto import tqdm

Batch = dict[str, torch.Tensor]


FEWEST = 4
"""AdamW trains kernels with at most this many input or output channels: those of a latent."""
EAGER = 5.0
"""By how much the learning rate of `eager` parameters exceeds the recipe's."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train. `batch` is the batch of one process."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    seed: int = 0
    muon: bool = False
    """Train the kernels with Muon instead of AdamW."""
    minutes: float | None = None
    """Train for this long, whatever `steps` says.

    The learning rate then also follows the clock, and no two runs are the same bit for bit.
    """


@dataclass(frozen=True)
class Moment:
    """How far training has come, in one of its processes."""

    step: int
    process: int
    progress: float
    """From 0 at the start to 1 at the end."""


class Clock:
    """Measures progress in steps or in minutes. Checkpoints save the time used so far."""

    UNTIMED = 2
    """How many steps after each start are not timed: they also compile."""

    def __init__(self, recipe: Recipe):
        self.recipe, self.before, self.start, self.seen = recipe, 0.0, None, 0

    def progress(self, step: int) -> float:
        """The part of training that is done, from 0 to 1. Call it once before every step."""
        if self.recipe.minutes is None:
            return min(1.0, step / self.recipe.steps)
        if self.seen == self.UNTIMED:
            self.start = time.monotonic()
        self.seen += 1
        return min(1.0, self._seconds() / (60 * self.recipe.minutes))

    def _seconds(self) -> float:
        return self.before + (0.0 if self.start is None else time.monotonic() - self.start)

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self._seconds()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.before = state["seconds"]


def fit(
    objective: torch.nn.Module,
    batch_at: Callable[[Moment], Batch],
    recipe: Recipe,
    work: Path,
    sample: Callable[[torch.nn.Module, Path], None] | None = None,
    save_every: int = 250,
    eager: Sequence[torch.nn.Parameter] = (),
) -> torch.nn.Module:
    """Train the objective and return it with its EMA weights in place.

    Args:
        batch_at: makes the batch for a moment, always the same batch for the same moment; the
            global random numbers are seeded before the call.
        work: folder for checkpoints, `log.jsonl` and sample pictures; if it already holds a run,
            that run is continued.
        sample: paints a picture that shows the progress so far, into the file it is given.
        eager: parameters that AdamW trains with `EAGER` times the learning rate.
    """
    accelerator = Accelerator()
    objective.to(accelerator.device)
    trained = [p for p in objective.parameters() if p.requires_grad]
    objective, *optimizers = accelerator.prepare(
        objective, *make_optimizers(trained, recipe, eager)
    )
    ema = EMAModel(trained, decay=recipe.ema_decay, use_ema_warmup=True, power=0.75, foreach=True)
    ema.to(accelerator.device)
    clock = Clock(recipe)
    accelerator.register_for_checkpointing(ema, clock)

    def save() -> None:
        _save(accelerator, work, step)
        if sample and accelerator.is_main_process:
            _sample_with(
                ema,
                trained,
                lambda: sample(accelerator.unwrap_model(objective), work / "sample.png"),
            )

    step = first = _resume(accelerator, work)
    bar = tqdm(initial=first, total=None if recipe.minutes else recipe.steps, desc=work.name)
    bar.disable = not accelerator.is_main_process
    while (progress := _agreed(clock.progress(step), recipe)) < 1:
        torch.manual_seed((recipe.seed * 1_000_003 + step) * 4096 + accelerator.process_index)
        batch = batch_at(Moment(step, accelerator.process_index, progress))
        losses = objective(**{name: value.to(accelerator.device) for name, value in batch.items()})
        accelerator.backward(losses["loss"])
        accelerator.clip_grad_norm_(trained, recipe.clip_norm)
        rate = learning_rate_at(step, progress, recipe)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("times", 1.0)
            optimizer.step()
            optimizer.zero_grad()
        ema.step(trained)
        step += 1
        bar.update()
        if accelerator.is_main_process and step % 25 == 0:
            _log(work, step, rate, losses, bar)
        if step % save_every == 0:
            save()
    bar.close()
    if step > first:
        if accelerator.is_main_process and step % 25:
            _log(work, step, rate, losses, bar)
        if step % save_every:
            save()
    ema.copy_to(trained)
    return accelerator.unwrap_model(objective).eval()


def _agreed(progress: float, recipe: Recipe) -> float:
    """The first process's progress if training runs by the clock, else the process's own.

    All processes have to stop after the same step.
    """
    said = [progress]
    if recipe.minutes is not None:
        broadcast_object_list(said)
    return said[0]


def make_optimizers(
    trained: list[torch.nn.Parameter],
    recipe: Recipe,
    eager: Sequence[torch.nn.Parameter] = (),
) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for kernels between hidden channels and AdamW for the rest.

    The group of `eager` parameters has the factor `times` for its learning rate.
    """
    shared = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    fast = {id(parameter) for parameter in eager}
    calm = [p for p in trained if id(p) not in fast]
    kernels = [p for p in calm if recipe.muon and p.ndim > 1 and min(p.shape[:2]) > FEWEST]
    rest = [p for p in calm if not any(p is kernel for kernel in kernels)]
    groups = [{"params": rest}, {"params": list(eager), "times": EAGER}]
    adamw = torch.optim.AdamW(groups[: 2 if eager else 1], betas=(0.9, 0.99), fused=True, **shared)
    return [adamw, KernelMuon(kernels, **shared)] if kernels else [adamw]


class KernelMuon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024), extended from matrices to kernels of any rank.

    A kernel becomes a matrix with a row for each output channel. Matrices of the same shape are
    orthogonalised together, in one batched product instead of many small ones. The matrices are
    views of the kernels and are made again at every step, because preparing a model for several
    processes may move its parameters in memory.
    """

    def __init__(self, kernels: list[torch.nn.Parameter], **options):
        self.kernels = kernels
        super().__init__(
            [torch.nn.Parameter(as_matrix(kernel.data)) for kernel in kernels], **options
        )

    @torch.no_grad()
    def step(self, closure=None):
        (group,) = self.param_groups
        alike = defaultdict(list)
        for matrix, kernel in zip(group["params"], self.kernels, strict=True):
            matrix.data = as_matrix(kernel.data)
            if kernel.grad is not None:
                alike[matrix.shape].append((matrix, as_matrix(kernel.grad)))
        for shape, pairs in alike.items():
            matrices, gradients = zip(*pairs, strict=True)
            averages = [self._average(matrix) for matrix in matrices]
            torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
            # Nesterov momentum
            ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
            turned = orthogonal(
                torch.stack(ahead), group["ns_coefficients"], group["ns_steps"], group["eps"]
            )
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            # as large as AdamW's steps (Liu et al. 2025, Section 2.2)
            size = 0.2 * math.sqrt(max(shape))
            torch._foreach_add_(
                matrices, turned.to(matrices[0].dtype).unbind(), alpha=-group["lr"] * size
            )

    def _average(self, matrix: torch.Tensor) -> torch.Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        return state["momentum_buffer"]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for kernel in self.kernels:
            kernel.grad = None
        super().zero_grad(set_to_none)


def orthogonal(
    matrices: torch.Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> torch.Tensor:
    """Bring all singular values of matrices [k, m, n] close to 1.

    This is the Newton–Schulz iteration, computed in bfloat16.
    """
    a, b, c = coefficients
    x = matrices.bfloat16()
    if high := x.shape[1] > x.shape[2]:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if high else x


def as_matrix(kernel: torch.Tensor) -> torch.Tensor:
    """View a kernel [out, in, ...] as a matrix [out, everything else], in memory order."""
    if kernel.ndim > 2 and kernel.is_contiguous(memory_format=torch.channels_last):
        kernel = kernel.permute(0, 2, 3, 1)
    return kernel.view(len(kernel), -1)


def learning_rate_at(step: int, progress: float, recipe: Recipe) -> float:
    """A linear warm-up, times a cosine that falls to zero."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))


def _sample_with(
    ema: EMAModel, parameters: list[torch.nn.Parameter], paint: Callable[[], None]
) -> None:
    """Paint with the averaged weights instead of the raw ones, without compiling anything."""
    ema.store(parameters)
    ema.copy_to(parameters)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        paint()
    ema.restore(parameters)


def _log(work: Path, step: int, rate: float, losses: Batch, bar: tqdm) -> None:
    values = {
        name: round(value.detach().float().mean().item(), 6) for name, value in losses.items()
    }
    if not math.isfinite(values["loss"]):
        raise FloatingPointError(f"the loss of {work.name} is {values['loss']} at step {step}")
    bar.set_postfix(values)
    with (work / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "learning_rate": rate, **values}) + "\n")


def _save(accelerator: Accelerator, work: Path, step: int) -> None:
    """Write a checkpoint, give it its final name once it is complete, then delete older ones."""
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
    saved = _checkpoints(work)
    if not saved:
        return 0
    accelerator.load_state(str(saved[-1]))
    return int(saved[-1].name.removeprefix("step-"))


def _checkpoints(work: Path) -> list[Path]:
    return sorted(work.glob("step-*"))
