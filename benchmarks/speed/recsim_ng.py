"""How fast a game like RecSim NG's is in both packages, measured side by side in one process.

RecSim NG needs old versions of its libraries, and so an environment of its own (Python 3.11; nothing is patched):

    pip install -e . recsim-ng==0.1.2 tensorflow==2.15.1 tensorflow-probability==0.23.0 gym==0.23.1 "scipy<1.11"
    python -m benchmarks.speed.recsim_ng             # a few minutes, with nothing else running
    python -m benchmarks.speed.recsim_ng --rounds 5  # a quick look

RecSim NG plays its story of interest evolution (`recsim_ng.applications.recsys_partially_observable_rl`) with B users,
and our batch plays `ng_like` (`benchmarks.speed.step`) with B copies. A page is one slate for one user.

The same in both: one recommender, a slate of 2 from 100 items that stay, the same slate in every page, a logit choice
between the items and no item, tastes that move with what is consumed, and one reward per page. RecSim NG's sizes are
its defaults.

RecSim NG does less in a page: its vectors have 2 numbers and ours 16, its recommender observes nothing and keeps no
state, and its users never leave. Our game also has 8 users in each copy of whom one visits, satisfaction, position
bias, the observation that an agent would see, and episodes that end after 1,000 ticks and start again. RecSim NG's own
recommender is a neural network. A recommender that always shows the same two documents takes its place, since a network
would measure the policy and not the game.

fused: 100 ticks in one call. `recsys_env.rollout` with the policy `blind`; RecSim NG's `TFRuntime.execute` in one
`tf.function`, with the draw of the first state as the first tick.
stepwise: a call from Python for each tick. `VectorEnv.step` without copies; RecSim NG's `Network.step` in a
`tf.function`.

RecSim NG runs as a graph, as its runtime does, and compiled by XLA, which its runtime does not offer. Our step is
compiled for this world. With one thread, times are processor time of the process, so other processes do not count.
With TensorFlow's default, as many threads as there are cores, they are wall-clock time; our batch has one thread then
too. Compile time is not included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from recsim_ng.applications.recsys_partially_observable_rl import corpus, metrics, user
from recsim_ng.core.network import Network
from recsim_ng.core.value import Value, ValueSpec
from recsim_ng.entities.recommendation.recommender import BaseRecommender
from recsim_ng.lib.tensorflow.field_spec import FieldSpec
from recsim_ng.lib.tensorflow.runtime import TFRuntime
from recsim_ng.stories.recommendation_simulation import recs_story

import recsys_env

from ..result_files import store
from .step import LIKE, Quartiles, started
from .windows import WINDOW, Call, quartiles, take_turns

GAME = LIKE["ng_like"]
USERS = (1_000, 10_000)
TICKS = 100  # of a fused call
THREADS = {"one thread": 1, "default threads": 0}  # of TensorFlow
JIT = {"graph": False, "xla": True}
AIMS = {"fused": 2.0, "stepwise": 6.0}  # ours ÷ RecSim NG's graph with one thread


# ------------------------------------------------------------------------------------------------ the two games


class SameSlate(BaseRecommender):
    """Shows every user the first documents in every page, as our policy `blind` does."""

    def specs(self) -> Any:
        fields = ("doc_id", "doc_topic", "doc_quality", "doc_features", "doc_length")
        slate = ValueSpec(**{field: FieldSpec() for field in fields})
        return slate.prefixed_with("slate").union(ValueSpec().prefixed_with("state"))

    def initial_state(self) -> Any:
        return Value()

    def next_state(self, previous_state: Any, user_response: Any, slate_docs: Any) -> Any:
        return Value()

    def slate_docs(self, previous_state: Any, user_obs: Any, available_docs: Any) -> Any:
        shown = tf.broadcast_to(tf.range(self._slate_size), (self._num_users, self._slate_size))
        return available_docs.map(lambda field: tf.gather(field, shown))


def interest_evolution(users: int) -> Any:
    """RecSim NG's story with the sizes of `ng_like`, which are the story's defaults."""
    sizes = {"num_docs": GAME.items.number, "num_topics": GAME.items.topics, "slate_size": GAME.slots}

    def frozen_corpus(config: Mapping[str, Any]) -> Any:
        return corpus.StaticCorpus(config, corpus.CorpusWithTopicAndQuality(config).initial_state())

    return Network(
        variables=recs_story(
            {"num_users": users, **sizes},
            user.InterestEvolutionUser,
            frozen_corpus,
            SameSlate,
            metrics.ConsumedTimeAsRewardMetrics,
        )
    )


def ours(users: int) -> dict[str, Call]:
    """A rollout and a step of our batch, by kind of call."""
    envs = started(GAME, {}, users, specialize=True)
    actions = envs.empty_actions()
    actions[...] = np.arange(GAME.slots)
    return {"fused": lambda: recsys_env.rollout(envs, "blind", TICKS), "stepwise": lambda: envs.step(actions)}


def theirs(users: int, jit_compile: bool) -> dict[str, Call]:
    """The same of RecSim NG. A `tf.function` takes and returns dicts in place of RecSim NG's values."""
    network = interest_evolution(users)
    runtime = TFRuntime(network, graph_compile=False)

    def packed(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value.as_dict for name, value in values.items()}

    @tf.function(jit_compile=jit_compile)
    def execute() -> Any:
        return packed(runtime.execute(num_steps=TICKS - 1))

    @tf.function(jit_compile=jit_compile)
    def advance(state: Any) -> Any:
        return packed(network.step({name: Value(**fields) for name, fields in state.items()}))

    state = tf.nest.map_structure(tf.convert_to_tensor, packed(network.initial_step()))

    def step() -> None:
        nonlocal state
        state = advance(state)

    return {"fused": execute, "stepwise": step}


