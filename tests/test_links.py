"""Links between the course's own files work; the weekly workflow follows links to the web."""

import re
from pathlib import Path

import nbformat
import pytest

from sdlearn._support.paths import ROOT

LESSONS = sorted(ROOT.glob("notebooks/*.ipynb"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *ROOT.glob("assets/**/README.md"),
    *LESSONS,
]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]*src=\"([^\"]+)\"")


def text_of(page: Path) -> str:
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    return "\n".join(
        cell.source for cell in nbformat.read(page, 4).cells if cell.cell_type == "markdown"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_to_files_lead_to_files(page):
    links = ["".join(found) for found in LINK.findall(text_of(page))]
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("[there](README.md), [gone](gone.md)")
    with pytest.raises(AssertionError, match=r"gone\.md"):
        test_links_to_files_lead_to_files(page)


@pytest.mark.parametrize("number", range(len(LESSONS)), ids=[file.stem for file in LESSONS])
def test_a_lesson_leads_to_its_neighbours_and_the_list_of_all(number):
    """The next one also stands at the end, and all of them in the first lesson's list."""
    name = LESSONS[number].name
    cells = nbformat.read(LESSONS[number], 4).cells
    before, after = LESSONS[max(number - 1, 0) : number], LESSONS[number + 1 : number + 2]
    overview = "#All-lessons" if number == 0 else f"{LESSONS[0].name}#All-lessons"
    assert f"[all lessons]({overview})" in cells[0].source
    assert all(f"]({file.name})" in cells[0].source for file in [*before, *after])
    assert all(f"]({file.name})" in cells[-1].source for file in after)
    assert "### All lessons" in text_of(LESSONS[0])
    title = re.match("# (.*)", cells[0].source)[1]
    assert f"| [{title}]({name}) |" in text_of(LESSONS[0])
