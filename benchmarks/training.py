"""`python benchmarks/training.py`: one training step of the U-Net on one CPU thread, with each kind of attention.

bfloat16 by autocast, as the U-Net is trained on a CPU. Ratios are to the library's plain attention, in this run.
"""

from __future__ import annotations

import statistics
import time

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

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


def main() -> None:
    torch.set_num_threads(1)
    unet = make(128).to(memory_format=torch.channels_last)
    suit_bfloat16(unet)
    print("one training step     ms a sample   ratio")
    for side, batch in ((32, 32), (64, 8)):
        found = {}
        for name, kind in KINDS.items():
            unet.set_attn_processor(kind())
            found[name] = statistics.median(step(unet, side, batch) for _ in range(4)) / batch
            print(f"{8 * side}², {name:<14} {1000 * found[name]:10.1f} {found[name] / found['plain']:9.2f}")


if __name__ == "__main__":
    main()
