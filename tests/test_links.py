"""Links between the course's own files work; the weekly workflow follows links to the web."""

import re
from pathlib import Path

import nbformat
import pytest

from sdlearn._support.paths import ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *ROOT.glob("assets/**/README.md"),
    *sorted(ROOT.glob("notebooks/*.ipynb")),
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
