"""verifiers: a tiny language model learns in both seats, by the policy gradient; verifiers plays and keeps the traces.

verifiers leaves learning to a trainer, so the loop is `tiny.Speaker.learn`. The model answers at an address on this
machine, as a trainer's inference server does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.dialects.chat import message_to_wire
from verifiers.v1.utils.loaders import load_environment, resolve_env_config

from . import TASK, main
from .tiny import GAME, Conversation, Speaker

ALGORITHMS = ("policy gradient",)
PAGES, GROUP, GROUPS, UPDATES = 8, 4, 4, 60
MODULE = f"""
from recsys_env.adapters.verifiers import environment

Taskset, Env, Harness = environment({TASK!r}, pages={PAGES}, seeds=range({UPDATES * GROUPS}), **{GAME!r})
__all__ = ["Env", "Harness", "Taskset"]
"""


@contextmanager
def served(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """Serve chat completions on a free port of the loopback interface, and give the address.

    Args:
        answer: a request -> the message that the model answers with.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            choice = {"index": 0, "message": {"role": "assistant", **answer(asked)}, "finish_reason": "stop"}
            said = {"id": "0", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the terminal clear."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def loaded(module: str, source: str, folder: Path) -> vf.Env:
    """Write a module into a folder, and return its environment as verifiers loads it."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    sys.path.insert(0, str(folder))
    return load_environment(resolve_env_config({"taskset": {"id": module}}))


async def play(env: vf.Env, tasks: list[vf.Task], address: str) -> list[list[vf.Episode]]:
    """Play a group of episodes of each task."""
    client = vf.EvalClientConfig(base_url=address, api_key_var="NO_KEY")
    context = vf.ModelContext(model="tiny", client=client, sampling=vf.SamplingConfig())
    episodes = await asyncio.gather(*(env.run_episode(task, context) for task in tasks for _ in range(GROUP)))
    return [episodes[i : i + GROUP] for i in range(0, len(episodes), GROUP)]


def seat(episodes: list[vf.Episode], agent: str) -> list[tuple[Conversation, float]]:
    """Return what one seat said in each episode, and what it earned."""
    traces = [trace for episode in episodes for trace in episode.by_agent[agent]]
    return [([message_to_wire(m) for m in trace.branches[-1].messages], trace.reward) for trace in traces]


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    speaker, lock = Speaker(seed), threading.Lock()

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        with lock:
            return {"content": speaker.answers([asked["messages"]])[0]}

    async def learn(env: vf.Env, address: str) -> None:
        tasks = list(env.taskset)
        async with env.serving():
            for i in range(0, len(tasks), GROUPS):
                groups = await play(env, tasks[i : i + GROUPS], address)
                speaker.learn([seat(group, agent) for group in groups for agent in ("recommender_0", "recommender_1")])

    before, began = speaker.earns(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, served(answer) as address:
        asyncio.run(learn(loaded("compat_duel", MODULE, Path(folder)), address))
    seconds = time.perf_counter() - began
    steps = UPDATES * GROUPS * GROUP * PAGES * 2
    return {"agent_steps": steps, "seconds": seconds, "before": before, "after": speaker.earns()}


if __name__ == "__main__":
    main(train, ALGORITHMS)
