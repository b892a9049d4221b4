"""Lessons in a real browser, run from top to bottom; every control moved by keyboard and mouse.

These tests need Playwright (`pip install -e .[dev]`) and a Chromium on the PATH, and are skipped if
either is missing.
"""

import base64
import io
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

import start
from sdlearn._support import own_lessons
from sdlearn._support.paths import ROOT

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
QUIET += ["--disable-component-update", "--disable-sync"]
NO_WINDOWING = '{"windowingMode": "none"}'


@contextmanager
def served(command: list[str], environment: dict[str, str], home: Path):
    """A Jupyter server that keeps its settings in `home`: gives its address, and ends it."""
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(NO_WINDOWING)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    environment = environment | {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "SDLEARN_HOME": str(home / "progress"),
    }
    command = [*command, "--no-browser", "--ip=127.0.0.1", "--allow-root", f"--port={port}"]
    command.append(f"--IdentityProvider.token={token}")
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(lambda: urllib.request.urlopen(f"{url}/api?token={token}"), 60)
        yield lambda path: f"{url}{path}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module", params=["no subshells", "subshells"])
def lab(request, tmp_path_factory):
    """JupyterLab on a copy of the notebooks.

    Once as start.py starts it, without subshells, and once with ipykernel's default.
    """
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".*"))
    environment = start.environment() if request.param == "no subshells" else dict(os.environ)
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={home / 'notebooks'}"]
    with served(command, environment, home) as address:
        yield lambda name: address(f"/lab/tree/{name}")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The course as start.py opens it, in a copy of the folder."""
    root = tmp_path / "course"
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copytree(ROOT / ".jupyter", root / ".jupyter")
    (root / "assets" / "tiny-sd").mkdir(parents=True)
    shutil.copy(ROOT / "assets" / "tiny-sd" / "README.md", root / "assets" / "tiny-sd")
    monkeypatch.setattr(start, "ROOT", root)
    monkeypatch.setattr(start, "OWN", root / "my-lessons")
    _, *rest = start.lab([])
    home = tmp_path / "home"
    home.mkdir()
    with served([sys.executable, *rest], start.environment(), home) as address:
        yield address


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
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        yield page
        browser.close()
        assert not [text for text in errors if "Traceback" in text or "Error" in text]


def run_all(page):
    """Run every cell once the kernel is ready, and wait until each cell has its number."""
    page.wait_for_selector("text=/ \\| Idle/")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
            const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')];
            const done = p => /^\\[\\d+\\]:$/.test(p.innerText.trim());
            return prompts.length > 3 && prompts.every(done);
        }""",
        timeout=1_200_000,
    )


def type_into(box, text):
    """Type as a person does: replace the old text, and send the new one with Enter."""
    box.click()
    box.press("ControlOrMeta+a")
    box.press_sequentially(text)
    box.press("Enter")


