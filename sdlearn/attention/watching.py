"""A drawing with its attention, step by step.

The maps are kept, so that a lesson can look them up without running the U-Net again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sdlearn._support.checked import checked
from sdlearn.attention.maps import CROSS, Layer, Maps
from sdlearn.attention.recording import record
from sdlearn.loading import Components
from sdlearn.pipeline import latents_to_images, text_to_latents
from sdlearn.text import positions_of, words_in

START, REST = "‹start›", "‹end, padding›"
GRID = 16
"""Self-attention is recorded for GRID × GRID points, in maps whose sides are at most GRID."""
LARGEST = 32
"""The longest side of the word maps that are kept."""


@dataclass(frozen=True, repr=False)
class Watched:
    """One step of a watched drawing."""

    index: int
    count: int
    t: int
    picture: Image.Image
    """x̂₀, decoded: what the picture would be if the noise predicted in this step were exact."""
    words: dict[str, list[int]]
    """The words of the prompt, and the start token, with their positions in the text."""
    cross: Maps
    own: Maps
    """Self-attention."""

    def __repr__(self) -> str:
        return f"Watched step {self.index + 1} of {self.count}, t={self.t}: {', '.join(self.words)}"

    @property
    def layers(self) -> list[tuple[Layer, tuple[int, int]]]:
        """The layers that look at the text, and the sizes of their maps."""
        return [(m.layer, tuple(m.values.shape[-2:])) for m in self.cross]

    @checked
    def heat(
        self, word: str, layer: str | None = None, head: int | None = None
    ) -> Float[Tensor, "h w"]:
        """The map of a word, in one layer or averaged over all, and likewise for heads."""
        if word not in self.words:
            raise ValueError(f"word: one of {', '.join(self.words)}, got {word!r}")
        return self._chosen(layer).of_words(self.words[word], head)[0]

    @checked
    def shares(
        self, point: tuple[float, float], layer: str | None = None, head: int | None = None
    ) -> dict[str, float]:
        """How a point of the picture divides its attention among the words; the shares sum to 1.

        A word that the prompt has twice gets one share, the sum of both.
        """
        shares = {}
        for word in self.words:
            heat = self.heat(word, layer, head)
            shares[word] = heat[_row_and_column(point, heat.shape)].item()
        return {**shares, REST: 1 - sum(shares.values())}

    @checked
    def looks(self, point: tuple[float, float]) -> Float[Tensor, "h w"]:
        """Where in the picture a point looks, averaged over all recorded layers and heads."""
        row, column = _row_and_column(point, (GRID, GRID))
        return self.own.of_point(row * GRID + column)[0]

    def _chosen(self, layer: str | None) -> Maps:
        if layer is None:
            return self.cross.select(kind=CROSS)
        names = [known.name for known, _ in self.layers]
        if layer not in names:
            raise ValueError(f"layer: one of {', '.join(names)}, got {layer!r}")
        return self.cross.select(kind=CROSS, layers=[layer])


@checked
def watch(
    model: Components, prompt: str, steps: int, guidance: float, seed: int
) -> Iterator[Watched]:
    """Draw a prompt and yield every step with its attention.

    The arguments are those of `sdlearn.text_to_image`.
    """
    words = words_of(model, prompt)
    positions = sorted({position for of_word in words.values() for position in of_word})
    points = [
        ((column + 0.5) / GRID, (row + 0.5) / GRID) for row in range(GRID) for column in range(GRID)
    ]
    drawing = text_to_latents(model, prompt, steps=steps, guidance=guidance, seed=seed)
    while True:
        with (  # only around a step, so that other U-Net runs in between are not recorded
            record(model.unet, positions, largest=LARGEST) as cross,
            record(model.unet, positions=(), points=points, largest=GRID) as own,
        ):
            step = next(drawing, None)
        if step is None:
            return
        yield Watched(
            step.index,
            step.count,
            step.t,
            latents_to_images(model, step.clean)[0],
            words,
            cross,
            own,
        )


@checked
def words_of(model: Components, prompt: str) -> dict[str, list[int]]:
    """The positions of the start token and of every word of the prompt that is read, in order."""
    words = {START: [0]}
    for word in words_in(prompt):
        try:
            words[word] = positions_of(model.tokenizer, prompt, word)
        except ValueError:  # cut off, because the prompt is too long; `tokenize` warns
            continue
    return words


def _row_and_column(point: tuple[float, float], size: tuple[int, int]) -> tuple[int, int]:
    (x, y), (height, width) = point, size
    return min(int(y * height), height - 1), min(int(x * width), width - 1)
