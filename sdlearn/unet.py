"""Inside the U-Net: its time embedding, the shapes along the way, where its parameters are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from numbers import Real as RealNumber

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Real
from torch import Tensor, nn

from sdlearn._support.arguments import number, single
from sdlearn._support.checked import checked
from sdlearn._support.hooks import of_this_thread
from sdlearn._support.wrapping import uncompiled, unwrapped

PARTS = {
    "conv_in": "input",
    "time_proj": "time",
    "time_embedding": "time",
    "down_blocks": "down",
    "mid_block": "middle",
    "up_blocks": "up",
    "conv_norm_out": "output",
    "conv_out": "output",
}


@dataclass(frozen=True)
class Stop:
    """One block on the way through the U-Net; `before` and `after` are shapes without the batch."""

    name: str
    part: str
    kind: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    parameters: int

    def __str__(self) -> str:
        before, after = ("×".join(map(str, shape)) for shape in (self.before, self.after))
        return f"{self.name:<28} {self.kind:<20} {before:>11} → {after:<11} {self.parameters:>10,}"


@checked
def time_embedding(
    unet: UNet2DConditionModel, t: Real[Tensor, "n"]
) -> tuple[Float[Tensor, "n sinusoids"], Float[Tensor, "n width"]]:
    """t as sinusoids (Vaswani et al. 2017, Section 3.5), then as the vector for the ResNet blocks.

    Every ResNet block gets the same vector.
    """
    sinusoids = unet.time_proj(t.to(unet.device)).to(unet.dtype)  # [n, the first block's channels]
    with torch.no_grad():
        return sinusoids, unet.time_embedding(sinusoids)  # [n, width of the embedding]


@checked
def tour(
    unet: UNet2DConditionModel,
    latents: Float[Tensor, "n c h w"],
    t: float | Real[Tensor, ""] | Real[Tensor, "m"],
    states: Float[Tensor, "n positions width"],
) -> Iterator[Stop]:
    """Run the U-Net once and yield its blocks in the order in which they were computed."""
    config = unwrapped(unet).config
    if latents.shape[1] != config.in_channels:
        raise ValueError(
            f"latents: shape [n, {config.in_channels}, h, w], got {tuple(latents.shape)}"
        )
    if states.shape[2] != config.cross_attention_dim:
        raise ValueError(
            f"states: shape [n, positions, {config.cross_attention_dim}], got {tuple(states.shape)}"
        )
    if isinstance(single(t), RealNumber):
        number("t", t, 0, 10**6)
    seen: list[Stop] = []

    def note(name: str, module: nn.Module, args: tuple, output) -> None:
        after = output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
        count = sum(p.numel() for p in module.parameters())
        part = PARTS[name.split(".")[0]]
        seen.append(Stop(name, part, type(module).__name__, _shape(args[0]), _shape(after), count))

    with torch.no_grad(), uncompiled(unet), ExitStack() as hooks:
        for name, module in _blocks(unwrapped(unet)):
            handle = module.register_forward_hook(of_this_thread(partial(note, name)))
            hooks.callback(handle.remove)
        target = unwrapped(unet).device, unwrapped(unet).dtype
        unet(latents.to(*target), t, states.to(*target))
    yield from seen


def _blocks(unet: UNet2DConditionModel) -> Iterator[tuple[str, nn.Module]]:
    """The U-Net's layers before and after its blocks, and what the blocks consist of."""
    for name, part in unet.named_children():
        if not isinstance(part, nn.ModuleList) and name != "mid_block":
            yield from [(name, part)] if name in PARTS else []
            continue
        for path, module in part.named_modules():
            # "0.resnets.1" is wanted, but not "0.resnets.1.conv1"
            if path.split(".")[-2:-1] and path.split(".")[-2] in (
                "resnets",
                "attentions",
                "downsamplers",
                "upsamplers",
            ):
                yield f"{name}.{path}", module


def _shape(states: Tensor) -> tuple[int, ...]:
    return tuple(states.shape[1:])


@checked
@contextmanager
def without_skips(unet: UNet2DConditionModel, up_blocks: Collection[int]) -> Iterator[None]:
    """Inside the `with` block, the skip connections into these up blocks carry only zeros.

    Up blocks are counted from the middle, starting at 0.

    Raises:
        ValueError: the U-Net does not have such an up block.
    """

    def cut(module: nn.Module, args: tuple, kwargs: dict) -> tuple:
        # zeros of the same shape, because the block concatenates the skips to its input
        skips = tuple(torch.zeros_like(skip) for skip in kwargs["res_hidden_states_tuple"])
        return args, {**kwargs, "res_hidden_states_tuple": skips}

    inner = unwrapped(unet)
    missing = set(up_blocks) - set(range(len(inner.up_blocks)))
    if missing:
        raise ValueError(f"up_blocks: from 0 to {len(inner.up_blocks) - 1}, got {sorted(missing)}")
    with uncompiled(unet), ExitStack() as hooks:
        for index in up_blocks:
            hooks.callback(
                inner.up_blocks[index]
                .register_forward_pre_hook(of_this_thread(cut), with_kwargs=True)
                .remove
            )
        yield


LAYER_KINDS = {
    "resnets": "ResNet blocks",
    "attn1": "self-attention",
    "attn2": "cross-attention",
    "ff": "feed-forward",
    "downsamplers": "down- and upsampling",
    "upsamplers": "down- and upsampling",
}


@checked
def parameters_by_kind(unet: nn.Module) -> dict[str, int]:
    """How many parameters each kind of layer has."""
    counts = dict.fromkeys([*LAYER_KINDS.values(), "everything else"], 0)
    for name, parameter in unwrapped(unet).named_parameters():
        kind = next(
            (LAYER_KINDS[part] for part in name.split(".") if part in LAYER_KINDS),
            "everything else",
        )
        counts[kind] += parameter.numel()
    return counts
