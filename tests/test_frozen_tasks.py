"""A task never changes under its name: its numbers and what it plays are as they were when its version was given.

`CONFIG` breaks with any field of a task, `PLAY` with anything that the worlds, the dynamics or the observations make of
it: a change of these gives the task its next version. Where neither the game nor its observations change, such as with
a new field whose default does nothing, `PLAY` stays. `STATE` breaks with the global state, which only critics in
training see: a change of it is no change of the task, but what learned with `state()` is trained again.
`python -m tests.test_frozen_tasks` prints the three tables as they are now.
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
from recsys_env.infos import Infos

CONFIG: dict[str, str] = {
    "duel-v1": "d9641c2f9f7c81e3780244db868d9b9a36cdc10f26e73046a2394946bf7cfca6",
    "pricing-duel-v0": "e01a426e10d3b7da613d9d086f59c12174feac68b36057c039d257621cc3265e",
    "market-v0": "0bbc07775fac301b64b2e9174cc5a9a2a2971c553c7a4b05f17559ed64bbb607",
    "ecommerce-v1": "5c43fdaa6eddd9ccb5a0159bf4065c6ef293b741e1b663a61b219f8eead06f91",
    "coverage-v0": "f13b72ecc295ab4c5fef9c251f4a362457957ac395cc76b355a89f7f76fcd4ba",
    "journey-v1": "63e45ae57f87e3b380f1ec1c9eb3b7796dc85856cadd33d6580ab701b133d41d",
    "social-v1": "5790592a495b8eebb7fa2a4c4c695bf66d3fc05c96f2be523c556fb75dfc9ef0",
    "news-v1": "e485b72482fb863ce8867502df739afb7213931f8e464e225548f18a0c20c982",
    "streaming-v1": "185c2ae85d5d8a7f567f50f2e967d8642fcdc413e63e5cbd7a2b96dc9555b852",
    "coldstart-v1": "aabdc2a72a69cfcb49bec26ac4057dfe650e4ec08356c040c9c0e3ba14ba5298",
    "grocery-v1": "1d3cff5591541adf940eb9f065744b5fb0ac017d16aecab56717f3f31e83ff5e",
    "crossdomain-v0": "c916defe8cd7296be02e4b22bf1c87b33a13980bb0f39f594a10c945aacb5cf1",
    "bundle-v0": "59572619b7b5e5e1932121af002447b8c730a923130da2e73a3d59406d11b59c",
    "playlist-v0": "9ce70c1fc5aa33bcc73dcba11331c721d1f6577cec7df31cb913cd7cd489186b",
    "auction-v0": "698d432bae81f44ad075b56b304ea35707932c9528e0aa67ea1cfaf6c1d479a0",
    "creators-v0": "c75826e49c57976f1beed80014edc4827496a873cd7e15cc3a249aaedb2baf41",
    "rivals-v1": "33482b5b7d25f048e63826857f7b8bcbcd14d95137cbf4fcb354b64b63664a7b",
}  # fmt: skip
PLAY: dict[str, str] = {
    "duel-v1": "edbcfec066c2bf2d9c62742faa5231fb2c11e9088ee46777ae4249d4ace12ab5",
    "pricing-duel-v0": "62104d1dc7d8058e774d0ab046ae308febeaa8f810c9b644f026d169d803ef95",
    "market-v0": "e454ac5b9209179d7ef96f7a030ec90b512b4cd1061a0d95915c64e9a232cf9b",
    "ecommerce-v1": "08971917d8d405ffe5ecad6e6691f2950b5fb056a0ce5426e082409850172e04",
    "coverage-v0": "a1edd25831501782b50a90324c97d3c16b9080c8683d3d933411f073b89c560f",
    "journey-v1": "6cf50cb61008dfcbf1d26774ae9fa21c74387b8d05422ea3b13436b1bf63864b",
    "social-v1": "48c9494f0ff4f1fa70afe8cbd3ca30184142babe797cb07151ac434522b58d8f",
    "news-v1": "a87b77b37ece774d5c8048833e68786c6080c655c70aa38b77eda7624aec32de",
    "streaming-v1": "ba0319afe46253c367d411b4c7359101e23f6606c68487e1ed2231f7350614dc",
    "coldstart-v1": "84a1108664691ec9e264fdef7bae0e7c1917ac95053d172c92ea3ce55344a0b0",
    "grocery-v1": "2abdffcd57a8feddb89815003638e6c9b5302e3e349f362550d7b5591f6b0aeb",
    "crossdomain-v0": "3a2d93b9b2eb4fea92152e22d19bc5588a915b1356e2eeb42584458d63a71485",
    "bundle-v0": "1455c4f925a05832325f97a6269298e7345a6f00074b1b572987a6992b90e889",
    "playlist-v0": "764679cdd4da8bb866d749df54bb3ed753d0a5543edbacb900a995fec01187ca",
    "auction-v0": "d992b815d6f5d8aab7ddbc6ff760b32482d904437a7f57a3d2839929f12efaa9",
    "creators-v0": "f75411673acbc019a642865569628b2df4737c4de30c9b8ca322e2f3591fadfe",
    "rivals-v1": "bff7d28143342f3b348cba61597cd85dc6eb4ab63de9157d7a937f12ac7761e9",
}  # fmt: skip
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
