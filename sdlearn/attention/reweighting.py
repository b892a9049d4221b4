"""Make the attention to a word weaker or stronger while a picture is drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from diffusers import UNet2DConditionModel
from torch import Tensor

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn._support.hooks import of_this_thread
from sdlearn._support.wrapping import uncompiled, unwrapped
from sdlearn.attention.maps import CROSS
from sdlearn.attention.recording import check_batch, find_attentions


@checked
@contextmanager
def reweight(
    unet: UNet2DConditionModel, positions: Collection[int], factor: float, pictures: int = 1
) -> Iterator[None]:
    """Inside the `with` block, give these positions of the text `factor` times the weight.

    This changes every cross-attention: log(factor) is added to the scores of these positions before
    the softmax, through the library's own attention mask, so the weights still sum to 1. (Hertz et
    al. 2022, "Attention Re-weighting", multiply after the softmax, where the sum is no longer 1.)
    With guidance, only the conditional half of the batch is changed.

    Args:
        positions: positions of the text, for example from `sdlearn.text.positions_of`.
        factor: 0 hides the words, 1 changes nothing.
        pictures: how many pictures are drawn at once; if the U-Net's batch is twice as large, it is
            a run with guidance.

    Raises:
        TypeError, ValueError: naming the argument, before the U-Net runs; for a position beyond the
            text, when the U-Net runs.
    """
    number("factor", factor, 0, 1e6)
    whole_number("pictures", pictures, 1, 10_000)
    chosen = [whole_number("positions", position, 0, 10_000) for position in positions]
    # exp(s + log f) = f exp(s): the weight is multiplied before each row is divided by its sum
    bias = math.log(factor) if factor else -math.inf

    def add(module, args, kwargs) -> tuple[tuple, dict]:
        text, mask = kwargs["encoder_hidden_states"], kwargs.get("attention_mask")
        return args, {**kwargs, "attention_mask": _added(text, mask, chosen, bias, pictures)}

    def check(module, args, kwargs) -> None:
        check_batch(args[0] if args else kwargs["sample"], pictures)

    with uncompiled(unet), ExitStack() as hooks:
        inner = unwrapped(unet)
        handle = inner.register_forward_pre_hook(of_this_thread(check), with_kwargs=True)
        hooks.callback(handle.remove)
        for layer, _, module in find_attentions(unet):
            if layer.kind == CROSS:
                handle = module.register_forward_pre_hook(of_this_thread(add), with_kwargs=True)
                hooks.callback(handle.remove)
        yield


def _added(
    text: Tensor, mask: Tensor | None, chosen: list[int], bias: float, pictures: int
) -> Tensor:
    """The mask [batch, 1, positions], with the bias added at the chosen positions.

    Only the conditional half of the batch gets the bias.
    """
    if max(chosen, default=0) >= text.shape[1]:
        raise ValueError(f"positions: from 0 to {text.shape[1] - 1}, got {max(chosen)}")
    if bias == -math.inf and len(set(chosen)) == text.shape[1]:
        raise ValueError(
            "positions: with factor 0 at least one position of the text has to be left, got all "
            "of them"
        )
    added = text.new_zeros(len(text), 1, text.shape[1]) if mask is None else mask.clone()
    added[-pictures:, :, chosen] += bias
    return added