def shown(page, image=".widget-image") -> np.ndarray:
    """The picture in a widget, as shown on screen."""
    source = page.locator(image).first.evaluate(
        """async image => {
            const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
            return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
        }"""
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")).astype(float)


def wait_until_changed(page, before, image=".widget-image") -> np.ndarray:
    """The picture, once it differs from the one before."""
    end = time.time() + 20
    while time.time() < end:
        now = shown(page, image)
        if now.shape != before.shape or np.abs(now - before).mean() > 1:
            return now
        page.wait_for_timeout(50)
    raise AssertionError("the picture did not change")


def opened(lab, page, lesson, guessing=True) -> None:
    """Open a lesson, run all of it, and answer its questions; no cell may fail."""
    page.goto(lab(lesson))
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    run_all(page)
    assert (
        page.locator(
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
        ).count()
        == 0
    )
    for number in range(page.locator(".sdlearn-guess").count() if guessing else 0):
        page.locator(".sdlearn-guess").nth(number).locator("button").first.click()


def screenshot(page, name, tmp_path) -> None:
    folder = Path(os.environ.get("SDLEARN_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


def answer(page, stub: str, code: str) -> str:
    """Write an answer into an exercise's cell, run it, and return what its check says."""
    cell = page.locator(".jp-CodeCell", has_text=stub).first
    cell.scroll_into_view_if_needed()
    cell.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(code)
    before = cell.locator(".jp-InputArea-prompt").inner_text()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        """([cell, before]) => {
            const now = cell.querySelector('.jp-InputArea-prompt').innerText;
            return now !== before && /\\[\\d+\\]:/.test(now);
        }""",
        arg=[cell.element_handle(), before],
    )
    return cell.locator(".jp-OutputArea-output").first.inner_text()


def test_lesson_00_runs_and_a_typed_prompt_gives_a_new_picture(lab, page, tmp_path):
    opened(lab, page, "00_start_here.ipynb")
    box = page.locator(".widget-text input[type=text]").first
    box.scroll_into_view_if_needed()
    before = shown(page)
    assert before.std() > 10
    type_into(box, "a yellow star above a white cat at night")
    stop = page.locator("button.jupyter-button", has_text="Stop")
    playwright.expect(stop).to_be_enabled()
    playwright.expect(stop).to_be_disabled(timeout=120_000)
    after = shown(page)
    screenshot(page, "00", tmp_path)
    assert np.abs(after - before).mean() > 20

    type_into(box, "an orange dragon on the beach")
    page.wait_for_selector("text=Known only in pieces")
    stop.click()
    playwright.expect(stop).to_be_disabled(timeout=20_000)
    stopped = shown(page)
    page.wait_for_timeout(1500)
    assert np.array_equal(shown(page), stopped)


def test_an_own_copy_opens_with_nothing_spoiled_and_nothing_to_save(desk, page, tmp_path):
    page.goto(desk("/"))
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    assert "/lab/tree/my-lessons/00_start_here.ipynb" in page.url
    page.wait_for_selector("text=/ \\| Idle/")
    assert page.locator(".jp-OutputArea-output").count() == 0
    page.locator("a[href*='tiny-sd/README']").first.click()
    playwright.expect(page.locator(".jp-MarkdownViewer")).to_contain_text(
        "A complete, small", ignore_case=True
    )
    screenshot(page, "desk-card", tmp_path)
    tab = page.locator(".lm-TabBar-tab", has_text="00_start_here").last
    tab.click()
    tab.locator(".lm-TabBar-tabCloseIcon").click()
    playwright.expect(page.locator(".jp-Notebook")).to_have_count(0)
    assert page.locator(".jp-Dialog").count() == 0


SLOW_WORK = """import time
import sdlearn


def slowly():
    for done in range(1, 600):
        time.sleep(0.2)
        yield sdlearn.Shown(done, "slow")


live = sdlearn.Live(slowly(), 600)
live"""


@pytest.mark.parametrize("subshells", [False, True])
def test_stop_works_while_a_cell_waits_and_the_cell_ends_in_one_line(subshells, page, tmp_path):
    notebook = nbformat.v4.new_notebook(metadata=own_lessons.METADATA)
    sources = (SLOW_WORK, "live.wait()", "print('after', live.shown.done)")
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, tmp_path / "slow.ipynb")
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={tmp_path}"]
    environment = dict(os.environ) if subshells else start.environment()
    with served(command, environment, home) as address:
        page.goto(address("/lab/tree/slow.ipynb"))
        page.wait_for_selector("text=/ \\| Idle/")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_selector("text=/of 600, about \\d+ (s|min) left: slow/")
        page.wait_for_timeout(1500)
        stop = page.locator("button", has_text="Stop")
        stop.click()
        error = page.locator(".jp-OutputArea-output", has_text="Stopped")
        print(
            page.locator(".jp-OutputArea-child", has_text="Stopped").last.evaluate(
                "e => e.outerHTML"
            )
        )
        playwright.expect(error).to_have_text(re.compile("^Stopped[.]"), timeout=20_000)
        assert len(error.inner_text().splitlines()) == 1
        assert page.locator("text=after").count() == 1  # in its source only: it did not run
        playwright.expect(stop).to_be_disabled()
        playwright.expect(page.locator("button", has_text="Go on")).to_be_enabled()
        screenshot(page, f"live-stopped-{subshells}", tmp_path)
        page.close()  # before the server goes


ONE_STEP = """def one_step(before, beta, noise):
    return {}


check.one_step(one_step)"""


def test_a_guess_hides_its_result_until_one_has_chosen(lab, page, tmp_path):
    opened(lab, page, "00_start_here.ipynb", guessing=False)
    guess = page.locator(".sdlearn-guess").first
    guess.scroll_into_view_if_needed()
    image = guess.locator("img")
    assert image.count() == 1
    playwright.expect(image).to_be_hidden()
    screenshot(page, "00-guess-before", tmp_path)
    guess.locator("button").nth(1).focus()
    page.keyboard.press("Enter")
    playwright.expect(image).to_be_visible()
    playwright.expect(guess).to_contain_text("Yes: compare the first picture with the last")
    screenshot(page, "00-guess-after", tmp_path)


def test_lesson_04_drops_a_point_that_walks_home(lab, page, tmp_path):
    opened(lab, page, "04_forward_noising.ipynb")
    plane = page.get_by_role("slider", name="chosen point")
    plane.scroll_into_view_if_needed()
    image = "[aria-label='chosen point'] img"
    before, frame = shown(page, image), page.locator(image).bounding_box()
    page.mouse.click(frame["x"] + frame["width"] * 0.1, frame["y"] + frame["height"] * 0.9)
    clicked = wait_until_changed(page, before, image)
    page.keyboard.press("ArrowUp")
    wait_until_changed(page, clicked, image)
    screenshot(page, "04-walker", tmp_path)


def test_lesson_04_scrubs_mixes_and_checks(lab, page, tmp_path):
    opened(lab, page, "04_forward_noising.ipynb")

    ladder = page.get_by_role("slider", name="t =", exact=True).first
    frame = "img[alt^='t ='] >> nth=0"
    ladder.scroll_into_view_if_needed()
    before = shown(page, frame)
    assert before.std() > 10
    ladder.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    by_keys = wait_until_changed(page, before, frame)
    playwright.expect(ladder).to_have_attribute("aria-valuetext", "t = 849")
    screenshot(page, "04-ladder", tmp_path)
    box = ladder.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] / 2)
    wait_until_changed(page, by_keys, frame)
    assert ladder.get_attribute("aria-valuetext") not in ("t = 699", "t = 849")

    mixer = page.locator(".noUi-handle").first
    mixer.scroll_into_view_if_needed()
    clean = shown(page)
    mixer.focus()
    for _ in range(4):
        page.keyboard.press("PageUp")
    noisy = wait_until_changed(page, clean)
    track = page.locator(".noUi-base").first.bounding_box()
    page.mouse.click(track["x"] + track["width"] * 0.6, track["y"] + track["height"] / 2)
    noisy = wait_until_changed(page, noisy)
    page.locator(".widget-dropdown select").first.select_option("cosine")
    other = wait_until_changed(page, noisy)
    page.wait_for_timeout(500)
    screenshot(page, "04-mixer", tmp_path)
    Image.new("RGB", (300, 200), (0, 160, 0)).save(tmp_path / "green.png")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Your picture …").click()
    chooser.value.set_files(tmp_path / "green.png")
    mine = wait_until_changed(page, other)
    assert mine[..., 1].mean() > mine[..., 0].mean() + 20

    stub = "def one_step"
    said = answer(page, stub, ONE_STEP.format("(1 - beta) * before + beta * noise"))
    assert said.startswith("✗ one_step: the square roots are missing")
    said = answer(page, stub, ONE_STEP.format("(1 - beta) ** 0.5 * before + beta**0.5 * noise"))
    assert said.startswith("✓ one_step: right")
    assert (
        page.locator(".jp-CodeCell", has_text=stub)
        .first.locator(".jp-OutputArea-output img")
        .count()
        == 1
    )
    screenshot(page, "04-exercise", tmp_path)


