"""`python benchmarks/training.py`: one training step of the U-Net on one CPU thread, with each kind of attention.

bfloat16 by autocast, as the U-Net is trained on a CPU. Ratios are to the library's plain attention, in this run.
"""

from __future__ import annotations

import statistics
import time

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch.utils.flop_counter import FlopCounterMode

from sdlearn.train.unet import InCache, make, suit_bfloat16

KINDS = {"plain": AttnProcessor, "fused": AttnProcessor2_0, "in cache": InCache}


def step(unet: UNet2DConditionModel, side: int, batch: int) -> float:
    """Seconds for one step forth and back."""
    latents = torch.randn(batch, 4, side, side).contiguous(memory_format=torch.channels_last)
    t, states = torch.full((batch,), 500), torch.randn(batch, 77, unet.config.cross_attention_dim)
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        loss = unet(latents, t, states).sample.float().square().mean()
    loss.backward()
    return time.perf_counter() - start


def matrix_peak() -> float:
    """Multiplications and additions a second in a large bfloat16 matrix product: what this thread could do at most."""
    a, b = torch.randn(2, 2048, 2048, dtype=torch.bfloat16)
    times = []
    for _ in range(8):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def main() -> None:
    torch.set_num_threads(1)
    unet = make(128).to(memory_format=torch.channels_last)
    suit_bfloat16(unet)
    peak = matrix_peak()
    print(f"Matrix peak of one thread: {peak / 1e9:.0f} billion operations a second\n")
    print("| size | attention | ms a sample | samples a second | ratio | of the peak |\n|---|---|---|---|---|---|")
    for side, batch in ((32, 32), (64, 8)):
        found = {}
        for name, kind in KINDS.items():
            unet.set_attn_processor(kind())
            if name == "plain":  # the counter does not see into the fused kind, whose work is the same
                with FlopCounterMode(display=False) as counted:
                    step(unet, side, batch)
            step(unet, side, batch)
            seconds = statistics.median(step(unet, side, batch) for _ in range(4))
            found[name] = seconds / batch
            part = counted.get_total_flops() / seconds / peak
            ratio = found[name] / found["plain"]
            row = f"{1000 * found[name]:.1f} | {1 / found[name]:.1f} | {ratio:.2f} | {part:.0%}"
            print(f"| {8 * side}² | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
