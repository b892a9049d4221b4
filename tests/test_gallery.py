"""`make gallery`: a lesson as a self-contained page."""

import re
import shlex
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest

from sdlearn._support.formulas import formulas, in_mathml
from sdlearn._support.paths import NOTEBOOKS, ROOT

LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_a_page_of_the_gallery_has_its_pictures_and_loads_nothing(tmp_path):
    lesson = NOTEBOOKS / "04_forward_noising.ipynb"
    saved = lesson.read_text(encoding="utf-8")
    pictures = saved.count('"image/jpeg"') + saved.count("data:image/jpeg")
    told = subprocess.run(
        ["make", "-n", "gallery"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    _, *words = shlex.split(told.replace("\\\n", " "))
    words[words.index("gallery")] = str(tmp_path)
    words[-1] = str(lesson)
    subprocess.run(
        [sys.executable, "-m", "jupyter", *words], cwd=ROOT, check=True, capture_output=True
    )
    page = (tmp_path / "04_forward_noising.html").read_text(encoding="utf-8")
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]*)\"", page)
    assert sum(address.startswith("data:image/jpeg") for address in loaded) == pictures
    assert [address for address in loaded if address and not address.startswith("data:")] == []
    assert "<msqrt>" in page
    assert not re.search(r"\$[^$<>]*\\(?:bar|sqrt|hat)", page)  # no LaTeX is left


def test_formulas_become_mathml_and_code_stays():
    text = "`$HOME` is not $x_t$, nor $$\n\\sqrt{2}\n$$ and costs 3 $ or 4 $\n```\n$a$\n```"
    assert formulas(text) == ["x_t", "\n\\sqrt{2}\n"]
    page = in_mathml(text)
    assert page.startswith("`$HOME` is not <math")
    assert page.endswith("and costs 3 $ or 4 $\n```\n$a$\n```")
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in page


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_every_formula_of_a_lesson_can_be_written_as_mathml(lesson):
    """What the converter does not know stays as `\\name`, or as an `&` that is not XML."""
    cells = [c.source for c in nbformat.read(lesson, 4).cells if c.cell_type == "markdown"]
    for formula in [each for source in cells for each in formulas(source)]:
        page = in_mathml(f"${formula.strip()}$")
        assert "\\" not in "".join(ElementTree.fromstring(page).itertext()), formula
