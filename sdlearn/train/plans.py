"""The U-Net's stages: steps, batch and learning rate of each, on a CPU and on a GPU.

Only this module decides what differs between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from sdlearn.train.loop import Recipe


@dataclass(frozen=True)
class Plan:
    """The stages of training, by the size of their pictures, and settings that suit the machine."""

    stages: dict[int, Recipe]
    pages: dict[int, int]
    """How many pages to draw of each size."""
    prepare: Callable[[UNet2DConditionModel | ControlNetModel], None]
    """Makes a U-Net, or a copy of its encoder, faster, in place."""
    keep: Callable[[torch.Tensor, torch.device], torch.Tensor]
    """Puts the data that every step reads where they can be read fastest."""
    precision: str
    """Accelerate's name for the precision, unless `ACCELERATE_MIXED_PRECISION` is set."""


class InCache:
    """Attention computed a few heads at a time, so that their scores stay in the CPU's cache.

    The scores have the dtype of the queries. This is for training in bfloat16 on a CPU: a training
    step, forward and backward, is faster this way than with the scores of a whole batch at once
    (`benchmarks/training.py`). It supports no masks, and none of the library's options that this
    U-Net does not use.
    """

    SCORES = 2**20

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states=None,
        attention_mask=None,
    ):
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states) * attn.scale, attn.to_k(read), attn.to_v(read)
        q, k, v = (attn.head_to_batch_dim(states) for states in (q, k, v))
        few = max(1, self.SCORES // (q.shape[1] * k.shape[1]))
        with torch.autocast(q.device.type, enabled=False):
            parts = zip(q.split(few), k.split(few), v.split(few), strict=True)
            mixed = torch.cat([(q @ k.transpose(1, 2)).softmax(dim=-1) @ v for q, k, v in parts])
        return attn.to_out[0](attn.batch_to_head_dim(mixed))


def suit_bfloat16(unet: UNet2DConditionModel | ControlNetModel) -> None:
    """Make bfloat16 faster on a CPU, forward and backward: attention in cache, norms in float32."""
    unet.set_attn_processor(InCache())
    for module in unet.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def compile_for_each_size(network: torch.nn.Module) -> None:
    """Compile one graph for each size of latents, with norms fused into the operations around them.

    Without this, autocast's norms in float32 make training several times slower.
    """
    network.compile(dynamic=False, backend=BACKEND)


def compile_on_gpu(network: torch.nn.Module, device: torch.device) -> None:
    """Compile a network that needs nothing else to be fast; on a CPU, leave it as it is."""
    if device.type == "cuda":
        compile_for_each_size(network)


BACKEND = "inductor"
"""The backend of `torch.compile`."""


def stay(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Leave the values where they are."""
    return values


def move_if_it_fits(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Move values to the GPU if they take at most half of its free memory.

    Otherwise they stay where they are, and every batch is fetched from there.
    """
    free, _ = torch.cuda.mem_get_info(device)
    return values.to(device) if values.nbytes <= free / 2 else values


ON_CPU = Plan(
    stages={
        128: Recipe(steps=2000, batch=32, learning_rate=1e-3, warmup=200, muon=True),
        256: Recipe(steps=6000, batch=32, learning_rate=1e-3, muon=True),
        512: Recipe(steps=6000, batch=10, learning_rate=8e-4, warmup=50, muon=True),
    },
    pages={128: 16_000, 256: 24_000, 512: 8_000},
    prepare=suit_bfloat16,
    keep=stay,
    precision="no",
)
"""For each of two processes.

On two cores, two processes with one thread each train faster than one process with two threads.
"""

ON_GPU = Plan(
    stages={
        128: Recipe(1000, 4096, 1.2e-3, warmup=150, ema_decay=0.9995, muon=True),
        256: Recipe(3000, 2048, 1.2e-3, warmup=150, ema_decay=0.9995, muon=True),
        512: Recipe(8700, 512, 1.2e-3, warmup=150, ema_decay=0.9995, muon=True),
    },
    pages={128: 64_000, 256: 64_000, 512: 48_000},
    prepare=compile_for_each_size,
    keep=move_if_it_fits,
    precision="bf16",
)
"""For one GPU with 80 GB of memory.

The shipped weights were trained with the last stage. The two stages before it are needed to train
from scratch; they are the CPU's stages with larger batches, and have not been run.
"""


def plan_for(device: torch.device) -> Plan:
    """How to train on this kind of device."""
    return ON_GPU if device.type == "cuda" else ON_CPU
