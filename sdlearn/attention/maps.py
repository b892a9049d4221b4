"""Attention maps: select them by layer, head, step and size, and merge them into one picture.

A map holds shares of attention, as the softmax gave them. Nothing is scaled here; only
`plots.heat_over` stretches a map from its lowest to its highest value, to show it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked

CROSS, SELF = "cross", "self"


@dataclass(frozen=True)
class Layer:
    """One attention layer of a U-Net: `name` says where it is, for example "down.1.0".

    `kind` says whether the picture looks at the text ("cross") or at itself ("self").
    """

    name: str
    kind: str
    heads: int


@dataclass(frozen=True, repr=False)
class Map:
    """What one layer attended to in one run of the U-Net.

    values: for cross-attention [n, heads, words, h, w], the share of each position's attention that
        goes to each recorded position of the text; for self-attention [n, heads, points, h, w],
        where each chosen point looks.
    """

    step: int
    t: int
    layer: Layer
    values: Float[Tensor, "n heads chosen h w"]

    def __repr__(self) -> str:
        return (
            f"Map of {self.layer.name} {self.layer.kind}, t={self.t}: "
            f"{'×'.join(map(str, self.values.shape))}"
        )


@dataclass(repr=False)
class Maps:
    """All maps of a recording, in order of computation."""

    positions: tuple[int, ...] | None
    points: tuple[tuple[float, float], ...]
    maps: list[Map] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[Map]:
        return iter(self.maps)

    def __repr__(self) -> str:
        steps, layers = len({m.step for m in self}), len({m.layer for m in self})
        return f"Maps: {len(self)} of {layers} layers in {steps} steps, {self.bytes / 1e6:.1f} MB"

    @property
    def bytes(self) -> int:
        return sum(m.values.nbytes for m in self)

    @checked
    def select(
        self,
        kind: str | None = None,
        layers: Collection[str] | None = None,
        steps: Collection[int] | None = None,
        side: int | None = None,
    ) -> Maps:
        """The maps of some layers (by name), steps (from 0) or sizes (`side`: the longer side).

        Raises:
            ValueError: nothing that was recorded fits.
        """
        kept = [
            m
            for m in self
            if (kind is None or m.layer.kind == kind)
            and (layers is None or m.layer.name in layers)
            and (steps is None or m.step in steps)
            and (side is None or max(m.values.shape[-2:]) == side)
        ]
        asked = {"kind": kind, "layers": layers, "steps": steps, "side": side}
        given = {name: wanted for name, wanted in asked.items() if wanted is not None}
        if self.maps and not kept:
            fits = ", ".join(f"{name}={wanted!r}" for name, wanted in given.items())
            names = ", ".join(dict.fromkeys(m.layer.name for m in self))
            raise ValueError(
                f"{next(iter(given))}: nothing recorded fits {fits}; the layers are {names}"
            )
        return Maps(self.positions, self.points, kept)

    @checked
    def of_words(self, positions: Sequence[int], head: int | None = None) -> Float[Tensor, "n h w"]:
        """The share of attention that goes to these positions of the text, as one picture.

        Its shape is [n, h, w]. The pieces of a word are added up. We average over layers, steps and
        heads (or take one `head`), with smaller maps enlarged to the size of the largest.
        `sdlearn.text.positions_of` gives the positions of a word.
        """
        if len(positions) == 0:
            raise ValueError("positions: at least one position of the text, got none")
        maps = self.select(kind=CROSS).maps
        columns = [self._column(position) for position in positions]
        # [n, heads, positions, h, w] → [n, heads, h, w]
        return _merge([m.values[:, :, columns].sum(dim=2) for m in maps], head)

    @checked
    def of_point(self, point: int = 0, head: int | None = None) -> Float[Tensor, "n h w"]:
        """Where the chosen point looks, as one picture [n, h, w], merged as in `of_words`."""
        if not self.points:
            raise ValueError("point: none was recorded; say record(unet, points=[(0.5, 0.5)])")
        whole_number("point", point, 0, len(self.points) - 1)
        return _merge([m.values[:, :, point] for m in self.select(kind=SELF)], head)

    def _column(self, position: int) -> int:
        if self.positions is None:
            read = min((m.values.shape[2] for m in self if m.layer.kind == CROSS), default=1)
            return whole_number("positions", position, 0, read - 1)
        if position not in self.positions:
            raise ValueError(
                f"positions: {position} was not recorded; the recording has {list(self.positions)}"
            )
        return self.positions.index(position)


def _merge(maps: list[Float[Tensor, "n _ _ _"]], head: int | None) -> Float[Tensor, "n h w"]:
    """Average maps [n, heads, h, w] over heads, enlarge them to the largest, average them all."""
    if not maps:
        raise ValueError(
            "maps: none was recorded that fits; check the kind, layers, steps and sizes"
        )
    chosen = [
        m.mean(dim=1) if head is None else m[:, whole_number("head", head, 0, m.shape[1] - 1)]
        for m in maps
    ]
    size = max((m.shape[-2:] for m in chosen), key=lambda s: s[0] * s[1])
    # [n, h, w] → [n, 1, h, w] for the resizing, and back
    enlarged = [F.interpolate(m[:, None].float(), size, mode="bilinear")[:, 0] for m in chosen]
    return torch.stack(enlarged).mean(dim=0)
