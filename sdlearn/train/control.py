"""Training a ControlNet: where the things of a page are, as a second picture beside the prompt.

Zhang et al. 2023, *Adding Conditional Control to Text-to-Image Diffusion Models*. The U-Net stays
frozen. A copy of its encoder sees the noisy latents and the second picture, and adds what it finds
to the skip connections, through convolutions that begin at zero.

One reads masks, white where a thing is. Half of the masks are exact. The others are as rough as a
learner's brush: an ellipse around each thing, or the mask grown by a few pixels.

Another reads edges. Half of the time they are those of the whole page, else only those of its
things; half of the time they are as thick as a brush. Half of the captions are dropped, so that it
learns to recognise things by their edges where no caption names them (Section 3.3 of the paper).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from diffusers import UNet2DConditionModel
from PIL import Image, ImageDraw, ImageFilter

from sdlearn.control import EDGES, MASKS, edges_of, start_control
from sdlearn.images import to_pixels
from sdlearn.noising import Schedule
from sdlearn.picturebook.drawing import draw_array, masks
from sdlearn.picturebook.pages import scene_at
from sdlearn.train.adapters import SIZE, Frozen
from sdlearn.train.data import on_all_cores
from sdlearn.train.loop import Batch, Moment, Recipe, fit
from sdlearn.train.plans import plan_for
from sdlearn.train.shipping import save_half
from sdlearn.train.unet import Objective

RECIPE = Recipe(steps=1500, batch=16, learning_rate=1e-3, warmup=50)
PAGES = 6_000
GROWN = 12
"""By how many pixels a rough mask may be grown."""
AROUND = 3
"""How far from a thing's mask an edge may be and still be the thing's, in pixels."""
THICK = 3
"""As thick as this, in pixels, a brush makes an edge of one pixel."""


class Controlled(Objective):
    """The U-Net's own loss, with what the ControlNet adds."""

    def __init__(self, unet: UNet2DConditionModel, schedule: Schedule, no_caption: torch.Tensor):
        super().__init__(unet.requires_grad_(False), schedule, no_caption)
        self.control = start_control(unet).requires_grad_(True)

    def eager(self) -> list[torch.nn.Parameter]:
        """What begins at zero or anew: the zero convolutions, and what reads the second picture.

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
        self, noisy: torch.Tensor, t: torch.Tensor, states: torch.Tensor, shown: torch.Tensor
    ) -> torch.Tensor:
        down, middle = self.control(noisy, t, states, shown, return_dict=False)
        return self.unet(
            noisy,
            t,
            states,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample


class ControlledByEdges(Controlled):
    """Half of the captions are dropped, so that the edges must say what things are."""

    dropout = 0.5


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
    return {**frozen.pages.at(chosen, frozen.states), "shown": mask.contiguous()}


def both_edges(page: int) -> np.ndarray:
    """A training page's edges, and only those of its things: uint8 [2, SIZE, SIZE], 0 or 1."""
    scene = scene_at(page)
    pixels = (to_pixels(draw_array(scene, SIZE)[None]) + 1) / 2
    edges = edges_of(pixels)[0, 0].numpy().astype(np.uint8)
    things = Image.fromarray((masks(scene, SIZE).max(axis=0) > 0.5).astype(np.uint8))
    near = np.asarray(things.filter(ImageFilter.MaxFilter(2 * AROUND + 1)))
    return np.stack([edges, edges * near])


def with_edges(frozen: Frozen, edges: torch.Tensor, batch: int, moment: Moment) -> Batch:
    """A batch of pages, and the edges of each as the picture [n, 3, SIZE, SIZE] in [0, 1]."""
    chosen = frozen.pages.choose(batch)
    which, thick = torch.randint(2, (2, batch), device=edges.device)
    shown = edges[chosen.to(edges.device), which, None].to(chosen.device).float()
    brushed = torch.nn.functional.max_pool2d(shown, THICK, stride=1, padding=THICK // 2)
    shown = torch.where(thick.to(chosen.device)[:, None, None, None] == 1, brushed, shown)
    return {**frozen.pages.at(chosen, frozen.states), "shown": shown.expand(-1, 3, -1, -1)}


def train(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Train a ControlNet for masks on the model in `out`; it goes to `adapters/masks` beside it."""
    frozen = Frozen.load(out, work, pages)
    _train(frozen, partial(with_masks, frozen, recipe.batch), recipe, work, out, MASKS.name)


def train_edges(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = PAGES) -> None:
    """Train a ControlNet for edges on the model in `out`; it goes to `adapters/edges` beside it."""
    frozen = Frozen.load(out, work, pages)
    found = on_all_cores(both_edges, pages, "finding edges")
    edges = torch.from_numpy(np.stack([*found]))
    device = PartialState().device
    batch_at = partial(with_edges, frozen, plan_for(device).keep(edges, device), recipe.batch)
    _train(frozen, batch_at, recipe, work, out, EDGES.name, ControlledByEdges)


def _train(
    frozen: Frozen,
    batch_at: Callable[[Moment], Batch],
    recipe: Recipe,
    work: Path,
    out: Path,
    name: str,
    kind: type[Controlled] = Controlled,
) -> None:
    schedule = Schedule.of(frozen.pipeline.scheduler)
    objective = kind(frozen.pipeline.unet, schedule, frozen.no_caption)
    objective.to(memory_format=torch.channels_last)
    for network in (objective.unet, objective.control):
        plan_for(PartialState().device).prepare(network)
    trained = fit(objective, batch_at, recipe, work / name, eager=objective.eager())
    if PartialState().is_main_process:
        save_half(trained.control, out.parent / "adapters" / name)
