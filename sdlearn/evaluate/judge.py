"""The judge: a small detector that looks at a picture-book picture and says what is in it.

It is trained on drawn pictures only and shares nothing with the generator or with CLIP. It marks
the centre of each thing on a grid, one map for each kind, and reads the colour there (Zhou et al.
2019, "Objects as Points").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sdlearn._support.checked import checked
from sdlearn._support.paths import ASSETS
from sdlearn._support.precision import in_float32
from sdlearn.picturebook.scenes import COLOURS, KINDS, SETTINGS, Scene

SIDE, STRIDE, WIDTH = 128, 4, 48
SURE = 0.4
"""How strong a centre must be to count as a thing."""


@dataclass(frozen=True)
class Seen:
    """A thing that the judge sees; its centre (x, y) is given as fractions of the picture."""

    kind: str
    colour: str
    x: float
    y: float


Reading = tuple[str, list[Seen]]
"""What the judge reads in a picture: the setting, and the things, the surest first."""


@dataclass(frozen=True)
class Verdict:
    """Which parts of a prompt a picture shows; `relation` is None if there is none to check."""

    setting: bool
    kinds: tuple[bool, ...]
    colours: tuple[bool, ...]
    relation: bool | None
    nothing_else: bool

    @property
    def whole(self) -> bool:
        return (
            self.setting and all(self.colours) and self.relation is not False and self.nothing_else
        )


class Block(nn.Module):
    """A residual block; dilation widens its view to a whole thing."""

    def __init__(self, dilation: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, WIDTH)
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.relu(self.norm(x)))


class Judge(nn.Module):
    """From pictures to maps of kinds, maps of colours, and settings.

    Pictures have 128² pixels in [-1, 1]; larger pictures are shrunk.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(24, WIDTH, 3, stride=2, padding=1),
        )
        self.body = nn.Sequential(*[Block(dilation) for dilation in (1, 2, 4, 1, 2, 4, 1)])
        self.kinds, self.colours = (
            nn.Conv2d(WIDTH, len(KINDS), 1),
            nn.Conv2d(WIDTH, len(COLOURS), 1),
        )
        self.settings = nn.Linear(2 * WIDTH, len(SETTINGS))
        nn.init.constant_(self.kinds.bias, -4.0)

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        """Kinds [n, 12, 32, 32], colours [n, 8, 32, 32] and settings [n, 6], all as logits."""
        features = self.body(self.stem(shrink(pixels)))
        summary = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        features = F.relu(features)
        return self.kinds(features), self.colours(features), self.settings(summary)

    @checked
    @torch.no_grad()
    def read(self, pixels: Float[Tensor, "n 3 h w"]) -> list[Reading]:
        """The setting and the things of every picture, starting with the surest thing."""
        kinds, colours, settings = self(pixels.to(self.settings.weight))
        return [_decode(*maps) for maps in zip(kinds.sigmoid(), colours, settings, strict=True)]


@checked
def shrink(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 128 128"]:
    """Pictures averaged down to the size that the judge reads."""
    return F.adaptive_avg_pool2d(pixels, SIDE)


def _decode(kinds: Tensor, colours: Tensor, settings: Tensor) -> tuple[str, list[Seen]]:
    strongest, kind = kinds.max(dim=0)
    peak = F.max_pool2d(strongest[None], 7, stride=1, padding=3)[0]
    rows, columns = ((strongest == peak) & (strongest > SURE)).nonzero(as_tuple=True)
    side = len(strongest)
    things = [
        (
            strongest[r, c].item(),
            Seen(
                KINDS[kind[r, c]],
                COLOURS[colours[:, r, c].argmax()],
                (c + 0.5) / side,
                (r + 0.5) / side,
            ),
        )
        for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    things.sort(key=lambda scored: -scored[0])
    return list(SETTINGS)[settings.argmax()], [thing for _, thing in things]


@checked
def verdict_on(scene: Scene, setting: str, seen: list[Seen]) -> Verdict:
    """Compare what was seen with what the scene asks for; each thing seen counts only once."""
    left = list(seen)
    matches: list[Seen | None] = [None] * len(scene.things)
    for colour_too in (True, False):
        for i, thing in enumerate(scene.things):
            fits = [
                s
                for s in left
                if s.kind == thing.kind and (s.colour == thing.colour or not colour_too)
            ]
            if matches[i] is None and fits:
                matches[i] = fits[0]
                left.remove(fits[0])
    return Verdict(
        setting=setting == scene.setting,
        kinds=tuple(match is not None for match in matches),
        colours=tuple(
            match is not None and match.colour == thing.colour
            for match, thing in zip(matches, scene.things, strict=True)
        ),
        relation=_stands(scene.relation, matches),
        nothing_else=not left,
    )


def _stands(relation: str | None, matches: list[Seen | None]) -> bool | None:
    """Whether the first thing is where the relation says; None if there is nothing to check.

    Above and below mean within 45° of the vertical; left and right compare only the x of the
    centres.
    """
    if relation is None or relation == "and":
        return None
    if None in matches:
        return False
    first, second = matches
    dx, dy = first.x - second.x, first.y - second.y
    return {
        "left of": dx < 0,
        "right of": dx > 0,
        "beside": abs(dx) > 0.1,
        "above": dy < -abs(dx),
        "below": dy > abs(dx),
    }[relation]


def save(judge: Judge, folder: Path) -> None:
    """Write `judge.safetensors`, in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.half().contiguous() for name, value in judge.state_dict().items()},
        folder / "judge.safetensors",
    )


@checked
def in_words(scene: Scene, verdict: Verdict) -> str:
    """`✓ right`, or what is wrong: missing things, other colours, the setting, or the place."""
    parts = zip(scene.things, verdict.kinds, verdict.colours, strict=True)
    wrong = [
        f"{thing.colour} {thing.kind}" for thing, kind, colour in parts if not (kind and colour)
    ]
    wrong += [] if verdict.setting else ["setting"]
    if not wrong and verdict.relation is False:
        wrong = ["place"]
    if not wrong and not verdict.nothing_else:
        wrong = ["too many things"]
    return "✗ " + ", ".join(wrong) if wrong else "✓ right"


@checked
@in_float32()
def load_judge(folder: Path = ASSETS / "judge") -> Judge:
    """The shipped judge, or one from another folder, ready to read pictures.

    Raises:
        ValueError: it was trained on other kinds, colours or settings than the book has now.
    """
    judge, weights = Judge(), load_file(folder / "judge.safetensors")
    try:
        judge.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        raise ValueError(
            f"folder: the judge in {folder} was trained on another picture book; "
            "`python -m sdlearn.train judge` trains it again"
        ) from error
    return judge.eval().requires_grad_(False)
