"""Networks inside others: compiled by torch, spread over devices, or with adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel
from torch import nn


def unwrapped(unet: nn.Module) -> nn.Module:
    """The U-Net itself, if it is wrapped: by `torch.compile`, `nn.DataParallel` or peft."""
    return next((m for m in unet.modules() if isinstance(m, UNet2DConditionModel)), unet)


@contextmanager
def uncompiled(unet: nn.Module) -> Iterator[None]:
    """Inside the `with` block, compiled code is run as it was written.

    Compiled code does not call hooks that were set after it was compiled.
    """
    if not any(hasattr(m, "_orig_mod") or m._compiled_call_impl for m in unet.modules()):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
