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
    "duel-v1": "9df0e58e14c720f08858b45ef878200b7bef060b984d0a324d76e975f0cd8f54",
    "pricing-duel-v0": "f8eb8233b2d8477a4bd1bc470ae29b8252b6205157285b3b46b7e2a91de63403",
    "market-v0": "7c47f11db2a26a459742f5a9fe4919b140839cfa34db5602bccdfac2b3aac34e",
    "ecommerce-v1": "0e42a92b0ead6e257712d145e61ee87e357c13a3d6aefd02936233c03146f050",
    "coverage-v0": "c09e137c3ea7efaa6923033c35f494fa0292887fbea5675fc0daaa275ae57ec8",
    "journey-v1": "7634ebbc17f0f8b7afe7dff2e2e2086005462e94396c7a6fdb26c20319909fc1",
    "social-v1": "8b8c41fd48a8415827e24455809b3da178b8175906c903373fd637179081a256",
    "news-v1": "c86b8868d79f3c0daf84ce040ca53b399f730aa4ef8894f794ea02e80653a60d",
    "streaming-v1": "c061c9b1b7504c06edfcc8b78855277bc81d66f799cc7d926f533841a768e5ab",
    "coldstart-v1": "6a7cc37ea349ec4ca3b7afbf93a7bfa4add45f0de8be23a37e4a776ce2c03a6d",
    "grocery-v1": "7f25079832d1f632578c6fa31c864316ecd37b6a88d427942cd5e22d3b3e46c9",
    "crossdomain-v0": "9c46f0d30a86c05b4915c1f0887d99c73fb905cda8106d45f8a8937b65e095fc",
    "bundle-v0": "1758661a58ab61a9ee067d373055a194d47fe957e9e981ee3efe3046abe1220c",
    "playlist-v0": "593520bedea67422964a0df68da103b0f04bd1d2904454c34230fa6223cd511e",
    "auction-v0": "6e0ab1b70609fba83732a4d2340644a00c8860b76813f5bdf4d6a79167e1efcb",
    "creators-v0": "d5e53fa5bb825892449307bb53591b8f568cbe12deb27057b5907ea1d95dce50",
    "rivals-v1": "5151e1b22f47a43130b1e33d7ea83a1571f0e3c7c459e1a35cdcf41e7134fc1c",
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
