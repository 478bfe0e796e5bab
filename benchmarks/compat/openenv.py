"""OpenEnv: a tiny language model learns over connections to a server on this machine, by the policy gradient.

OpenEnv serves environments and leaves learning to a trainer, so the loop is `tiny.Speaker.learn`. The other agent plays
at random.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from recsys_env.adapters.openenv import PageAction, PageClient, page_app

from . import TASK, main
from .tiny import GAME, Conversation, Speaker

ALGORITHMS = ("policy gradient",)
PAGES, GROUP, GROUPS, UPDATES = 8, 8, 4, 60


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve on a free port of the loopback interface, and give the address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def play(speaker: Speaker, clients: list[Any], seeds: list[int]) -> list[tuple[Conversation, float]]:
    """Play a rollout on each connection; the model answers all of them at once."""
    results = [client.reset(seed=seed) for client, seed in zip(clients, seeds, strict=True)]
    talks: list[Conversation] = [[] for _ in clients]
    earned = [0.0] * len(clients)
    while open_ones := [i for i, result in enumerate(results) if not result.done]:
        for i in open_ones:
            talks[i].append({"role": "user", "content": results[i].observation.prompt})
        for i, answer in zip(open_ones, speaker.answers([talks[i] for i in open_ones]), strict=True):
            talks[i].append({"role": "assistant", "content": answer})
            results[i] = clients[i].step(PageAction(answer=answer))
            earned[i] += results[i].reward
    return list(zip(talks, earned, strict=True))


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    speaker = Speaker(seed)
    before, began = speaker.earns(), time.perf_counter()
    with served(page_app(TASK, background="random", pages=PAGES, **GAME)) as address, ExitStack() as stack:
        clients = [stack.enter_context(PageClient(base_url=address).sync()) for _ in range(GROUP * GROUPS)]
        for update in range(UPDATES):
            seeds = [update * GROUPS + i // GROUP for i in range(len(clients))]
            rollouts = play(speaker, clients, seeds)
            speaker.learn([rollouts[i : i + GROUP] for i in range(0, len(rollouts), GROUP)])
    seconds = time.perf_counter() - began
    steps = UPDATES * GROUPS * GROUP * PAGES
    return {"agent_steps": steps, "seconds": seconds, "before": before, "after": speaker.earns()}


if __name__ == "__main__":
    main(train, ALGORITHMS)
