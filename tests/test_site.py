"""`make site`: the lessons as pages that need no server, no kernel and no network."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import nbformat
import pytest

from sdlearn._support.paths import NOTEBOOKS
from sdlearn.site import pages
from sdlearn.site.formulas import formulas, in_mathml
from sdlearn.site.pages import build
from sdlearn.widgets.scrubber import FRAMES

LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))


class Read(HTMLParser):
    """What a page loads, links to and names."""

    def __init__(self, page: str):
        super().__init__()
        self.loaded, self.links, self.anchors, self.without_text = [], [], set(), 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.anchors.add(said.get("id"))
        if tag in ("script", "img", "iframe") and said.get("src"):
            self.loaded.append(said["src"])
        if tag == "link":
            self.loaded.append(said["href"])
        if tag == "img" and "alt" not in said:
            self.without_text += 1
        if tag == "a" and "href" in said:
            self.links.append(said["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    assert build(folder).startswith(str(folder / "index.html"))
    return folder


@pytest.mark.parametrize("name", ["index", *(file.stem for file in LESSONS)])
def test_a_page_loads_nothing_from_elsewhere_and_its_links_lead_somewhere(site, name):
    read = Read((site / f"{name}.html").read_text(encoding="utf-8"))
    files = [each for each in read.loaded if not each.startswith("data:")]
    assert [each for each in files if not (site / each).exists()] == []
    own = [link for link in read.links if not re.match(r"https?:", link)]
    for link in own:
        file, _, anchor = link.partition("#")
        if file.endswith(".html") or not file:
            there = (site / (file or f"{name}.html")).read_text(encoding="utf-8")
            assert not anchor or anchor in Read(there).anchors, link
    assert [link for link in own if ".ipynb" in link] == []
    assert read.without_text == 0


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_page_has_the_pictures_of_its_lesson_and_no_latex(site, file):
    page = (site / f"{file.stem}.html").read_text(encoding="utf-8")
    outputs = [
        output.data
        for cell in nbformat.read(file, 4).cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    expected = sum("image/jpeg" in data for data in outputs) + sum(
        data["text/html"].count("data:image/jpeg")
        for data in outputs
        if "text/html" in data and "image/jpeg" not in data
    )
    assert page.count("data:image/jpeg") == expected
    assert not re.search(r"\$[^$<>]*\\(?:bar|sqrt|hat)", page)


def test_a_page_leads_to_its_neighbours_once_at_either_end(site):
    page = (site / f"{LESSONS[4].stem}.html").read_text(encoding="utf-8")
    for neighbour in (LESSONS[3], LESSONS[5]):
        assert page.count(f'href="{neighbour.stem}.html" rel=') == 2
    assert "<p>←" not in page  # the lesson's own line of links


def test_a_film_moves_without_a_kernel(tmp_path, monkeypatch):
    """Run with films that keep their frames, and read back by the page."""
    source = (
        "import sdlearn\nfrom PIL import Image\n"
        "frames = [Image.new('RGB', (8, 8), name) for name in ('red', 'green', 'blue')]\n"
        "sdlearn.Scrubber(frames, ['a', 'b', 'c'], 'colour')"
    )
    head = "# 04 · A film\n\n**Why?**\n\nIn about 5 minutes"
    cells = [nbformat.v4.new_markdown_cell(head), nbformat.v4.new_code_cell(source)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    lessons = tmp_path / "notebooks"
    lessons.mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata=kernel), lessons / "04_film.ipynb"
    )
    monkeypatch.setattr(pages, "NOTEBOOKS", lessons)
    build(tmp_path / "site", ["04"], live=True)
    page = (tmp_path / "site" / "04_film.html").read_text(encoding="utf-8")

    class Film(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if "data-frames" in dict(attrs):
                self.frames = json.loads(dict(attrs)["data-frames"])

    film = Film()
    film.feed(page)
    assert (film.frames["name"], film.frames["labels"]) == ("colour", ["a", "b", "c"])
    assert len(set(film.frames["frames"])) == 3
    assert FRAMES not in (lessons / "04_film.ipynb").read_text(encoding="utf-8")


def test_bad_choices_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"lessons: some of 00, .*, got 77"):
        build(tmp_path, ["77"])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"first cell should hold the heading"):
        pages.Lesson.of(
            "bad", nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 04 · A")])
        )


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