SCRUBBED = [
    path.stem
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if any("Scrubber" in cell.source for cell in nbformat.read(path, 4).cells)
]


SCRUBBER = "input[type=range][aria-valuetext]"  # the brush of a canvas is a range without a text


@pytest.mark.parametrize("lesson", SCRUBBED)
def test_every_scrubber_of_a_lesson_moves(lab, page, tmp_path, lesson):
    opened(lab, page, f"{lesson}.ipynb")
    sliders = page.locator(SCRUBBER)
    assert sliders.count() >= 1
    for number in range(sliders.count()):
        slider = sliders.nth(number)
        slider.scroll_into_view_if_needed()
        image = f".jp-OutputArea-output:has({SCRUBBER}) >> nth={number} >> img"
        before = shown(page, image)
        assert before.std() > 10
        at_end = slider.evaluate("s => s.value === s.max")  # films of a training open at their end
        first = slider.get_attribute("aria-valuetext")
        slider.focus()
        page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
        playwright.expect(slider).not_to_have_attribute("aria-valuetext", first)
        page.keyboard.press("Home" if at_end else "End")
        by_keys = wait_until_changed(page, before, image)
        box = slider.bounding_box()
        there = box["width"] * (0.9 if at_end else 0.1)
        page.mouse.click(box["x"] + there, box["y"] + box["height"] / 2)
        by_mouse = wait_until_changed(page, by_keys, image)
        assert by_mouse.std() > 10
        screenshot(page, f"{lesson}-{number}", tmp_path)


