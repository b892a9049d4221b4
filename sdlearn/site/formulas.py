"""Formulas in a lesson's text as MathML, which browsers show without a script: `make site`."""

from __future__ import annotations

import re

from nbconvert.preprocessors import Preprocessor

CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(?! )([^$\n]+?)(?<! )\$", re.DOTALL)


def formulas(text: str) -> list[str]:
    """The LaTeX between dollar signs, in order, outside of code."""
    prose = CODE.split(text)[::2]
    return [block or inline for part in prose for block, inline in FORMULA.findall(part)]


def in_mathml(text: str) -> str:
    """Markdown with every formula as MathML; code is left alone."""
    parts = CODE.split(text)
    parts[::2] = [FORMULA.sub(_mathml, part) for part in parts[::2]]
    return "".join(parts)


def _mathml(match: re.Match) -> str:
    from latex2mathml.converter import convert  # only the site needs it

    block, inline = match.groups()
    return convert(block or inline, display="block" if block else "inline")


class Formulas(Preprocessor):
    """A preprocessor, which nbconvert calls for every cell."""

    def preprocess_cell(self, cell, resources, index: int) -> tuple:
        if cell.cell_type == "markdown":
            cell.source = in_mathml(cell.source)
        return cell, resources
