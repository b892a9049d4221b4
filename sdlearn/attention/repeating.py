"""Make a drawing attend where an earlier one did: Prompt-to-Prompt's word swap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle

from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn._support.hooks import of_this_thread
from sdlearn._support.wrapping import uncompiled
from sdlearn.attention.maps import CROSS, SELF
from sdlearn.attention.recording import find_attentions

Looks = dict[str, list[Tensor]]
"""The queries and keys of every layer, by name: one tensor for each run of the U-Net."""
ATTENTIONS = (CROSS, SELF)


@checked
@contextmanager
def remember_looks(unet: UNet2DConditionModel, kind: str = CROSS) -> Iterator[Looks]:
    """Inside the `with` block, keep the queries and keys of every attention of this kind.

    Together they say who looks where: the maps are softmax(Q Kᵀ / √d). They take about as much
    memory as the feature maps of all runs.

    Args:
        kind: "cross" for the attention to words, "self" for that between positions.
    """
    looks: Looks = {}
    with uncompiled(unet), ExitStack() as hooks:
        for name, linear in _asking(unet, kind):
            keep = _keeper(looks.setdefault(name, []))
            hooks.callback(linear.register_forward_hook(of_this_thread(keep)).remove)
        yield looks


@checked
@contextmanager
def repeat_looks(
    unet: UNet2DConditionModel, looks: Looks, steps: int, kind: str = CROSS
) -> Iterator[None]:
    """Inside the `with` block, a drawing first looks where the remembered one looked.

    Queries and keys are the remembered ones, so every map is the old one. The values come from the
    new text. (Hertz et al. 2022, *Prompt-to-Prompt*, "Word Swap" in Section 3.2.)

    Args:
        looks: from `remember_looks`, for one drawing of the same size and number of steps, with
            guidance if this one has it.
        steps: for how many runs of the U-Net; after them the drawing uses its own attention.

    Raises:
        ValueError: naming the argument; if sizes differ, when the U-Net runs.
    """
    asking = dict(_asking(unet, kind))
    if set(asking) != set(looks):
        raise ValueError(f"looks: of the {kind} attention of this U-Net, got those of other layers")
    whole_number("steps", steps, 0, min(map(len, looks.values()), default=0))
    with uncompiled(unet), ExitStack() as hooks:
        for name, linear in asking.items():
            kept = looks[name]
            give = _giver(name, cycle([*kept[:steps], *[None] * (len(kept) - steps)]))
            hooks.callback(linear.register_forward_hook(of_this_thread(give)).remove)
        yield


def _keeper(kept: list[Tensor]) -> Callable:
    def keep(module: nn.Module, args: tuple, output: Tensor) -> None:
        kept.append(output.detach())

    return keep


def _giver(name: str, looks: Iterator[Tensor | None]) -> Callable:
    def give(module: nn.Module, args: tuple, output: Tensor) -> Tensor | None:
        old = next(looks)
        if old is not None and old.shape != output.shape:
            raise ValueError(
                f"looks: of shape {list(output.shape)} in {name}, got {list(old.shape)}; draw with "
                "the same size, and with guidance if the remembered drawing had it"
            )
        return old

    return give


def _asking(unet: UNet2DConditionModel, kind: str) -> Iterator[tuple[str, nn.Module]]:
    """The linear layers that make queries and keys, with their names."""
    if kind not in ATTENTIONS:
        raise ValueError(f"kind: one of {', '.join(ATTENTIONS)}, got {kind!r}")
    for layer, _, module in find_attentions(unet):
        if layer.kind == kind:
            yield f"{kind} {layer.name}.to_q", module.to_q
            yield f"{kind} {layer.name}.to_k", module.to_k
