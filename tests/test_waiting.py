"""The bar under a cell that takes long, in a real kernel."""

import uuid

import pytest
from jupyter_client.manager import start_new_kernel

LOAD = "%load_ext sdlearn\nfrom sdlearn._support import waiting\nwaiting.AFTER = 0.3\nimport time"


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel(kernel_name="python3")
    run(client, LOAD)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, source: str, cell: str | None = "a cell") -> list[tuple[bool, str]]:
    """What a cell showed as HTML: whether each replaced what was there, and the text."""
    metadata = {"cellId": uuid.uuid4().hex} if cell else {}
    asked = client.session.msg(
        "execute_request", {"code": source, "silent": False}, metadata=metadata
    )
    client.shell_channel.send(asked)
    shown = []
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked["header"]["msg_id"]:
            continue
        content = message["content"]
        if message["msg_type"] in ("display_data", "update_display_data"):
            replaces = message["msg_type"] == "update_display_data"
            shown.append((replaces, content["data"].get("text/html", "")))
        if content.get("execution_state") == "idle":
            return shown


def test_a_long_cell_shows_a_bar_that_moves_and_goes(kernel):
    (first, bar), *changes = run(kernel, "time.sleep(2.2)")
    assert not first
    assert "<progress aria-label=" in bar
    assert all(replaces for replaces, _ in changes)
    assert [said for said in ("1 s so far", "2 s so far") if said in str(changes)]
    assert changes[-1] == (True, "")


def test_it_goes_when_the_cell_fails_or_is_interrupted(kernel):
    for end in ("1 / 0", "raise KeyboardInterrupt"):
        shown = run(kernel, f"time.sleep(0.8)\n{end}")
        assert shown[-1] == (True, "")


def test_a_short_cell_shows_none(kernel):
    assert run(kernel, "1 + 1") == []


def test_a_notebook_that_is_run_without_anyone_watching_stays_as_it_was(kernel):
    assert run(kernel, "time.sleep(0.8)", cell=None) == []


def test_the_cell_that_loads_it_has_it_too():
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        shown = run(client, f"{LOAD}\ntime.sleep(2.5)\nimport sdlearn")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "<progress" in shown[0][1]
    assert shown[-1] == (True, "")


def test_work_with_a_bar_of_its_own_shows_only_that(kernel):
    run(kernel, "from sdlearn.widgets import Live, Shown")
    work = """
def steps():
    for done in range(8):
        time.sleep(0.1)
        yield Shown(done + 1)
live = Live(steps(), 8)
live.wait()
"""
    assert not any("This cell is running" in said for _, said in run(kernel, work))
    assert "This cell is running" in str(run(kernel, "time.sleep(0.8)"))  # the next one has it
