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
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, vector_env

CONFIG: dict[str, str] = {
    "duel-v1": "c95be0d8a5e95a7210a44ff74f347c1854e9bb04ceeae66db597dcf23cd1e4b9",
    "pricing-duel-v0": "d7573498860b93082a414eb1588a824e986304dd03357cfc576e81bc98245540",
    "market-v0": "89576c57958b9e359f5b167b02fb83e67d20c04d9f39558446fe64b419959455",
    "ecommerce-v1": "758f162c2ecc4b69c55b8a8f6c526045347d21f3ff20839324b27a5937644e97",
    "coverage-v0": "2bca1430e917a75d5b617108a43a36d80a7aba14458ce8855232c850cd6e6cbb",
    "journey-v1": "159ad9872e8cc84f0e5b65015eab7478600950abcf1ab23178b58ce62c223ce8",
    "social-v1": "eb01fa4e4e44756d066817a0611026f4182b0ee00a9c9297d8a07301a49b4815",
    "news-v1": "4ad7fd8a22b2858ec5421442e53b2614867fe8d51ea450c2c78532fa93dc0384",
    "streaming-v1": "e4e06f2ca06f369261a6ff219e0a224899f3ef0f356e445426cedae6d601fdb6",
    "coldstart-v1": "f62b19f6bb9f9ceda9530d56a835f2a7385660037798b686356f1d60c972817f",
    "grocery-v1": "0f678416199dbe5b74419b0709c2e2b98b5c69afd5b37d220164d7e4d1950599",
    "crossdomain-v0": "cc6fc8f49a03c2d20b98996733f5e4b9c9c668a855976697fe6a62e45d9ba221",
    "rivals-v1": "07194ad4004b86630484aea4b64759fd72e0d9d74eefa28aff2f5df980b198d2",
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
    "crossdomain-v0": "3d9cc32f574f48f687633fa5b6fe80d9fd4294b963f152f74c0bcdf64938e44b",
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


def test_worlds_do_not_depend_on_the_processor() -> None:
    """NumPy has code for each instruction set, whose results differ in a last bit, and so has the OpenBLAS that comes
    with it; these variables make both take that of an older processor."""
    code = """if True:
        import hashlib
        from recsys_env import TASKS, vector_env
        for task in TASKS:
            world = vector_env(task, 1).world
            print(task, hashlib.sha256(b"".join(array.tobytes() for array in world)).hexdigest())
    """
    wide = "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
    older: tuple[dict[str, str], ...] = (
        {},
        {"OPENBLAS_CORETYPE": "PRESCOTT"},
        {"OPENBLAS_CORETYPE": "HASWELL", "NPY_DISABLE_CPU_FEATURES": wide},
    )
    here = {**os.environ, "PYTHONWARNINGS": "ignore"}  # of features that are not there
    told = [subprocess.check_output([sys.executable, "-c", code], env={**here, **more}, text=True) for more in older]
    assert told[1:] == told[:-1]


if __name__ == "__main__":
    for table, digest in (("CONFIG", config_digest), ("PLAY", play_digest)):
        print(f"{table}: dict[str, str] = {{")
        for name in TASKS:
            print(f'    "{name}": "{digest(name)}",')
        print("}  # fmt: skip")
