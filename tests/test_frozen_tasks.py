"""A task never changes under its name: its numbers and what it plays are as they were when its version was given.

`CONFIG` breaks with any field of a task, `PLAY` with anything that the worlds, the dynamics or the observations make of
it. What changes a task gives it the next version. Where neither the game nor its observations change, such as with a
new field whose default does nothing, `PLAY` stays; `python -m tests.test_frozen_tasks` prints both tables as they are
now.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, vector_env

CONFIG: dict[str, str] = {
    "duel-v1": "f940300be97db8b139dfca0c7430111c4f4d4f547722d634c48fecebafbb17aa",
    "ecommerce-v1": "4cecfeb9abd2d5ffbf7c46480d97c9d6dfacc08aa8abadd9e9eff92a9239e567",
    "journey-v1": "7b021a6e05ad4abe6ce9ddc6b640b166cd64460d65c7db8855d34f6803581523",
    "social-v1": "d66d0aa287609697e1e9363bd015447e2848d1e372d883f28b618b17123e328a",
    "news-v1": "1785bf4b4d69a2f84a58c510d68557a4c2011527ceff579f0b8f327bb7210372",
    "streaming-v1": "f1800049b21cf5598bdfe43dc58328b55136a579e8fb947893622b86b4adbb14",
    "coldstart-v1": "23c4eee17a7c6eb139600f8f90b2bce9b32faf91853d59568833f2487308b685",
    "grocery-v1": "cc9b76a3975209540237c1419b1bbfa9af17691a8fc1d4b5d69fdefc00e3da7b",
    "rivals-v1": "c5b7472c5a661a1b4137ad9584afdf422733624128dc2441bf238c2e3a48381a",
}  # fmt: skip
PLAY: dict[str, str] = {
    "duel-v1": "2e8a72ac3e741cc1b6a4372a9e3ae10960d3954803a4244f31c72a469a68eb4a",
    "ecommerce-v1": "b584024e807ffe6d3d78b2b34a1394e19b55fd5f353f25e95cd9bf0b359abb30",
    "journey-v1": "954d45f476a45a25b007de09d0f27efc2db163d1aa4344bbe1fe21336f1358bd",
    "social-v1": "e02433e5d7e3928525dd27185c10c2cfb15fbb47df44dcc2cce4feca0146583f",
    "news-v1": "9dbf65d645af5577391e8889851b478a01585a08837c8b21a0bf86d7c0cfe4d5",
    "streaming-v1": "bab4b89d41cab58ca708c1bfe5f48149df5b148d55587b0dc544343071877c8f",
    "coldstart-v1": "c9b865b09f5decd068ca78ef12f401b2344f438ee642d5a458a1046c1b5d8fbd",
    "grocery-v1": "59c413387fc4df81e39d24bf977230e040354d44012e724669dbcebff6da9d54",
    "rivals-v1": "f682ed314d7c282f9e40c5ea57321f034f22af5963514bc90b4fd63c2a1f18ac",
}  # fmt: skip
COPIES, TICKS, SEED = 2, 300, 20260101


def config_digest(task: str) -> str:
    """SHA-256 of all numbers of a task; what is said about it may change."""
    numbers = {name: value for name, value in dataclasses.asdict(TASKS[task]).items() if name != "description"}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def play_digest(task: str) -> str:
    """SHA-256 of the bytes of everything that some hundred ticks with random actions return."""
    envs, digest = vector_env(task, COPIES), hashlib.sha256()
    stream = random.Random(SEED)  # the sequence of its `random` is the same in every version of Python
    digest.update(envs.reset(seed=SEED)[0].tobytes())
    for _ in range(TICKS):
        observations, rewards, _, truncated, infos = envs.step(drawn(envs, stream))
        told = [infos[name] for name in sorted(infos) if not name.startswith("final")]
        for array in (observations, rewards, truncated, envs.state(), *told):
            digest.update(array.tobytes())
    return digest.hexdigest()


def drawn(envs: VectorEnv, stream: random.Random) -> np.ndarray:
    """Actions [B, N, ...] at random."""
    actions = envs.empty_actions()
    sizes = np.broadcast_to(getattr(envs.action_space, "nvec", getattr(envs.action_space, "n", 0)), actions.shape)
    actions.flat = [int(stream.random() * n) for n in sizes.flat]
    return actions


@pytest.mark.parametrize("task", CONFIG)
def test_a_task_never_changes_under_its_name(task: str) -> None:
    assert config_digest(task) == CONFIG[task], f"a number of {task} has changed: give the task its next version"
    assert play_digest(task) == PLAY[task], (
        f"{task} plays or shows something else than before: give the task its next version"
    )


def test_every_task_is_frozen() -> None:
    assert set(CONFIG) == set(PLAY) == set(TASKS)


if __name__ == "__main__":
    for table, digest in (("CONFIG", config_digest), ("PLAY", play_digest)):
        print(f"{table}: dict[str, str] = {{")
        for name in TASKS:
            print(f'    "{name}": "{digest(name)}",')
        print("}  # fmt: skip")
