"""Training a ControlNet: where the things of a page are, as a second picture beside the prompt.

Zhang et al. 2023, *Adding Conditional Control to Text-to-Image Diffusion Models*. The U-Net stays
frozen. A copy of its encoder sees the noisy latents and a mask, white where a thing is, and adds
what it finds to the skip connections, through convolutions that begin at zero.

Half of the masks are exact. The others are as rough as a learner's brush: an ellipse around each
thing, or the mask grown by a few pixels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from diffusers import UNet2DConditionModel
from PIL import Image, ImageDraw, ImageFilter

from sdlearn.control import MASKS, start_control
from sdlearn.noising import Schedule
from sdlearn.picturebook.drawing import masks
from sdlearn.picturebook.pages import scene_at
from sdlearn.train.adapters import SIZE, Frozen
from sdlearn.train.loop import Batch, Moment, Recipe, fit
from sdlearn.train.plans import suit
from sdlearn.train.shipping import save_half
from sdlearn.train.unet import Objective

RECIPE = Recipe(steps=1500, batch=16, learning_rate=1e-3, warmup=50)
PAGES = 6_000
GROWN = 12
"""By how many pixels a rough mask may be grown."""


class Controlled(Objective):
    """The U-Net's own loss, with what the ControlNet adds."""

    def __init__(self, unet: UNet2DConditionModel, schedule: Schedule, no_caption: torch.Tensor):
        super().__init__(unet.requires_grad_(False), schedule, no_caption)
        self.control = start_control(unet).requires_grad_(True)

    def eager(self) -> list[torch.nn.Parameter]:
        """What begins at zero or anew: the zero convolutions, and what reads the mask.

        With the learning rate of the copied layers, it would take them much longer to say anything.
        """
        control = self.control
        fresh = (
            control.controlnet_cond_embedding,
            control.controlnet_down_blocks,
            control.controlnet_mid_block,
        )
        return [parameter for part in fresh for parameter in part.parameters()]

    def predict(
        self, noisy: torch.Tensor, t: torch.Tensor, states: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        down, middle = self.control(noisy, t, states, mask, return_dict=False)
        return self.unet(
            noisy,
            t,
            states,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample


def mask_of(page: int, rng: np.random.Generator) -> np.ndarray:
    """Where the things of a training page are, exactly or roughly: uint8 [SIZE, SIZE]."""
    covered = masks(scene_at(page), SIZE)
    if rng.random() < 0.5:
        return (covered.max(axis=0) * 255).astype(np.uint8)
    grows = rng.random() < 0.5
    drawn = Image.new("L", (SIZE, SIZE))
    for thing in covered > 0.5:
        shape = Image.fromarray(thing.astype(np.uint8) * 255)
        if not grows and (box := shape.getbbox()):
            shape = Image.new("L", shape.size)
            ImageDraw.Draw(shape).ellipse(box, fill=255)
        drawn.paste(255, mask=shape)
    if grows:
        drawn = drawn.filter(ImageFilter.MaxFilter(2 * int(rng.integers(1, GROWN + 1)) + 1))
    return np.asarray(drawn)


def with_masks(frozen: Frozen, batch: int, moment: Moment) -> Batch:
    """A batch of pages, and the mask of each as the picture [n, 3, SIZE, SIZE] in [0, 1]."""
    chosen = frozen.pages.choose(batch)
    rng = np.random.default_rng((15, moment.step, moment.process))
    drawn = np.stack([mask_of(page, rng) for page in chosen.tolist()])
    mask = torch.from_numpy(drawn).float().div(255)[:, None].expand(-1, 3, -1, -1)
    return {**frozen.pages.at(chosen, frozen.states), "mask": mask.contiguous()}


def train(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Train the ControlNet on the model in `out`, and save it in `adapters/masks` beside `out`."""
    frozen = Frozen.load(out, work, pages)
    unet = frozen.pipeline.unet
    objective = Controlled(unet, Schedule.of(frozen.pipeline.scheduler), frozen.no_caption)
    objective.to(memory_format=torch.channels_last)
    for network in (objective.unet, objective.control):
        suit(network, PartialState().device)
    batch_at = partial(with_masks, frozen, recipe.batch)
    trained = fit(objective, batch_at, recipe, work / "masks", eager=objective.eager())
    if PartialState().is_main_process:
        save_half(trained.control, out.parent / "adapters" / MASKS.name)