LIVE = ".jp-OutputArea-output:has(button:text('Go on'))"


@pytest.mark.parametrize(
    ("lesson", "count"),
    [
        ("01_generated_content", 2),
        ("02_clip", 1),
        ("07_training", 3),
        ("14_fewer_and_straighter", 2),
    ],
)
def test_what_a_lesson_trains_live_is_seen(lab, page, tmp_path, lesson, count):
    opened(lab, page, f"{lesson}.ipynb")
    assert page.locator(LIVE).count() == count
    for number in range(count):
        widget = page.locator(LIVE).nth(number)
        widget.scroll_into_view_if_needed()
        playwright.expect(widget.locator("button", has_text="Stop")).to_be_disabled(timeout=120_000)
        playwright.expect(widget.locator("button", has_text="Go on")).to_be_disabled()
        assert shown(page, f"{LIVE} >> nth={number} >> .widget-image").std() > 10
        for name in ("Stop", "Go on"):  # and each looks so
            button = widget.locator("button", has_text=name)
            assert float(button.evaluate("e => getComputedStyle(e).opacity")) < 1
        screenshot(page, f"{lesson}-live-{number}", tmp_path)


def test_lesson_07_is_stopped_and_goes_on(lab, page, tmp_path):
    opened(lab, page, "07_training.ipynb")
    answer(
        page,
        "live = sdlearn.Live(training",
        "live = sdlearn.Live(training(100_000), 100_000)\nlive",
    )
    image, stop, go_on = (
        f"{LIVE} >> nth=0 >> .widget-image",
        *(f"{LIVE} >> nth=0 >> text={t}" for t in ("Stop", "Go on")),
    )
    page.locator(stop).scroll_into_view_if_needed()
    first = wait_until_changed(page, shown(page, image), image)
    page.locator(stop).click()
    playwright.expect(page.locator(go_on)).to_be_enabled(timeout=60_000)
    stopped = shown(page, image)
    page.wait_for_timeout(3000)
    assert np.array_equal(shown(page, image), stopped)
    assert first.shape == stopped.shape
    page.locator(go_on).focus()
    page.keyboard.press("Enter")
    wait_until_changed(page, stopped, image)
    page.locator(stop).click()
    playwright.expect(page.locator(go_on)).to_be_enabled(timeout=60_000)
    screenshot(page, "07-stopped", tmp_path)


