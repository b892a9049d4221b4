"""Exercises in which the learner names, for each of several wishes, the tool that fulfils it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from sdlearn import plots
from sdlearn.exercises.results import RETURNED_NONE, Unmet


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a model, the tool for it, and why the others are not."""

    right: str
    why: str
    others: dict[str, str] = field(default_factory=dict)


def chosen(
    answered: object, wishes: Mapping[str, Wish], options: Sequence[str], what: str
) -> dict[str, str]:
    """The answer, if it names the right option for every wish.

    Raises:
        Unmet: it does not; the message is about the first wish that is wrong.
    """
    if answered is None:
        raise Unmet(RETURNED_NONE)
    if not isinstance(answered, dict):
        raise Unmet(f"a dict with {', '.join(wishes)} was expected, got {type(answered).__name__}")
    if missing := [name for name in wishes if name not in answered]:
        raise Unmet(f"there is no {what} yet for {', '.join(missing)}")
    for name in wishes:
        if answered[name] not in options:
            raise Unmet(f"{name}: one of {', '.join(options)}, got {answered[name]!r}")
    wrong = [name for name, wish in wishes.items() if answered[name] != wish.right]
    if wrong:
        name = wrong[0]
        why = wishes[name].others.get(answered[name], "is there something simpler, or stronger?")
        right = len(wishes) - len(wrong)
        raise Unmet(f"{name}: {why} ({right} of {len(wishes)} are right)")
    return {name: answered[name] for name in wishes}


def table_of(wishes: Mapping[str, Wish]) -> Callable[[dict[str, str]], Figure]:
    """Draws the right answer as a table, with the reasons."""

    def drawn(right: dict[str, str]) -> Figure:
        figure = plots.new_figure(0.4 * len(wishes))
        axes = figure.subplots()
        axes.axis("off")
        rows = [[name, option, wishes[name].why] for name, option in right.items()]
        table = axes.table(rows, loc="center", cellLoc="left", colWidths=[0.12, 0.16, 0.72])
        table.scale(1, 1.4)
        return figure

    return drawn
