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
    "duel-v1": "c6bff9c35c611c5bb9000680bd2ca8a564c2d70975da2095a736606fe8e1a1c3",
    "pricing-duel-v0": "4b935d9e7a1bb531917a9de892f3f84b8aedaec9e5a7e3dd6e90a94020b4753f",
    "market-v0": "4d3be83e79c070faadf701d020f917a6f50528de4844cdb4d001065cdeb00705",
    "ecommerce-v1": "904e2b4b4a105a8da73b280dc30bfcc00bb1433bdc60b8a6bd407b34f0eee1df",
    "coverage-v0": "8b9a16146d60c687bdaf8aa35253c54f82c05f98c69bd79ca8b6561742b4786b",
    "journey-v1": "60fcaa55ebc0df7f5eb121d938e62ff66e821727dab8541f704cc11a29ef1910",
    "social-v1": "0235167df6ab19e779fb3abb5393bbc0931a6d529a9ebabdf4063de88eb9dde6",
    "news-v1": "ed85a3da033e37a4986dc1f4a51fbce6024148e648109af72abb8f0fb21d9d87",
    "streaming-v1": "7d3f878f2ae3f5f28e0bf9beecf524f203e77944d4cd09de89955fa9ddcc9478",
    "coldstart-v1": "2521039d9fa1a9240209b6948b96e078d19b805cec6dc5fe144c5e92e4e62e27",
    "grocery-v1": "e5a24a644afe5d444bed059ce0923108cfe70a227f58fdbb763e980270dbe142",
    "rivals-v1": "45f6408bface70d819246739feeca06767089a1b2ab4ed37b9176bf89b7731c7",
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
    "streaming-v1": "1f8f805e4b2f3030ddf6ffd95547a15ce180a98425fdce633cd007a3f430b650",
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
