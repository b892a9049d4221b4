"""Pictures side by side and in rows, latents, and maps and masks over pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image, ImageChops, ImageFilter
from torch import Tensor

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn.denoising import Step
from sdlearn.plots.look import DIVERGING, INK, LINES, WIDTH, new_figure

HEAT, FAINTEST, STRONGEST = "plasma", 0.1, 0.95
"""The colour map laid over a picture, and its opacity at the map's lowest and highest value."""
PALETTE = np.float32(colormaps[HEAT](np.arange(256))[:, :3] * 255)
SHARES = np.linspace(FAINTEST, STRONGEST, 256, dtype=np.float32)
DARKEST, BRIGHTEST = 75, 195
"""What black and white become in the grey picture beneath, so that both ends of a map stand out."""


@checked
def strip(
    pictures: Sequence[Image.Image | np.ndarray], titles: Sequence[str], columns: int = 6
) -> Figure:
    """Pictures side by side, each with a title above it, broken into lines that fit.

    A title may have several lines of its own.
    """
    if len(pictures) != len(titles):
        raise ValueError(f"titles: one for each of the {len(pictures)} pictures, got {len(titles)}")
    if len(pictures) == 0:
        raise ValueError("pictures: at least one, got none")
    columns = min(whole_number("columns", columns, 1, 10_000), len(pictures))
    rows = -(-len(pictures) // columns)
    tallest = max(height / width for height, width, *_ in map(np.shape, pictures))
    letters = int(116 / columns)
    broken = ["\n".join(fill(line, letters) for line in title.split("\n")) for title in titles]
    lines = 1 + max(title.count("\n") for title in broken)
    figure = new_figure(rows * (WIDTH / columns * tallest + 0.06 + 0.17 * lines))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_anchor("S")
        axes.axis("off")
    for axes, picture, title in zip(grid.flat, pictures, broken, strict=False):
        axes.imshow(np.asarray(picture))
        axes.set_title(title, fontsize=9, color=INK)
    return figure


@checked
def grid(
    rows: Mapping[str, Sequence[Image.Image | np.ndarray]],
    columns: Sequence[str] = (),
    notes: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Rows of pictures, the name of each row at its left, and a heading above every column.

    A name or a heading may have several lines of its own; long ones are broken.

    notes: for the rows that have them, a line below each picture.
    """
    if not rows:
        raise ValueError("rows: at least one, got none")
    notes, count = notes or {}, len(next(iter(rows.values())))
    counts = {"rows": rows, "columns": {"columns": columns} if columns else {}, "notes": notes}
    for argument, named in counts.items():
        for name, values in named.items():
            if len(values) != count or count == 0:
                raise ValueError(
                    f"{argument}: as many for {name!r} as pictures in the first row, {count or 1}, "
                    f"got {len(values)}"
                )
    if unknown := set(notes) - set(rows):
        raise ValueError(f"notes: names of rows, got {', '.join(map(repr, sorted(unknown)))}")
    shapes = [np.shape(picture) for pictures in rows.values() for picture in pictures]
    side = (WIDTH - LABEL) / count
    tall = side * max(height / width for height, width, *_ in shapes)
    letters = max(8, int(side / LETTER))
    headings = ["\n".join(fill(line, letters) for line in name.split("\n")) for name in columns]
    lines = max((heading.count("\n") for heading in headings), default=-1) + 1
    top = lines * 0.6 * LINE + bool(lines) * 0.4 * LINE
    figure = new_figure(len(rows) * tall + len(notes) * LINE + top, layout=None)
    width, height = figure.get_size_inches()
    below = height - top
    for column, heading in enumerate(headings):
        middle = (LABEL + (column + 0.5) * side) / width
        figure.text(middle, (below + 0.09) / height, heading, ha="center", fontsize=10, color=INK)
    said = {"ha": "right", "va": "center", "fontsize": 10, "color": INK}
    for name, pictures in rows.items():
        below -= tall
        label = "\n".join(fill(line, 13) for line in name.split("\n"))
        figure.text((LABEL - 0.1) / width, (below + tall / 2) / height, label, **said)
        for column, picture in enumerate(pictures):
            left = LABEL + column * side
            box = (left + GAP, below + GAP, side - 2 * GAP, tall - 2 * GAP)
            axes = figure.add_axes(np.divide(box, (width, height, width, height)))
            axes.imshow(np.asarray(picture))
            axes.set(xticks=(), yticks=())
            axes.spines[:].set(visible=True, linewidth=0.5)  # so that white pages have an edge
        if name in notes:
            below -= LINE
            for column, note in enumerate(notes[name]):
                middle = (LABEL + (column + 0.5) * side) / width
                figure.text(
                    middle, (below + 0.1) / height, note, ha="center", fontsize=9, color=INK
                )
    return figure


LABEL, LINE, GAP, LETTER = 1.2, 0.3, 0.025, 0.085
"""Of a grid, in inches: the space for the names of rows, for a line of text, around a picture, for
one letter of a heading."""


@checked
def beside_bars(picture: Image.Image, values: Mapping[str, float], title: str = "") -> Figure:
    """A picture, and a bar from 0 to 1 for each named value beside it."""
    if not values:
        raise ValueError("values: at least one, got none")
    figure = new_figure(max(2.2, 0.42 * len(values) + 0.7))
    left, right = figure.subplots(1, 2, width_ratios=(1, 3))
    left.imshow(picture)
    left.axis("off")
    right.barh(range(len(values)), list(values.values()), color=LINES[0], height=0.6)
    for row, value in enumerate(values.values()):
        right.text(max(value, 0) + 0.01, row, f"{value:.2f}", va="center", fontsize=9, color=INK)
    right.set_yticks(range(len(values)), [fill(name, 34) for name in values], fontsize=9)
    right.set(xlim=(min(0, *values.values()), 1.1), xticks=())
    right.set_title(title, fontsize=10, color=INK)
    right.invert_yaxis()
    right.spines["bottom"].set_visible(False)
    return figure


@checked
def on_a_map(
    pictures: Sequence[Image.Image],
    points: Float[Tensor, "n 2"],
    x: str,
    y: str,
) -> Figure:
    """Each picture, small, at its own point of the plane."""
    if len(pictures) != len(points):
        raise ValueError(f"points: one for each of the {len(pictures)} pictures, got {len(points)}")
    if len(pictures) == 0:
        raise ValueError("pictures: at least one, got none")
    figure = new_figure(5.2)
    axes = figure.subplots()
    where = points.float().cpu().numpy()
    axes.scatter(*where.T, s=0)  # sets the limits
    axes.margins(0.12)
    for picture, point in zip(pictures, where, strict=True):
        small = OffsetImage(np.asarray(picture.convert("RGB").resize((128, 128))), zoom=0.42)
        axes.add_artist(AnnotationBbox(small, point, frameon=False))
    axes.axhline(0, color=INK, lw=0.6, zorder=0)
    axes.axvline(0, color=INK, lw=0.6, zorder=0)
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.set(xticks=(), yticks=())
    return figure


@checked
def to_scale(pictures: Sequence[Image.Image], titles: Sequence[str]) -> Figure:
    """Pictures of several sizes side by side, all at one scale, standing on one line."""
    if len(pictures) != len(titles):
        raise ValueError(f"titles: one for each of the {len(pictures)} pictures, got {len(titles)}")
    if len(pictures) == 0:
        raise ValueError("pictures: at least one, got none")
    widths, tallest = [picture.width for picture in pictures], max(p.height for p in pictures)
    figure = new_figure(WIDTH * tallest / sum(widths) + 0.5)
    grid = figure.subplots(1, len(pictures), width_ratios=widths, squeeze=False)[0]
    for axes, picture, title in zip(grid, pictures, titles, strict=True):
        axes.imshow(picture)
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_anchor("S")
        axes.axis("off")
    return figure


@checked
def latent_channels(
    latents: Float[Tensor, "c h w"],
    title: str = "",
    names: Sequence[str] | None = None,
    limit: float | None = None,
) -> Figure:
    """Each channel of the latents as a map: red above zero, blue below, one square per value.

    limit: the number that has the strongest colour; by default the largest one.
    """
    channels, height, width = latents.shape
    if names is None:
        names = [f"channel {index}" for index in range(channels)]
    if len(names) != channels:
        raise ValueError(f"names: one for each of the {channels} channels, got {len(names)}")
    figure = new_figure(WIDTH / channels * height / width + 0.6)
    strongest = latents.abs().max().item() if limit is None else number("limit", limit, 1e-6, 1e6)
    grid = figure.subplots(1, channels, squeeze=False)[0]
    for index, axes in enumerate(grid):
        shown = axes.imshow(
            latents[index].float().cpu().numpy(), cmap=DIVERGING, vmin=-strongest, vmax=strongest
        )
        axes.set_title(names[index], fontsize=9, color=INK)
        axes.axis("off")
    figure.colorbar(shown, ax=list(grid), fraction=0.02, pad=0.01)
    figure.suptitle(title or f"{channels}×{height}×{width}", fontsize=10, color=INK)
    return figure


@checked
def denoising(step: Step, picture: Image.Image) -> Figure:
    """One step of a drawing: the latents after it, the predicted noise, and x̂₀ decoded."""
    figure = new_figure(3.2)
    latents, noise = (x[0, 0].float().cpu().numpy() for x in (step.latents, step.noise))
    shown = (
        (latents, "latents after the step, channel 0"),
        (noise, "predicted noise ε̂, channel 0"),
    )
    of_latents, of_noise, of_picture = figure.subplots(1, 3)
    for axes, (values, title) in zip((of_latents, of_noise), shown, strict=True):
        axes.imshow(values, cmap=DIVERGING, vmin=-3, vmax=3)
        axes.set_title(title, fontsize=9, color=INK)
    of_picture.imshow(picture)
    of_picture.set_title("x̂₀, decoded", fontsize=9, color=INK)
    for axes in figure.axes:
        axes.axis("off")
    return figure


@checked
def heat_over(picture: Image.Image, heat: Float[Tensor, "h w"]) -> Image.Image:
    """One attention map over its picture, without a Figure: quick enough to follow a slider.

    The picture beneath is grey. The weaker the map, the more of it shows through; the colours go
    from the map's lowest to its highest value.
    """
    values = heat.float().cpu().numpy()
    spread = values.max() - values.min()
    strength = np.uint8(255 * (values - values.min()) / (spread or 1))
    enlarged = np.asarray(Image.fromarray(strength).resize(picture.size, Image.Resampling.NEAREST))
    colours = PALETTE[enlarged]
    share = SHARES[enlarged][..., None]
    light = np.asarray(picture.convert("L"), dtype=np.float32)[..., None] / 255
    grey = DARKEST + light * (BRIGHTEST - DARKEST)
    return Image.fromarray(np.uint8(share * colours + (1 - share) * grey))


@checked
def outlined(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """A picture with the outline of what is white in a mask, in white beside black."""
    white = mask.convert("L").resize(picture.size).point(lambda value: 255 * (value > 127))
    wide, narrow = (white.filter(ImageFilter.MaxFilter(size)) for size in (5, 3))
    shown = picture.convert("RGB")
    shown.paste("black", mask=ImageChops.subtract(wide, narrow))
    shown.paste("white", mask=ImageChops.subtract(narrow, white))
    return shown


@checked
def overlay(
    picture: Image.Image, heats: Sequence[Float[Tensor, "h w"]], titles: Sequence[str]
) -> Figure:
    """Attention maps over their picture: the brighter a position, the more it attends.

    Each map has colours of its own; the numbers under its title are its lowest and highest value.
    """
    if len(heats) != len(titles):
        raise ValueError(f"titles: one for each of the {len(heats)} maps, got {len(titles)}")
    shown = 1 + len(heats)
    columns = shown if shown <= 4 else 3 if shown <= 6 else 4
    rows = -(-shown // columns)
    figure = new_figure(rows * (WIDTH / columns * picture.height / picture.width + 0.45))
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid:
        axes.axis("off")
    grid[0].imshow(picture)
    grid[0].set_title("picture", fontsize=10, color=INK)
    for axes, heat, title in zip(grid[1:], heats, titles, strict=False):
        axes.imshow(heat_over(picture, heat))
        span = f"{_short(heat.min().item())} to {_short(heat.max().item())}"
        axes.set_title(f"{fill(title, 100 // columns)}\n{span}", fontsize=9, color=INK)
    return figure


def _short(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else "0"
