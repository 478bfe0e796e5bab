"""A task never changes under its name: its numbers and what it plays are as they were when its version was given.

`CONFIG` breaks with any field of a task, `PLAY` with anything that the worlds, the dynamics or the observations make of
it: a change of these gives the task its next version. Where neither the game nor its observations change, such as with
a new field whose default does nothing, `PLAY` stays. `STATE` breaks with the global state, which only critics in
training see: a change of it is no change of the task, but what learned with `state()` is trained again.
`python -m tests.test_frozen_tasks` prints the three tables as they are now; `PLAY` is kept in
recsys_env/config/frozen_play.json.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, vector_env
from recsys_env.batch.infos import Infos
from recsys_env.provenance import frozen_play

CONFIG: dict[str, str] = {
    "duel-v1": "1b2b28f56a5efd4cd88a84e9cdbb43fd2435d7bf4550667c83a2363a9937e8ae",
    "pricing-duel-v0": "dd0f341ebce38ed48f8b228acf4ac4f66304d9e240a815761e37b28c76d5d7f4",
    "market-v0": "16672f99a7535abb02b25f406b40bb15594bc541a9a2192b00fe256529f42ed2",
    "ecommerce-v1": "39303f3fcdc181c27c4d51fa5ffcda9ac859c1d894d28bd445e3eb1362b82d16",
    "coverage-v0": "12ca7fa0ac07e6db1d16021ee2ad96c81ed118a7988e5329b4f50b3a40f012a3",
    "journey-v1": "8f4fd83bf8ecacd93bb315d8e673f459fc097591df4cfafc06f10272ff3ce2c4",
    "social-v1": "da1bab84514e20a631d1e41807dbd27a181db57fe09d1acabafc33d3738257a0",
    "news-v1": "416ae5b5b60c62afa5c980a55f8ff6d47a69fdce0a0f0afc7aa602e9ff27a966",
    "streaming-v1": "0774dcecbc827972748e850654b46a162d9f9ea1ed8c8d0e5cbfc0b82a1ae9f2",
    "coldstart-v1": "806730a87793449f9214876b5b34a662927aa50aafad8e53070e2d9104884a87",
    "grocery-v1": "37755ffee904b96a5723b6b426ff8679dd58b905cc194da85cf34d2e3b0eecf1",
    "crossdomain-v0": "4a1f59795b53b92d12a30768faa2a347e5fb8d6024b69fed56525f6e92f877d5",
    "bundle-v0": "38d4003853597c4eefbc4e71c1618fe9c37d0319d86308956e281f73722d6e6f",
    "playlist-v0": "82d02f2f902dd25381c164e040a2bc96526cc8b8594945eab7fdc4bd115ebc9c",
    "auction-v0": "b49840c49b3fb11bf15f6bb4a39b825ba7ce5dda27ecc4475912f8a58852a527",
    "creators-v0": "b231a0e15f22091ad94f5c6bc59f899a03cc59f77720d330be5453407223f3b0",
    "rivals-v1": "d98c61161e4a6de3b122cc062ce1927de7ac7fbec745e8c043867b32b9a465b2",
}  # fmt: skip
PLAY = frozen_play()  # recsys_env/config/frozen_play.json; results of tasks name their tasks' digests
STATE: dict[str, str] = {
    "duel-v1": "ecfd8b728f8f80357a6b5622f11d8e26b151b7394ea4d7d9881d648cc8d57ed7",
    "pricing-duel-v0": "25211d0a6f1c982447234ddf1b5622a9e68a33116ddcc078e6e23749b6478086",
    "market-v0": "a8c33789bc9970f5d13d257936ea4ad428fb7b5c2823ff0f625ce94b458bbbdb",
    "ecommerce-v1": "699bcd537cd916de81c2e00af924a241e81632e61dea82818399b4793a5b1c6d",
    "coverage-v0": "b2e24149e5775e2c43da34a0eeb7bd99dfa3aecb08a634680b3bf0fa286e959a",
    "journey-v1": "b69e3735bc4145682c9484bd1b299ea74ba34dc6694f110cd0a947c7c357f3ec",
    "social-v1": "368be44b72d0631dbee79e1f56a0f8ac1ad953cc230c5eb42d6260f4bb686b27",
    "news-v1": "d09d8475c51b3d5d89c5ce0635a72606b570c5d5dc5f8bfdbf1a0e27ebfddd95",
    "streaming-v1": "93c8c68b4413d473357d0276b4009c498d227ec5150ea12c9a0df6d6956d0d1e",
    "coldstart-v1": "44a113f1aea93192c091e257a49a80e3fad889d3e6fc16e1ff28aa8fb0f677d8",
    "grocery-v1": "4944052360f31f274215f681bc3232bf348de3a3a0867d8e33376e542335a324",
    "crossdomain-v0": "835bf514daedde242a1ce4cfddb65fe566c61548dbf3e0cfb154489f289635cc",
    "bundle-v0": "3645bac0b89903c2deaf7d151f47a1a7bf4ed4ad404e7a19acdeae0b94f558de",
    "playlist-v0": "abceae7a7680dd8d22e0b1cf26fa8a51ec54640204040e1c4ae6637affa39b58",
    "auction-v0": "d3d92bf284d50b0eb1d5f50780f2d47cb985283063206631b9f8befcb37df5f7",
    "creators-v0": "f727525325e699090b18ebe6ea2458a6a784b1c73a01943417a6e1af2571b52b",
    "rivals-v1": "fd99e97269acedf7e840c28b97b74a48d95d2acbb76259850d73cdca2b951e58",
}  # fmt: skip
COPIES, TICKS, SEED = 2, 300, 20260101
INFOS = (  # in the order in which the digests have them
    "active", "bought", "cart", "clicked", "dwell", "empty", "later_agent", "later_item", "later_price",
    "later_rating", "liked", "next_user_slot", "next_visitor", "objectives", "price_multiplier",
    "individual_reward", "user_slot", "rank", "rating", "shown", "visitor",
)  # fmt: skip
AUCTION_INFOS = ("bid", "payment", "slot_value")  # after these; elsewhere 0


def config_digest(task: str) -> str:
    """SHA-256 of all numbers of a task; what is said about it may change."""
    numbers = {name: value for name, value in dataclasses.asdict(TASKS[task]).items() if name != "description"}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


@cache
def digests(task: str) -> tuple[str, str]:
    """SHA-256 of the bytes of everything that some hundred ticks with random actions return, and of the global states
    between them."""
    envs, play, states = vector_env(task, COPIES), hashlib.sha256(), hashlib.sha256()
    stream = random.Random(SEED)  # the sequence of its `random` is the same in every version of Python
    play.update(envs.reset(seed=SEED)[0].tobytes())
    for _ in range(TICKS):
        observations, rewards, _, truncated, infos = envs.step(drawn(envs, stream))
        names = (*INFOS, *(AUCTION_INFOS if envs.config.auctioned else ()))
        for array in (observations, rewards, truncated, *(infos[name] for name in names)):
            play.update(array.tobytes())
        states.update(envs.state().tobytes())
    return play.hexdigest(), states.hexdigest()


def play_digest(task: str) -> str:
    return digests(task)[0]


def state_digest(task: str) -> str:
    return digests(task)[1]


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
    assert state_digest(task) == STATE[task], (
        f"the global state of {task} is another: if that is meant, write its digest down here"
    )


def test_every_task_is_frozen() -> None:
    assert set(CONFIG) == set(PLAY) == set(STATE) == set(TASKS)
    assert {*INFOS, *AUCTION_INFOS, "final_obs", "final_mask"} == set(Infos.ENTRIES)


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
    for table, digest in (("CONFIG", config_digest), ("PLAY", play_digest), ("STATE", state_digest)):
        print(f"{table}: dict[str, str] = {{")
        for name in TASKS:
            print(f'    "{name}": "{digest(name)}",')
        print("}  # fmt: skip")
