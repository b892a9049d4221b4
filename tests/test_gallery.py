"""`make gallery`: a lesson as a self-contained page."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from sdlearn._support.paths import ROOT


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_a_page_of_the_gallery_has_its_pictures_and_loads_nothing(tmp_path):
    lesson = ROOT / "notebooks" / "04_forward_noising.ipynb"
    pictures = lesson.read_text(encoding="utf-8").count('"image/jpeg"')
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