def test_lesson_03_takes_a_picture_of_ones_own(lab, page, tmp_path):
    opened(lab, page, "03_vae.ipynb")
    page.locator(".widget-image").first.scroll_into_view_if_needed()
    before = shown(page)
    Image.new("RGB", (300, 200), (0, 160, 0)).save(tmp_path / "green.png")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Your picture …").first.click()
    chooser.value.set_files(tmp_path / "green.png")
    after = wait_until_changed(page, before)
    assert after[..., 1].mean() > after[..., 0].mean() + 20
    screenshot(page, "03-round-trip", tmp_path)


def upload(page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Your picture …").first.click()
    chooser.value.set_files(file)


def test_any_photo_comes_through_and_what_is_no_photo_is_said(lab, page, tmp_path):
    opened(lab, page, "03_vae.ipynb")
    page.locator(".widget-image").first.scroll_into_view_if_needed()
    before = shown(page)
    grain = np.random.default_rng(0).integers(0, 60, (6000, 8000, 3), dtype=np.uint8)
    grain[:, :4000, 0] += 180  # red on the left: above, once it is turned as its data says
    turned = Image.Exif()
    turned[0x0112] = 6
    photo = tmp_path / "photo.jpg"
    Image.fromarray(grain).save(photo, quality=95, exif=turned)
    assert photo.stat().st_size > 20e6
    upload(page, photo)
    after = wait_until_changed(page, before)
    height, width, _ = after.shape
    left = after[:, : width // 4]
    assert (
        left[height // 8 : height // 3, :, 0].mean()
        > left[-height // 3 : -height // 8, :, 0].mean() + 60
    )
    for name, why in (
        ("photo.heic", "as JPEG"),
        ("lines.svg", "as PNG"),
        ("notes.txt", "not a picture"),
    ):
        (tmp_path / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        upload(page, tmp_path / name)
        page.wait_for_selector(f"text=/{name}.* cannot be shown: .*{why}/")
    assert np.array_equal(shown(page), after)


def test_lesson_05_goes_to_the_block_that_is_clicked(lab, page, tmp_path):
    opened(lab, page, "05_unet.ipynb")
    slider, image = page.locator("input[type=range]").first, "img[alt^='block:']"
    page.locator(image).scroll_into_view_if_needed()
    before, frame = shown(page, image), page.locator(image).bounding_box()
    page.mouse.click(frame["x"] + frame["width"] * 0.5, frame["y"] + frame["height"] * 0.3)
    wait_until_changed(page, before, image)
    playwright.expect(slider).to_have_attribute("aria-valuetext", re.compile("up_blocks.0"))
    screenshot(page, "05-ladder", tmp_path)


def test_lesson_06_looks_into_a_drawing(lab, page, tmp_path):
    opened(lab, page, "06_attention_maps.ipynb")
    picked, over, below = (
        "[aria-label='chosen point'] img",
        ".widget-image >> nth=0",
        ".widget-image >> nth=1",
    )
    page.locator(picked).scroll_into_view_if_needed()
    house = shown(page, over)
    assert house.std() > 10

    page.get_by_role("button", name="tree", exact=True).click()
    tree = wait_until_changed(page, house, over)
    page.locator(".widget-dropdown select").nth(0).select_option(index=1)
    layer = wait_until_changed(page, tree, over)
    page.locator(".widget-dropdown select").nth(1).select_option(index=2)
    wait_until_changed(page, layer, over)

    before, growing = shown(page, below), shown(page, picked)
    frame = page.locator(picked).bounding_box()
    page.mouse.click(frame["x"] + frame["width"] * 0.1, frame["y"] + frame["height"] * 0.1)
    clicked = wait_until_changed(page, before, below)
    page.keyboard.press("ArrowDown")
    wait_until_changed(page, clicked, below)
    point = page.get_by_role("slider", name="chosen point")
    assert point.get_attribute("aria-valuetext").startswith("10 percent from the left")
    handle = page.locator(".noUi-handle").first
    handle.focus()
    page.keyboard.press("PageUp")
    wait_until_changed(page, growing, picked)
    screenshot(page, "06-explorer", tmp_path)

    before = shown(page, over)
    type_into(
        page.locator(".widget-text input[type=text]").first,
        "a yellow star above a white cat at night",
    )
    playwright.expect(page.get_by_role("button", name="star", exact=True)).to_be_visible(
        timeout=120_000
    )
    wait_until_changed(page, before, over)
    screenshot(page, "06-prompt", tmp_path)


def test_the_explorer_keeps_its_two_pictures_equal_at_every_width(lab, page, tmp_path):
    opened(lab, page, "06_attention_maps.ipynb")
    left, right = (
        page.locator("[aria-label='chosen point'] img"),
        page.locator(".widget-image").first,
    )
    for width, beside in ((1280, True), (1024, None), (768, None)):
        page.set_viewport_size({"width": width, "height": 1000})
        left.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        first, second = left.bounding_box(), right.bounding_box()
        assert first["width"] == pytest.approx(second["width"], abs=4)
        assert first["width"] > 200
        assert first["height"] == pytest.approx(second["height"], abs=4)
        if beside:
            assert first["y"] == pytest.approx(second["y"], abs=6)
        for box in page.locator(".widget-dropdown select").all()[:2]:
            assert box.evaluate("e => e.selectedOptions[0].text") == "all"
            assert box.bounding_box()["width"] > 60
        for name in ("Draw", "Stop"):
            button = page.locator("button", has_text=name).first
            assert button.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        screenshot(page, f"06-explorer-{width}", tmp_path)


@pytest.mark.parametrize("lesson", ["09_text_to_image", "11_the_real_thing"])
def test_a_lesson_draws_with_another_seed_and_guidance(lab, page, tmp_path, lesson):
    opened(lab, page, f"{lesson}.ipynb")
    draw, stop = (
        page.locator("button.jupyter-button", has_text=re.compile(rf"^\s*{text}\s*$")).first
        for text in ("Draw", "Stop")  # not an answer of a quiz: "A horse, drawn …"
    )
    draw.scroll_into_view_if_needed()
    before = shown(page)
    type_into(page.locator(".widget-text input[type=number]").first, "5")
    page.locator(".noUi-handle").first.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    track = page.locator(".noUi-base").first.bounding_box()
    page.mouse.click(track["x"] + track["width"] * 0.2, track["y"] + track["height"] / 2)
    draw.click()
    playwright.expect(stop).to_be_enabled()
    playwright.expect(stop).to_be_disabled(timeout=120_000)
    after = wait_until_changed(page, before)
    assert after.std() > 10
    screenshot(page, f"{lesson}-drawn", tmp_path)


def test_lesson_10_is_painted_on_by_mouse_and_keys(lab, page, tmp_path):
    opened(lab, page, "10_image_to_image.ipynb")
    canvas = page.locator("canvas[role=application]").first
    canvas.scroll_into_view_if_needed()
    blank = painted_on(canvas)
    assert blank == 0
    frame = canvas.bounding_box()
    page.mouse.move(frame["x"] + 60, frame["y"] + 60)
    page.mouse.down()
    page.mouse.move(frame["x"] + 200, frame["y"] + 120, steps=5)
    page.mouse.up()
    by_mouse = painted_on(canvas)
    assert by_mouse > 2000
    blue = page.get_by_role("button", name="paint blue").first
    blue.click()
    assert blue.get_attribute("aria-pressed") == "true"
    brush = page.get_by_role("slider", name="size of the brush").first
    before = int(brush.input_value())
    brush.press("ArrowRight")
    assert int(brush.input_value()) > before
    playwright.expect(brush).to_be_focused()
    canvas.focus()
    ring = canvas.locator("xpath=following-sibling::div")
    playwright.expect(ring).to_be_visible()
    at = ring.bounding_box()
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    assert ring.bounding_box()["y"] > at["y"] + 50
    page.keyboard.press("Space")
    by_key = painted_on(canvas)
    assert by_key > by_mouse + 300
    page.keyboard.press("Control+z")
    assert painted_on(canvas) == by_mouse
    page.keyboard.press("Space")
    screenshot(page, "10-canvas", tmp_path)
    said = answer(
        page, "prompt = ", "prompt = int((np.asarray(canvas.mask) > 0).sum())\nprint(prompt > 2000)"
    )
    assert said.strip() == "True"
    undo = page.get_by_role("button", name="Undo").first
    page.get_by_role("button", name="Clear").first.click()
    assert painted_on(canvas) == 0
    for painted in (by_key, by_mouse, 0):
        undo.click()
        assert painted_on(canvas) == painted
    playwright.expect(undo).to_be_disabled()
    canvas.scroll_into_view_if_needed()
    frame = canvas.bounding_box()
    page.mouse.move(frame["x"] + 60, frame["y"] + 60)
    page.mouse.down()
    page.mouse.up()
    playwright.expect(ring).to_be_visible()
    page.mouse.move(frame["x"] - 40, frame["y"] + 60)
    playwright.expect(ring).to_be_hidden()

    mask = page.locator("canvas[role=application]").nth(1)
    mask.scroll_into_view_if_needed()
    before, frame = painted_on(mask), mask.bounding_box()
    page.mouse.move(frame["x"] + 40, frame["y"] + 40)
    page.mouse.down()
    page.mouse.move(frame["x"] + 120, frame["y"] + 40, steps=5)
    page.mouse.up()
    assert painted_on(mask) > before + 1000
    screenshot(page, "10-mask", tmp_path)


PLACED = """import sdlearn
from sdlearn.control import load_control

model = sdlearn.load("tiny", "cpu")
placer = sdlearn.Placer(model, load_control(model), "a red house in the snow", steps=4)
placer.draw()
placer.wait()
placer"""


@pytest.mark.parametrize("subshells", [False, True])
def test_a_house_moves_where_the_mask_is_painted(subshells, page, tmp_path):
    notebook = nbformat.v4.new_notebook(metadata=own_lessons.METADATA)
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in (PLACED, "1", "2", "3")]
    nbformat.write(notebook, tmp_path / "placed.ipynb")
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={tmp_path}"]
    environment = dict(os.environ) if subshells else start.environment()
    with served(command, environment, home) as address:
        page.goto(address("/lab/tree/placed.ipynb"))
        run_all(page)
        canvas = page.get_by_role("application").first
        for place in (0.25, 0.75):
            before, box = shown(page), canvas.bounding_box()
            x, y = box["x"] + place * box["width"], box["y"] + 0.72 * box["height"]
            page.mouse.move(x, y - 30)
            page.mouse.down()
            page.mouse.move(x, y + 30, steps=5)
            page.mouse.up()
            now = wait_until_changed(page, before)
            red = now[..., 0] - now[..., 1:].max(axis=2) > 60
            column = round(place * now.shape[1])
            assert red[:, column - 30 : column + 30].mean() > 0.05
        for width in (1280, 1024, 768):
            page.set_viewport_size({"width": width, "height": 1000})
            canvas.scroll_into_view_if_needed()
            page.wait_for_timeout(500)
            first = canvas.bounding_box()
            second = page.locator(".widget-image").first.bounding_box()
            assert first["width"] == pytest.approx(second["width"], abs=4)
            assert first["width"] > 200
            screenshot(page, f"placer-{subshells}-{width}", tmp_path)
        page.close()  # before the server goes


def painted_on(canvas) -> int:
    """The number of pixels of a canvas that are painted."""
    return canvas.evaluate(
        """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
            .filter((value, index) => index % 4 === 3 && value > 0).length"""
    )


WIDGETS = """%load_ext sdlearn
import time
import numpy as np
import sdlearn
from sdlearn import plots
from sdlearn.control import load_control
from sdlearn.widgets.guess import Guess

model = sdlearn.load("tiny")
page = sdlearn.draw(sdlearn.random_scene(3), 256)
prompt = "a red house in the snow"
#%%
plots.pipeline(model)
#%%
sdlearn.Painter(model, prompt, page)
#%%
sdlearn.Placer(model, load_control(model), prompt, size=256, steps=2)
#%%
explorer = sdlearn.AttentionExplorer(model, prompt, steps=2)
explorer.draw()
explorer.wait()
explorer
#%%
sdlearn.NoiseMixer(page, t=300)
#%%
sdlearn.RoundTrip(model, page)
#%%
sdlearn.Canvas(page)
#%%
sdlearn.Scrubber([page, page.rotate(90)], ["0", "1"])
#%%
from sdlearn.plane import shapes
sdlearn.Walker(list(shapes(50).values())[0], lambda point: [point, point / 2])
#%%
live = sdlearn.Live(iter([sdlearn.Shown(1, "one", page), sdlearn.Shown(2, "two", page)]), 2)
live.wait()
live
#%%
Guess("Which one?", {"This": "Yes.", "That": "No."}, page)
#%%
time.sleep(4)"""

UNNAMED = re.compile(
    r"^ *- (button|slider|textbox|spinbutton|progressbar|img|image|combobox|checkbox|application)"
    r"(?! \")",
    re.MULTILINE,
)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_widget_fits_is_named_and_does_not_glare(theme, page, tmp_path):
    notebook = nbformat.v4.new_notebook(metadata=own_lessons.METADATA)
    sources = WIDGETS.split("\n#%%\n")
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, tmp_path / "widgets.ipynb")
    home = tmp_path / "home"
    chosen = home / "settings" / "@jupyterlab" / "apputils-extension"
    chosen.mkdir(parents=True)
    (chosen / "themes.jupyterlab-settings").write_text(f'{{"theme": "{theme}"}}')
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={tmp_path}"]
    dark = "Dark" in theme
    with served(command, start.environment(), home) as address:
        page.goto(address("/lab/tree/widgets.ipynb"))
        page.wait_for_selector("text=/ \\| Idle/")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        waiting = page.get_by_label("This cell is running")
        playwright.expect(waiting.last).to_be_visible()
        page.wait_for_selector(f"text='[{len(sources)}]:'", timeout=120_000)
        playwright.expect(waiting).to_have_count(0)
        outputs = page.locator(".jp-OutputArea-output")
        unnamed = {}
        page.mouse.move(0, 0)
        for width in (1280, 1024, 768):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_timeout(500)
            for number, output in enumerate(outputs.all()):
                if not output.bounding_box():
                    continue
                output.scroll_into_view_if_needed()
                wide = output.evaluate("e => [e.scrollWidth, e.clientWidth]")
                assert wide[0] <= wide[1] + 1, (number, width, wide, output.inner_text()[:80])
                if output.locator(".jupyter-widgets, .lm-Widget canvas").count():
                    names = output.aria_snapshot()
                    unnamed[number] = UNNAMED.findall(names)
                screenshot(page, f"widgets-{theme[11:]}-{width}-{number:02}", tmp_path)
                for image in output.locator("img").all():
                    dimmed = image.evaluate("e => getComputedStyle(e).filter")
                    assert (dimmed == "none") is not dark, dimmed
        page.close()  # before the server goes
    assert not any(unnamed.values()), unnamed
