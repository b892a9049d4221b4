"""`python benchmarks/widgets.py`: from a key press to the new picture on screen.

It is measured in JupyterLab in headless Chromium, in one run: for the scrubber, whose pictures are
in the browser; for the live mixer; for what most notebooks do, `interact` with pyplot; and for the
painter's sketch of what is typed, by the model itself (8 steps with guidance) and with the LoRA of
lesson 14 (4 calls). Needs Playwright and a Chromium on the PATH.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

from sdlearn._support.paths import ROOT

sys.path.insert(0, str(ROOT))
import start

PRESSES = 40
SETUP = """
%matplotlib inline
import numpy as np, torch, ipywidgets, matplotlib.pyplot as plt, sdlearn
from sdlearn.images import to_pictures, to_pixels
from sdlearn.noising import Schedule, add_noise
picture = sdlearn.draw(sdlearn.random_scene(3), 512)
pixels, noise = to_pixels(np.asarray(picture)[None]), torch.randn(1, 3, 512, 512)
schedule = Schedule.named("scaled_linear")
model = sdlearn.load("tiny")
def noisy(t): return to_pictures(add_noise(schedule, pixels, t, noise))[0]
"""
WAYS = {
    "scrubber": """
from PIL import Image
ts = range(0, 1000, 20)
sdlearn.Scrubber([Image.fromarray(noisy(t)) for t in ts], [str(t) for t in ts])
""",
    "live mixer": "sdlearn.NoiseMixer(picture)",
    "interact + pyplot": """
@ipywidgets.interact(t=(0, 999))
def show(t=0):
    plt.figure(figsize=(5.12, 5.12)); plt.imshow(noisy(t)); plt.axis("off"); plt.show()
""",
    "painter": "sdlearn.Painter(model, 'a red house')",
    "painter + LoRA": """
from sdlearn.evaluate.adapters import with_few_steps
sdlearn.Painter(with_few_steps(model), 'a red house')
""",
}
FOCUS = {
    "scrubber": "input[type=range]",
    "live mixer": ".noUi-handle",
    "interact + pyplot": ".noUi-handle",
    "painter": "input[type=text]",
    "painter + LoRA": "input[type=text]",
}
LATENCY = """([selector, index]) => new Promise(resolve => {
    const output = document.querySelectorAll('.jp-CodeCell')[index];
    const shown = () => [...output.querySelectorAll('img')];
    const source = () => shown().map(image => image.src.slice(-400)).join();
    const before = source(), start = performance.now();
    const done = () => resolve(performance.now() - start);
    const look = () => {
        const images = shown();
        if (images.length && source() !== before && images.every(image => image.complete)) {
            requestAnimationFrame(() => requestAnimationFrame(done));
        } else if (performance.now() - start > 5000) { resolve(null);
        } else { setTimeout(look, 1); }
    };
    look();
})
"""


def serve(home: Path) -> tuple[subprocess.Popen, str]:
    """JupyterLab as start.py starts it, on a free port."""
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--allow-root",
    ]
    command += [f"--IdentityProvider.token={token}", f"--notebook-dir={home}"]
    environment = {**start.environment(), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}")
            break
        except OSError:
            time.sleep(0.3)
    return server, f"http://127.0.0.1:{port}/lab/tree/bench.ipynb?token={token}&reset"


def run_all(page: Page, count: int) -> None:
    page.wait_for_selector("text=/ \\| Idle/")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_selector(f".jp-CodeCell >> nth={count - 1} >> input", timeout=180_000)
    page.wait_for_selector("text=/ \\| Idle/")


def latencies(page: Page, way: str, index: int) -> list[float]:
    """Milliseconds of every key press: the press is sent first, then the page is watched."""
    cell = page.locator(".jp-CodeCell").nth(index)
    cell.scroll_into_view_if_needed()
    cell.locator(FOCUS[way]).first.focus()
    found = []
    for _ in range(PRESSES):
        watch = page.evaluate_handle(
            f"args => {{ window.watched = ({LATENCY})(args) }}", [way, index]
        )
        page.keyboard.press("s" if way.startswith("painter") else "ArrowRight")
        found.append(page.evaluate("() => window.watched"))
        watch.dispose()
        page.wait_for_timeout(150)
    return [value for value in found if value is not None]


def main() -> None:
    home = Path(tempfile.mkdtemp())
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (SETUP, *WAYS.values())]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), home / "bench.ipynb")
    server, url = serve(home)
    try:
        with sync_playwright() as driver:
            chromium = (
                shutil.which("chromium")
                or shutil.which("chromium-browser")
                or shutil.which("google-chrome")
            )
            browser = driver.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1200, "height": 1400})
            page.set_default_timeout(60_000)
            page.goto(url)
            run_all(page, len(cells))
            print("| way | median ms | slowest ms | pictures seen |\n|---|---|---|---|")
            for index, way in enumerate(WAYS, 1):
                found = latencies(page, way, index)
                print(
                    f"| {way} | {statistics.median(found):.0f} | {max(found):.0f} | {len(found)} "
                    f"of {PRESSES} |"
                )
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
