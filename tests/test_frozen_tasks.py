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
    "duel-v1": "b6c5989402b6355ab7942ff5168da559fa33694f3e144bef01b40b74fa899936",
    "pricing-duel-v0": "7d45f2463da863f7dffd53eb74ea1950b064ef675d3fd91ac59be8f12538bc27",
    "market-v0": "519476df5280f00412a1b8a57febac6c81797452ae94ef460b1525fbadd9897c",
    "ecommerce-v1": "35421160b5a1bf05ef1c251d254ef00607ed3ba6fa495d6a56add68b7a389d97",
    "coverage-v0": "1959f3f04df098f357c74afcc2223369d0655e498845db4dbd32db1430ce23bb",
    "journey-v1": "3ff0d75d117a833692a59ee3f87f64e6614e9f55dad99af4b4133b092a14602c",
    "social-v1": "1a305c3d88928afdce12dd7ecb49fa00025a7e11173000030c2de28361303e21",
    "news-v1": "5ccdae6f3aca8b858d1c781c62da692f78cfd586f802b57a4de94cabdeb0ffb2",
    "streaming-v1": "9e9742dd983c3781578134cbaae36a3a9face543b0610a88671326be8d411c4b",
    "coldstart-v1": "8e348538ff2edfb0e6b4513ef1d29dbac916fee0692ad250d0149394aa6fd50d",
    "grocery-v1": "a384aabde1a458cb3fdba7c678aa54b5f4dd46d58fe75cbbe02648267e5d5ff4",
    "rivals-v1": "973aaf42a242110535e9fe2d5d65c4328820a5e8a056fe9fd97e44caca4fecbe",
}  # fmt: skip
PLAY: dict[str, str] = {
    "duel-v1": "f2d74c310f675de94ff378fcdb1483c8e4561702cd77a73cb6a16c01b6ea5324",
    "pricing-duel-v0": "0adf4dbfdafa3993efcadc26f796952c7bd181dcbfefeed1b6cb53951ce65897",
    "market-v0": "0944fbd55af2f172489ba8626a672830a5b732d9c259d031cc2d9b1ac31b1999",
    "ecommerce-v1": "a084286049fd9a949b8a11531013496abf184a5fb60189c607a0b98f3f22b11e",
    "coverage-v0": "b88bfd75be40e67891e83c2b37e6694ab5b65dda6e42e960d68abedb28992af5",
    "journey-v1": "84362cdf5d68ab480ebad1e422156f6e2d808f0fd1b1daf97d6c461287103790",
    "social-v1": "6816af2f6829d46ab07fcb1a24926071dfd31c0db492eca3e6f26aed64c7b2bf",
    "news-v1": "517d6cc5fda1d2d97ed0cc8cd17069748e8dba95a76fbea59cef52e6b447c8b2",
    "streaming-v1": "655c33e1671db7e85a2e3bb0538e05af771ac728f4952f3ef24a5449a7a38965",
    "coldstart-v1": "2fee4e43268969a291d30aacd6f9e2e85ff4fb5e2743073d626ded4335f3bf12",
    "grocery-v1": "14b5552fe02ebc8a4dd0f8e18dfd37c9d834b340c5be06a049a8fffa9ea9a177",
    "rivals-v1": "b84b05c6f83bfd99cec14d861459263f5c65e07dd45862905dbc457f862ff801",
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