# ------------------------------------------------------------------------------------------------ what is measured


def measure(threads: int, rounds: int) -> dict[str, dict[str, dict[str, Quartiles]]]:
    """users -> kind of call -> nanoseconds per page of each, and how many times as fast ours is.

    Args:
        threads: of TensorFlow, whose number cannot change in a process; 0 is its default.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    clock = time.process_time_ns if threads == 1 else time.perf_counter_ns
    found: dict[str, dict[str, dict[str, Quartiles]]] = {}
    for users in USERS:
        players = {"ours": ours(users), **{name: theirs(users, jit) for name, jit in JIT.items()}}
        found[str(users)] = {}
        for kind, ticks in (("fused", TICKS), ("stepwise", 1)):
            calls = {name: player[kind] for name, player in players.items()}
            times = take_turns(calls, rounds, clock)
            found[str(users)][kind] = {
                **{f"{name}_ns": quartiles(values / (users * ticks)) for name, values in times.items()},
                **{f"over_{name}": quartiles(times[name] / times["ours"]) for name in JIT},
            }
    return found


def aims(by_users: Mapping[str, Mapping[str, Mapping[str, Quartiles]]]) -> list[list[Any]]:
    """[what, aim, measured, whether it is met]; measured with one thread."""
    found: list[list[Any]] = []
    for kind, aim in AIMS.items():
        for users, row in by_users.items():
            ratio = row[kind]["over_graph"][1]
            found.append([f"{kind}, {int(users):,} users: ours ÷ RecSim NG", aim, ratio, ratio >= aim])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25, help="windows of each figure")
    args = parser.parse_args()
    threads: dict[str, Any] = {}
    for name, number in THREADS.items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            threads[name] = process.submit(measure, number, args.rounds).result()
        for users, kinds in threads[name].items():
            for kind, row in kinds.items():
                rates = ", ".join(f"{who} {1e3 / row[f'{who}_ns'][1]:.2f}" for who in ("ours", *JIT))
                ratios = ", ".join(f"{row[f'over_{who}'][1]:.2f} × {who}" for who in JIT)
                print(f"{name}, {int(users):,} users, {kind}: million pages/s {rates}; ours {ratios}", flush=True)
    settings = {"rounds": args.rounds, "window_s": WINDOW, "ticks": TICKS}
    result = {"threads": threads, "aims": aims(threads["one thread"])}
    for what, aim, value, met in result["aims"]:
        print(f"{what}: {value:.2f}, aim {aim:g} {'met' if met else 'missed'}")
    print(store("recsim_ng", settings, result))


if __name__ == "__main__":
    main()
