"""`python benchmarks/hub.py`: a class on one machine, through JupyterHub, everybody at once.

It starts a JupyterHub with its proxy on this machine, with `deploy/jupyterhub_config.py`. Then each
learner, through the hub's own API, starts a server, opens their copy of lesson 00, runs all of its
cells, and types into the painter. Nothing here is shared between learners but the course's files.
Linux only. It needs `.venv/bin/pip install jupyterhub` and `npm install -g
configurable-http-proxy`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from jupyter_server.services.kernels.connection.base import deserialize_binary_message
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from sdlearn._support.paths import ROOT

LESSON = "my-lessons/00_start_here.ipynb"
TYPED = (
    "a blue house",
    "a yellow cat by night",
    "two trees in the snow",
    "a red car",
    "a green bird",
)
MACHINE_GB = 24
CONFIG = """
load_subconfig({ours!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {port} + 1
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{port_of_proxy}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.args = {args!r}
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.services = [{{"name": "class", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{
    "name": "class",
    "services": ["class"],
    "scopes": ["admin:users", "admin:servers", "access:servers"],
}}]
"""


@dataclass
class Learner:
    """What one learner saw, in seconds."""

    name: str
    server: float = 0
    lesson: float = 0
    cells: list[float] = field(default_factory=list)
    sketches: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)


class Kernel:
    """A kernel of one learner's server, spoken to through the hub's proxy."""

    def __init__(self, socket):
        self.socket, self.session = socket, uuid.uuid4().hex
        self.text_box, self.images = None, set()

    async def run(self, source: str) -> None:
        """Run a cell to its end. Raises RuntimeError with what the kernel said if it fails."""
        asked = self._send("execute_request", {"code": source, "silent": False})
        idle = replied = False
        while not (idle and replied):
            message = await self._next()
            kind, content = message["msg_type"], message["content"]
            if kind == "comm_open":
                self._remember(content)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if kind == "execute_reply":
                replied = True
                if content["status"] != "ok":
                    raise RuntimeError(f"{content['ename']}: {content['evalue']}\n{source}")
            idle = idle or (kind == "status" and content["execution_state"] == "idle")

    async def type(self, prompt: str) -> tuple[float, float]:
        """Type into the painter. The seconds until its sketch arrives, and until its picture."""
        start = time.perf_counter()
        update = {"method": "update", "state": {"value": prompt}, "buffer_paths": []}
        self._send("comm_msg", {"comm_id": self.text_box, "data": update})
        sketch = await self._image() - start
        return sketch, await self._image() - start

    async def _image(self) -> float:
        """The time at which the next picture of a widget arrives."""
        while True:
            content = (await self._next())["content"]
            changed = content.get("data", {}).get("buffer_paths", [])
            if content.get("comm_id") in self.images and ["value"] in changed:
                return time.perf_counter()

    def _remember(self, content: dict) -> None:
        state = content["data"].get("state", {})
        if state.get("description") == "Prompt":
            self.text_box = content["comm_id"]
        if state.get("_model_name") == "ImageModel":
            self.images.add(content["comm_id"])

    def _send(self, kind: str, content: dict) -> str:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "version": "5.3"}
        header |= {"username": "", "session": self.session}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.write_message(json.dumps({"channel": "shell", **message}))
        return header["msg_id"]

    async def _next(self) -> dict:
        message = await self.socket.read_message()
        if message is None:
            raise RuntimeError("the connection to the kernel was closed")
        if isinstance(message, bytes):
            return deserialize_binary_message(message)
        return json.loads(message)


class Class:
    """The hub's API, with the rights of its teacher."""

    def __init__(self, port: int, token: str):
        self.address, self.headers = f"127.0.0.1:{port}", {"Authorization": f"token {token}"}
        self.client = AsyncHTTPClient(max_clients=200)

    async def ask(self, method: str, path: str, body: dict | None = None) -> dict | None:
        request = HTTPRequest(
            f"http://{self.address}{path}",
            method,
            self.headers,
            json.dumps(body or {}) if method == "POST" else None,
            request_timeout=300,
        )
        answer = (await self.client.fetch(request)).body
        return json.loads(answer) if answer else None

    async def is_up(self, seconds: int = 60) -> None:
        for _ in range(seconds):
            try:
                await self.ask("GET", "/hub/api/")
                return
            except (OSError, HTTPClientError):
                await asyncio.sleep(1)
        raise SystemExit("JupyterHub did not start; its log is above")

    async def is_ready(self, name: str) -> bool:
        servers = (await self.ask("GET", f"/hub/api/users/{name}"))["servers"]
        return bool(servers) and servers[""]["ready"]

    async def learn(self, name: str) -> Learner:
        """Everything that one learner does."""
        learner, start = Learner(name), time.perf_counter()
        await self.ask("POST", f"/hub/api/users/{name}")
        await self.ask("POST", f"/hub/api/users/{name}/server")
        while not await self.is_ready(name):
            await asyncio.sleep(0.5)
        learner.server = time.perf_counter() - start
        lesson = await self.ask("GET", f"/user/{name}/api/contents/{LESSON}")
        opened = {"path": LESSON, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        session = await self.ask("POST", f"/user/{name}/api/sessions", opened)
        channels = f"ws://{self.address}/user/{name}/api/kernels/{session['kernel']['id']}/channels"
        request = HTTPRequest(channels, headers=self.headers)
        kernel = Kernel(await websocket_connect(request, max_message_size=2**27))
        start = time.perf_counter()
        for cell in lesson["content"]["cells"]:
            if cell["cell_type"] == "code":
                began = time.perf_counter()
                await kernel.run(cell["source"])
                learner.cells.append(time.perf_counter() - began)
        learner.lesson = time.perf_counter() - start
        for prompt in TYPED:
            sketch, picture = await kernel.type(prompt)
            learner.sketches.append(sketch)
            learner.pictures.append(picture)
        return learner

    async def together(self, learners: int) -> list[Learner]:
        await self.is_up()
        return await asyncio.gather(*(self.learn(f"learner{n + 1}") for n in range(learners)))


@contextmanager
def hub(port: int, token: str, folder: Path):
    """A running JupyterHub, stopped with everything that it started."""
    config = folder / "jupyterhub_config.py"
    homes = folder / "homes"
    homes.mkdir()
    settings = {
        "ours": str(ROOT / "deploy/jupyterhub_config.py"),
        "homes": str(homes),
        "args": ["--allow-root"] if os.geteuid() == 0 else [],
    }
    config.write_text(CONFIG.format(port=port, port_of_proxy=port + 2, token=token, **settings))
    log = (folder / "log").open("w")
    running = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "--config", str(config)],
        cwd=folder,
        env=os.environ | {"SDLEARN_COURSE": str(ROOT)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield running
    except BaseException:
        print("\n".join((folder / "log").read_text().splitlines()[-30:]), file=sys.stderr)
        raise
    finally:
        family = psutil.Process(running.pid).children(recursive=True)
        running.terminate()
        running.wait(60)
        for process in psutil.wait_procs(family, 20)[1]:
            process.kill()


def gigabytes(hub: subprocess.Popen) -> float:
    """The proportional share of memory of the hub, its proxy and all learners' processes."""
    family = psutil.Process(hub.pid).children(recursive=True)
    return sum(process.memory_full_info().pss for process in family) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--learners", type=int, default=10)
    parser.add_argument("--port", type=int, default=18000)
    choice = parser.parse_args()
    if importlib.util.find_spec("jupyterhub") is None:
        raise SystemExit("jupyterhub is missing: .venv/bin/pip install jupyterhub")
    if not shutil.which("configurable-http-proxy"):
        raise SystemExit(
            "configurable-http-proxy is missing: npm install -g configurable-http-proxy"
        )
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as made, hub(choice.port, token, Path(made)) as running:
        learners = asyncio.run(Class(choice.port, token).together(choice.learners))
        memory = gigabytes(running)
    told = {
        "a server, from the button to the lesson": [one.server for one in learners],
        "lesson 00, all of its cells": [one.lesson for one in learners],
        "a cell": [second for one in learners for second in one.cells],
        "the painter: its sketch of what was typed": [
            second for one in learners for second in one.sketches
        ],
        "the painter: the picture": [second for one in learners for second in one.pictures],
    }
    print("| what a learner waits for | median s | slowest s |\n|---|---|---|")
    for what, seconds in told.items():
        print(f"| {what} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")
    each = memory / choice.learners
    print(
        f"\n{choice.learners} learners at once on {os.cpu_count()} cores, none of whom saw an "
        f"error. Together they took {memory:.1f} GB, {each:.2f} GB each with their own JupyterLab: "
        f"{int(MACHINE_GB / each)} fit in {MACHINE_GB} GB."
    )


if __name__ == "__main__":
    main()
