"""`python benchmarks/training.py`: the latents a second that the U-Net is trained on.

It takes whole steps, optimizer included, as `python -m sdlearn.train unet` does on this kind of
machine: on a GPU with a compiled graph for each size, on a CPU in one process of one thread. On a
CPU it also takes one step with each kind of attention, forward and backward; ratios are to the
library's plain attention, in this run. The type is bfloat16, by autocast.
"""

from __future__ import annotations

from functools import partial

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from stopwatch import once, seconds
from torch.utils.flop_counter import FlopCounterMode

from sdlearn.loading import best_device
from sdlearn.noising import Schedule
from sdlearn.train.loop import make_optimizers
from sdlearn.train.plans import InCache, plan_for, suit_bfloat16
from sdlearn.train.unet import Objective, make, make_scheduler

WIDTH = 128
KINDS = {"plain": AttnProcessor, "fused": AttnProcessor2_0, "in cache": InCache}


def step(unet: UNet2DConditionModel, side: int, batch: int) -> None:
    """One step, forward and backward."""
    latents = torch.randn(batch, 4, side, side).contiguous(memory_format=torch.channels_last)
    t, states = torch.full((batch,), 500), torch.randn(batch, 77, unet.config.cross_attention_dim)
    with torch.autocast("cpu", torch.bfloat16):
        loss = unet(latents, t, states).sample.float().square().mean()
    loss.backward()


def matrix_peak() -> float:
    """Operations a second in a large bfloat16 matrix product: the most this thread can do."""
    a, b = torch.randn(2, 2048, 2048, dtype=torch.bfloat16)
    return 2 * 2048**3 / min(once(lambda: a @ b) for _ in range(8))


def compare_attention() -> None:
    """One step with each kind of attention, on one thread of a CPU."""
    unet = make(WIDTH).to(memory_format=torch.channels_last)
    suit_bfloat16(unet)
    peak = matrix_peak()
    print(f"Matrix peak of one thread: {peak / 1e9:.0f} billion operations a second\n")
    print(
        "| size | attention | ms a sample | samples a second | ratio | of the peak "
        "|\n|---|---|---|---|---|---|"
    )
    for side, batch in ((32, 32), (64, 8)):
        of_sample = {}
        for name, kind in KINDS.items():
            unet.set_attn_processor(kind())
            if name == "plain":  # the counter cannot see into fused attention: the same work
                with FlopCounterMode(display=False) as counted:
                    step(unet, side, batch)
            took = seconds(partial(step, unet, side, batch), 4)
            of_sample[name] = took / batch
            part = counted.get_total_flops() / took / peak
            ratio = of_sample[name] / of_sample["plain"]
            row = f"{1000 * took / batch:.1f} | {batch / took:.1f} | {ratio:.2f} | {part:.0%}"
            print(f"| {8 * side}² | {name} | {row} |", flush=True)
    print()


def whole_steps(device: torch.device, count: int = 6) -> None:
    """Latents a second, by this kind of machine's recipe, without the first two steps of a size."""
    plan = plan_for(device)
    recipe = plan.stages[512]
    unet = make(WIDTH)
    states = torch.randn(77, WIDTH)
    objective = Objective(unet, Schedule.of(make_scheduler()), states).to(
        device, memory_format=torch.channels_last
    )
    plan.prepare(unet)
    optimizers = make_optimizers([*objective.parameters()], recipe)
    print("| size | latents in a step | seconds a step | latents a second |\n|---|---|---|---|")
    for size, batch in ((512, recipe.batch), (256, 4 * recipe.batch)):
        mean = torch.randn(batch, 4, size // 8, size // 8, device=device)
        mean = mean.contiguous(memory_format=torch.channels_last)
        read = states.to(device).expand(batch, -1, -1)
        work = partial(whole_step, objective, optimizers, mean, read)
        work()  # the second one may still compile
        took = seconds(work, count)
        print(f"| {size}² | {batch} | {took:.2f} | {batch / took:.0f} |", flush=True)


def whole_step(
    objective: Objective, optimizers: list, mean: torch.Tensor, read: torch.Tensor
) -> None:
    with torch.autocast(mean.device.type, torch.bfloat16):
        loss = objective(mean, mean.abs(), read)["loss"]
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    device = best_device()
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name(device)}\n")
    else:
        device = torch.device("cpu")
        torch.set_num_threads(1)
        compare_attention()
    whole_steps(device)


if __name__ == "__main__":
    main()
