"""A word's attention made weaker or stronger while a picture is drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from diffusers import UNet2DConditionModel
from torch import Tensor

from sdlearn.arguments import number, whole_number
from sdlearn.attention import find_attentions
from sdlearn.hooks import of_this_thread
from sdlearn.maps import CROSS


@contextmanager
def reweight(
    unet: UNet2DConditionModel, places: Collection[int], factor: float, pictures: int = 1
) -> Iterator[None]:
    """Within the block, these places of the text get `factor` times the weight in every
    cross-attention.

    log(factor) is added to their scores before the softmax, through the library's own attention
    mask, so weights still sum to 1. (Hertz et al. 2022, "Attention Re-weighting", multiply after
    the softmax: there they do not.) With guidance only the conditional half of the batch is
    changed.

    Args:
        places: of the text, as from `sdlearn.text.places_of`.
        factor: 0 hides the words, 1 changes nothing.
        pictures: how many are drawn at once; a U-Net batch of twice as many is a guided one.

    Raises:
        TypeError, ValueError: naming the argument, before the U-Net runs; a place beyond the text,
            when it runs.
    """
    number("factor", factor, 0, 1e6)
    whole_number("pictures", pictures, 1, 10_000)
    chosen = [whole_number("places", place, 0, 10_000) for place in places]
    bias = math.log(factor) if factor else -math.inf

    def add(module, args, kwargs) -> tuple[tuple, dict]:
        text, mask = kwargs["encoder_hidden_states"], kwargs.get("attention_mask")
        return args, {**kwargs, "attention_mask": _added(text, mask, chosen, bias, pictures)}

    with ExitStack() as hooks:
        for layer, _, module in find_attentions(unet):
            if layer.kind == CROSS:
                handle = module.register_forward_pre_hook(of_this_thread(add), with_kwargs=True)
                hooks.callback(handle.remove)
        yield


def _added(
    text: Tensor, mask: Tensor | None, chosen: list[int], bias: float, pictures: int
) -> Tensor:
    """The mask [batch, 1, places] with the bias added at the chosen places of the
    conditional half.
    """
    if len(text) not in (pictures, 2 * pictures):
        raise ValueError(
            f"pictures: {pictures} were announced, the U-Net got a batch of {len(text)}"
        )
    if max(chosen, default=0) >= text.shape[1]:
        raise ValueError(f"places: from 0 to {text.shape[1] - 1}, got {max(chosen)}")
    if bias == -math.inf and len(set(chosen)) == text.shape[1]:
        raise ValueError(
            "places: with factor 0 at least one place of the text has to be left, got all of them"
        )
    added = text.new_zeros(len(text), 1, text.shape[1]) if mask is None else mask.clone()
    added[-pictures:, :, chosen] += bias
    return added
