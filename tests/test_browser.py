"""Lesson 00 in a real browser: run from top to bottom, a typed prompt gives a new picture, Stop stops.

Needs Playwright (`pip install -e .[dev]`) and a Chromium on the PATH; skipped where either is missing.
"""

import base64
import io
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import start

playwright = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).resolve().parents[1]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
NO_WINDOWING = '{"windowingMode": "none"}'


@pytest.fixture(scope="module", params=["no subshells", "subshells"])
def lab(request, tmp_path_factory):
    """JupyterLab on a copy of the notebooks, as start.py starts it, and with ipykernel's own default."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".*"))
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(NO_WINDOWING)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    environment = start.environment() if request.param == "no subshells" else dict(os.environ)
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--notebook-dir={home / 'notebooks'}", "--allow-root"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(lambda: urllib.request.urlopen(f"{url}/api?token={token}"), 60)
        yield lambda name: f"{url}/lab/tree/{name}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(attempt, timeout):
    end = time.time() + timeout
    while True:
        try:
            return attempt()
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.3)


@pytest.fixture
def page():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def run_all(page):
    """Run every cell once the kernel is there, and wait until each has its number."""
    page.wait_for_selector("text=/ \\| Idle/")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
            const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')];
            return prompts.length > 3 && prompts.every(p => /^\\[\\d+\\]:$/.test(p.innerText.trim()));
        }""",
        timeout=300_000,
    )


def type_into(box, text):
    """As a person types: what was there is replaced, Enter sends it."""
    box.click()
    box.press("ControlOrMeta+a")
    box.press_sequentially(text)
    box.press("Enter")


def shown(page) -> np.ndarray:
    """The picture in the widget, as it is on screen."""
    source = page.locator(".widget-image").first.evaluate(
        """async image => {
            const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
            return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
        }"""
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")).astype(float)


def test_lesson_00_runs_and_a_typed_prompt_gives_a_new_picture(lab, page, tmp_path):
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(lab("00_start_here.ipynb"))
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type*='error']").count() == 0

    box = page.locator(".widget-text input[type=text]").first
    box.scroll_into_view_if_needed()
    before = shown(page)
    assert before.std() > 10
    type_into(box, "a yellow star above a white cat at night")
    stop = page.locator("button.jupyter-button", has_text="Stop")
    playwright.expect(stop).to_be_enabled()
    playwright.expect(stop).to_be_disabled(timeout=120_000)
    after = shown(page)
    page.screenshot(path=os.environ.get("SDLEARN_SCREENSHOT", tmp_path / "lesson00.png"))
    assert np.abs(after - before).mean() > 20

    type_into(box, "an orange dragon on the beach")
    page.wait_for_selector("text=Known only in pieces")
    stop.click()
    playwright.expect(stop).to_be_disabled(timeout=20_000)
    stopped = shown(page)
    page.wait_for_timeout(1500)
    assert np.array_equal(shown(page), stopped)
    assert not [text for text in errors if "Traceback" in text or "Uncaught" in text]
