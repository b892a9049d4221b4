"""Training the judge on drawn pictures only, blurred and dimmed at random to make it robust."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState

from sdlearn.evaluate.judge import SIDE, STRIDE, Judge, save
from sdlearn.images import to_pixels
from sdlearn.picturebook.pages import JUDGE, scene_at
from sdlearn.picturebook.scenes import COLOURS, KINDS, SETTINGS, Scene
from sdlearn.train.data import pictures
from sdlearn.train.loop import Batch, Moment, Recipe, fit

RECIPE = Recipe(steps=800, batch=32, learning_rate=2e-3, weight_decay=1e-3)
GRID = SIDE // STRIDE
NO_COLOUR = -100


def targets(scene: Scene) -> tuple[np.ndarray, np.ndarray, int]:
    """What the judge should predict for a scene: a map of kinds, a map of colours, and the setting.

    Each thing is a round bump of height 1 at its centre in the map of its kind, and its colour
    around that centre in the map of colours.
    """
    centres = (np.arange(GRID) + 0.5) / GRID
    kinds = np.zeros((len(KINDS), GRID, GRID), np.float32)
    colours = np.full((GRID, GRID), NO_COLOUR)
    for thing in scene.things:
        row, column = int(thing.y * GRID), int(thing.x * GRID)
        y, x = centres[row], centres[column]
        bump = np.exp(-((centres - x) ** 2 + (centres[:, None] - y) ** 2) * GRID**2 / 2)
        np.maximum(kinds[KINDS.index(thing.kind)], bump, out=kinds[KINDS.index(thing.kind)])
        colours[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = COLOURS.index(
            thing.colour
        )
    return kinds, colours, list(SETTINGS).index(scene.setting)


class Objective(torch.nn.Module):
    """Focal loss for centres (Zhou et al. 2019, Eq. 1), cross-entropy for colours and settings."""

    def __init__(self, judge: Judge):
        super().__init__()
        self.judge = judge

    def forward(
        self,
        pixels: torch.Tensor,
        kinds: torch.Tensor,
        colours: torch.Tensor,
        settings: torch.Tensor,
    ) -> Batch:
        kind_map, colour_map, setting = self.judge(disturb(pixels))
        sure = kind_map.sigmoid().clamp(1e-4, 1 - 1e-4)
        at_centre = kinds == 1
        hit = -((1 - sure) ** 2 * sure.log())[at_centre].sum()
        miss = -((1 - kinds) ** 4 * sure**2 * (1 - sure).log())[~at_centre].sum()
        centre = (hit + miss) / at_centre.sum()
        colour = F.cross_entropy(colour_map, colours, ignore_index=NO_COLOUR)
        where = F.cross_entropy(setting, settings)
        return {
            "loss": centre + colour + where,
            "centre": centre,
            "colour": colour,
            "setting": where,
        }


def disturb(pixels: torch.Tensor) -> torch.Tensor:
    """Blur some pictures, make all a little brighter or darker, and add a little noise."""
    n = len(pixels)
    blurred = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mix = torch.rand(n, 1, 1, 1, device=pixels.device) * (
        torch.rand(n, 1, 1, 1, device=pixels.device) < 0.5
    )
    gain = 1 + 0.1 * (torch.rand(n, 1, 1, 1, device=pixels.device) - 0.5)
    shift = 0.1 * (torch.rand(n, 1, 1, 1, device=pixels.device) - 0.5)
    noise = 0.06 * torch.rand(n, 1, 1, 1, device=pixels.device) * torch.randn_like(pixels)
    return (pixels + mix * (blurred - pixels)) * gain + shift + noise


def pages_with_targets(store: np.ndarray, batch: int, moment: Moment) -> Batch:
    """A batch of pages, and for each the maps to learn."""
    pages = np.random.default_rng((14, moment.step, moment.process)).integers(
        len(store), size=batch
    )
    kinds, colours, settings = zip(
        *[targets(scene_at(int(page), JUDGE)) for page in pages], strict=True
    )
    return {
        "pixels": to_pixels(store[pages]),
        "kinds": torch.from_numpy(np.stack(kinds)),
        "colours": torch.from_numpy(np.stack(colours)),
        "settings": torch.tensor(settings),
    }


def train(out: Path, work: Path, recipe: Recipe = RECIPE, pages: int = 12_000) -> None:
    """Train the judge and save it in the folder `judge` beside `out`."""
    store = pictures(work / "cache", pages, SIDE, JUDGE)
    trained = fit(
        Objective(Judge()), partial(pages_with_targets, store, recipe.batch), recipe, work / "judge"
    )
    if PartialState().is_main_process:
        save(trained.judge, out.parent / "judge")
