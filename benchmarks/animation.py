"""`python benchmarks/animation.py`: record the README's animation, `assets/painter.webp`.

A sentence is typed into the painter, in JupyterLab in headless Chromium, and the screen is
photographed meanwhile. Needs Playwright and a Chromium on the PATH.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import sync_playwright
from widgets import run_all, serve

from sdlearn._support.paths import ASSETS

SOURCE = """import sdlearn

tiny = sdlearn.load("tiny")
prompt = "a red house left of a blue tree in the snow"
picture = sdlearn.text_to_image(tiny, prompt, seed=8)
sdlearn.Painter(tiny, prompt, picture, seed=8)"""
SENTENCES = (
    "a purple balloon above a white boat on the beach",
    "a yellow star above a green cat at night",
)
EVERY = 0.25
"""Seconds between two frames."""
WIDTH = 530
"""Of the widget, in pixels."""


def main() -> None:
    home = Path(tempfile.mkdtemp())
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cell = nbformat.v4.new_code_cell(SOURCE)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), home / "bench.ipynb")
    server, url = serve(home)
    frames = []
    try:
        with sync_playwright() as driver:
            chromium = shutil.which("chromium") or shutil.which("google-chrome")
            page = driver.chromium.launch(executable_path=chromium).new_page(
                viewport={"width": 1100, "height": 1000}
            )
            page.goto(url)
            page.wait_for_selector(".jp-CodeCell")
            run_all(page, 1)
            widget = page.locator(".jp-OutputArea-output .widget-vbox").first
            widget.scroll_into_view_if_needed()
            box = page.locator(".widget-text input").first

            def film(seconds: float) -> None:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    place = widget.bounding_box() | {"width": WIDTH}
                    frames.append(page.screenshot(clip=place))
                    page.wait_for_timeout(1000 * EVERY)

            for sentence in SENTENCES:
                box.click()
                box.press("ControlOrMeta+a")
                for word in sentence.split():
                    box.press_sequentially(f"{word} ")
                    film(0.75)
                film(6)
    finally:
        server.terminate()
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    tallest = max(picture.height for picture in pictures)  # a line of text makes the widget taller
    sheets = [Image.new("RGB", (WIDTH, tallest), "white") for _ in pictures]
    for sheet, picture in zip(sheets, pictures, strict=True):
        sheet.paste(picture)
    first, *others = sheets
    file = ASSETS / "painter.webp"
    first.save(
        file,
        save_all=True,
        append_images=others,
        duration=int(1000 * EVERY),
        loop=0,
        quality=70,
        method=6,
    )
    print(f"{file.name}: {len(frames)} frames, {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
