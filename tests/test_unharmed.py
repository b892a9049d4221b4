"""Whatever a learner's machine does to the course, nothing breaks and no work is lost."""

import gc
import itertools
import os
import queue
import random
import subprocess
import sys
import time

import ipywidgets
import numpy as np
import psutil
import pytest
import traitlets
from jupyter_client.manager import start_new_kernel
from PIL import Image

from sdlearn._support.paths import NOTEBOOKS, ROOT
from sdlearn.control import start_control
from sdlearn.widgets import (
    AttentionExplorer,
    Canvas,
    NoiseMixer,
    Painter,
    Placer,
    RoundTrip,
    Scrubber,
)

DRAW = (
    'import sdlearn; model = sdlearn.load("tiny"); sdlearn.text_to_image(model, "a red '
    'house", size=128, steps=2)'
)
SOLVE = """
from sdlearn import check
from sdlearn.exercises.progress import read
print(check.min_snr(lambda snr, most: snr.clamp(max=most) / snr))
print(sorted(read().solved))
"""


def run(code, *before, **environment):
    """Run a program in its own interpreter, after the commands in `before`, if any."""
    command = [*before, sys.executable, "-c", code]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def own_mounts():
    """`unshare -rm`: a process with its own mounts, if the system allows that."""
    try:
        subprocess.run(["unshare", "-rm", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounts of one's own are not allowed here")
    return ["unshare", "-rm", "sh", "-c"]


# --- the disk -------------------------------------------------------------------------------------


def test_a_read_only_checkout_draws(own_mounts, tmp_path):
    read_only = f'mount --bind "{ROOT}" "{ROOT}" && mount -o remount,ro,bind "{ROOT}"'
    done = run(DRAW, *own_mounts, f'{read_only} && cd "{ROOT}" && ! touch probe && exec "$@"', "sh")
    assert done.returncode == 0, done.stderr


def test_a_full_disk_costs_no_answer_and_no_earlier_progress(own_mounts, tmp_path):
    """The earlier file stays intact; the check says "right", and that progress is not kept."""
    (tmp_path / "before.json").write_text('{"solved": ["one_step"]}')
    home = tmp_path / "home"
    home.mkdir()
    small = (
        f'mount -t tmpfs -o size=8k none "{home}" && cp "{tmp_path}/before.json" '
        f'"{home}/progress.json"'
    )
    filled = f'cat /dev/zero > "{home}/filled" 2> /dev/null'
    done = run(SOLVE, *own_mounts, f'{small}; {filled}; exec "$@"', "sh", SDLEARN_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "progress is not kept" in done.stderr
    assert "✓" in done.stdout
    assert "['one_step']" in done.stdout


# --- the network ----------------------------------------------------------------------------------


def test_the_lessons_are_run_with_the_network_blocked(kernel):
    """`tests/no_network.py` runs in every kernel that the tests start, so in the whole course."""
    _, client = kernel
    said = reply(
        client, client.execute('import socket; socket.create_connection(("192.0.2.1", 80), 5)')
    )
    assert said["evalue"] == "the network is blocked: 192.0.2.1"


# --- what else is installed -----------------------------------------------------------------------


def test_a_broken_torchvision_beside_is_named_and_what_to_do(tmp_path):
    """torchvision built for another torch fails to import, and transformers imports it if found."""
    (tmp_path / "torchvision").mkdir()
    broken = 'raise RuntimeError("operator torchvision::nms does not exist")\n'
    (tmp_path / "torchvision" / "__init__.py").write_text(broken)
    done = run(DRAW, PYTHONPATH=str(tmp_path))
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: torchvision is installed and cannot be imported")
    assert "torchvision::nms does not exist" in last
    assert "pip uninstall torchvision" in last


# --- interrupts -----------------------------------------------------------------------------------

BEFORE = """
import numpy as np
import sdlearn
model = sdlearn.load("tiny")
first = sdlearn.text_to_image(model, "a red house", size=128, steps=2)
"""
DRAW_LONG = """
from sdlearn.attention import record
print("drawing", flush=True)
with record(model.unet) as maps:
    sdlearn.text_to_image(model, "a red house", steps=500)
"""
TRAIN_LONG = """
from sdlearn import families
print("drawing", flush=True)
for losses in families.train(families.VAE(), families.drawn(families.pages(8)), 100_000):
    pass
"""
AFTER = """
named = model.unet.named_modules()
hooked = [name for name, m in named if m._forward_hooks or m._forward_pre_hooks]
again = sdlearn.text_to_image(model, "a red house", size=128, steps=2)
print("hooked:", hooked, "same:", bool((np.asarray(again) == np.asarray(first)).all()))
"""


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(NOTEBOOKS))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def reply(client, identity, timeout=120):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        answer = client.get_shell_msg(timeout=timeout)
        if answer["parent_header"]["msg_id"] == identity:
            return answer["content"]
    raise TimeoutError("the kernel did not answer")


def printed(client, identity, until, timeout=120):
    """Wait until a cell has printed a text, and return all it has printed so far."""
    seen = ""
    while until not in seen:
        try:
            message = client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"{until!r} was not printed, but {seen!r}") from None
        if message["parent_header"].get("msg_id") == identity and message["msg_type"] == "stream":
            seen += message["content"]["text"]
    return seen


@pytest.mark.parametrize("work", [DRAW_LONG, TRAIN_LONG], ids=["drawing", "training"])
def test_an_interrupted_cell_leaves_nothing_behind(kernel, work):
    """No hooks are left, and the next drawing gives the same picture as before."""
    manager, client = kernel
    assert reply(client, client.execute(BEFORE))["status"] == "ok"
    # otherwise the kernel may drop requests that arrive soon after the error
    long = client.execute(work, stop_on_error=False)
    printed(client, long, "drawing")
    time.sleep(1)
    manager.interrupt_kernel()
    assert reply(client, long)["ename"] == "KeyboardInterrupt"
    after = client.execute(AFTER)
    assert "hooked: [] same: True" in printed(client, after, "same: ")
    assert reply(client, after)["status"] == "ok"


# --- widgets --------------------------------------------------------------------------------------

PAGE = Image.new("RGB", (64, 48), "#3377aa")


def widgets_of(model):
    return {
        "painter": Painter(model, "a red house", steps=2),
        "mixer": NoiseMixer(PAGE),
        "scrubber": Scrubber([PAGE] * 5, list("abcde")),
        "explorer": AttentionExplorer(model, "a red house", steps=2),
        "canvas": Canvas(PAGE),
        "placer": Placer(model, start_control(model.unet, model.factor), "a red house", steps=2),
        "round trip": RoundTrip(model, PAGE),
    }


def controls(widget):
    """Everything a learner can move: the widget itself and all widgets inside it."""
    return [
        widget,
        *(inner for child in getattr(widget, "children", ()) for inner in controls(child)),
    ]


def act(control, rng):
    """Make one move: a click, or a value that the control may or may not allow."""
    if isinstance(control, ipywidgets.Button):
        control.click()
    elif hasattr(control, "options") and control.options:
        control.value = rng.choice(control.options)
    elif isinstance(control, ipywidgets.Text):
        control.value = rng.choice(["", "a blue tree", "🎈 <b>&", "car " * 200])
    else:
        name = rng.choice(["value", "index", "t", "x", "y", "brush", "colour"])
        if control.has_trait(name):
            setattr(control, name, rng.choice([-1, 0, 1, 3, 0.25, 999, 10**9, "red", None]))


@pytest.mark.parametrize(
    "name", ["painter", "mixer", "scrubber", "explorer", "canvas", "round trip"]
)
def test_a_hundred_random_moves_break_no_widget(random_model, name):
    """A move succeeds, or the trait refuses it; work on a thread ends without an error."""
    rng, widget = random.Random(0), widgets_of(random_model)[name]
    made = 0
    for _ in range(100):
        try:
            act(rng.choice(controls(widget)), rng)
            made += 1
        except traitlets.TraitError:
            continue
    if hasattr(widget, "wait"):
        widget.wait(60)
    assert made > 20
    assert getattr(widget, "error", None) is None
    assert repr(widget)


@pytest.mark.parametrize("name", ["painter", "mixer", "explorer", "round trip"])
def test_many_runs_of_a_widget_keep_no_memory(random_model, name):
    widget = widgets_of(random_model)[name]
    moves = {
        "painter": lambda i: (setattr(widget.seed, "value", i), widget.draw(), widget.wait(20)),
        "explorer": lambda i: (setattr(widget.seed, "value", i), widget.draw(), widget.wait(20)),
        "mixer": lambda i: setattr(widget.slider, "value", i),
        "round trip": lambda i: widget.show(Image.fromarray(np.full((64, 64, 3), i, np.uint8))),
    }[name]
    # an allocator may take a block once; a leak grows in every round
    here, sizes = psutil.Process(), []
    for i in range(61):
        if i >= 20 and i % 20 == 0:
            gc.collect()
            sizes.append(here.memory_info().rss)
        moves(i)
    assert min(after - before for before, after in itertools.pairwise(sizes)) < 3e6
