"""Bad input of running environments, batches and policies: actions, seeds, names, snapshots."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from recsys_env import WorldConfig
from recsys_env.batch.base import Snapshot
from recsys_env.batch.vector import VectorEnv
from recsys_env.evaluation import METRICS, episode_returns, scale_ends
from recsys_env.policies import POLICIES, make_policy

from .case import Case, Skipped, api, short, texts
from .values import misspelt, strange

SMALL: dict[str, Any] = {
    "items": {"number": 12, "dims": 3, "topics": 3},
    "users": {"number": 2},
    "horizon": 50,
    "candidates": {"number": 5},
}
PRICES: dict[str, Any] = {"offer": {"kind": "price"}, "feedback": {"instant": True}}
KINDS: dict[str, dict[str, Any]] = {
    "slate": {"slots": 3},
    "one slot": {"slots": 1},
    "slate of items": {"slots": 3, "action": "items"},
    "query": {"slots": 2, "action": "query"},
    "weights": {"slots": 2, "action": "weights"},
    "slate and word": {"slots": 2, "messages": 3},
    "one slot and word": {"slots": 1, "messages": 3},
    "query and word": {"slots": 2, "action": "query", "messages": 2},
    "slate and price": {"slots": 2, **PRICES},
    "one slot, price and word": {"slots": 1, "messages": 3, **PRICES},
    "weights, price and word": {"slots": 2, "action": "weights", "messages": 2, **PRICES},
    "masked": {"slots": 2, "mask_actions": True},
}


class Running:
    """Environments that have been reset, made once."""

    def __init__(self) -> None:
        self.vector = {kind: api.vector_env(WorldConfig(), 3, **SMALL, **fields) for kind, fields in KINDS.items()}
        self.parallel = {kind: api.parallel_env(WorldConfig(), **SMALL, **fields) for kind, fields in KINDS.items()}
        self.single = {kind: api.single_agent_env(WorldConfig(), **SMALL, **fields) for kind, fields in KINDS.items()}
        self.start()
        self.saved = {kind: env.save() for kind, env in self.vector.items()}
        for env in self.vector.values():
            env.step(env.empty_actions())

    def start(self) -> None:
        """Start again, as after a bad input was accepted."""
        for envs in (self.vector, self.parallel, self.single):
            for env in envs.values():
                env.reset(seed=1)

    def batch_of(self, env: Any) -> VectorEnv:
        return env if isinstance(env, VectorEnv) else env.vector if hasattr(env, "vector") else env.env.vector

    def state_of(self, env: Any) -> Callable[[], bytes]:
        """Everything that a refused call may not change."""
        envs = self.batch_of(env)

        def state() -> bytes:
            agents = getattr(env, "agents", None) or getattr(getattr(env, "env", None), "agents", None)
            parts = [array.tobytes() for array in envs.arrays] + [
                envs.report.observations.tobytes(),
                envs.report.agents["individual_reward"].tobytes(),
            ]
            return b"|".join([*parts, repr((envs._seed, agents)).encode()])

        return state


def bad_action(rng: np.random.Generator, space: Any) -> tuple[Any, tuple[str, ...]]:
    """One action outside its space, and the texts by which a message may show it."""
    shape = space.shape or ()
    if space.dtype.kind == "f":
        good = np.zeros(shape, np.float32)
        off = float([1.5, -1.001, math.nan, math.inf, 1e30][int(rng.integers(5))])
    else:
        good = np.zeros(shape, np.int64)
        limits = np.broadcast_to(getattr(space, "nvec", getattr(space, "n", 0)), shape or (1,))
        off = int([-1, int(limits.max()), 2**62, -(2**63), int(limits.max()) + 7][int(rng.integers(5))])
    outside = good.astype(object)
    if shape:
        outside[int(rng.integers(shape[0]))] = off
        value: Any = np.array(outside.tolist(), good.dtype)
    else:
        value = off
    wrong_shape = [
        np.zeros((*shape, 2), good.dtype),
        np.zeros(tuple(s + 1 for s in shape) or (3,), good.dtype),
        np.zeros((0,), good.dtype),
    ]
    wrong_kind = [
        good.astype(complex),
        good.astype(str),
        good.astype("datetime64[s]"),
        "a",
        None,
        {},
        object(),
        [None] * 3,
        [[1], [1, 2]],
        good.astype(object) + 0.5,
    ]
    if space.dtype.kind != "f":
        wrong_kind += [good.astype(float), good + 0.5, math.nan]
    chosen = [value, value, wrong_shape[int(rng.integers(3))], wrong_kind[int(rng.integers(len(wrong_kind)))]][
        int(rng.integers(4))
    ]
    return chosen, (*texts(chosen), str(off), f"{off:g}" if off == off else "nan")


def joint_case(rng: np.random.Generator, running: Running) -> Case:
    """A batch of actions of which one is wrong, or which has the wrong form."""
    kind = str(rng.choice(list(KINDS)))
    envs = running.vector[kind]
    space: Any = envs.action_space
    good = envs.empty_actions()
    n, b = int(rng.integers(envs.num_agents)), int(rng.integers(envs.num_envs))
    whole = space.dtype.kind != "f"
    off = [-1, 10**6, 2**62] if whole else [1.01, math.nan, -math.inf, 1e20]
    number = off[int(rng.integers(len(off)))]
    joint = good.copy()
    joint.reshape(envs.num_envs, envs.num_agents, -1)[b, n, int(rng.integers(max(int(np.prod(space.shape)), 1)))] = (
        number
    )
    forms: list[tuple[Any, tuple[str, ...], tuple[str, ...]]] = [
        (joint, (envs.possible_agents[n],), texts(number)),
        (joint, (envs.possible_agents[n],), texts(number)),
        (joint.tolist(), (envs.possible_agents[n],), texts(number)),
        *[
            (form, ("action",), texts(form))
            for form in (
                good[:-1],
                good[:, :1],
                good[..., None],
                good[0],
                good.ravel(),
                good[:0],
                np.concatenate([good, good]),
                good.astype(complex),
                good.astype(str),
                good.astype(object),
                good.astype("datetime64[s]"),
                None,
                "actions",
                {},
                3,
                [[[0]], [[0, 1]]],
                [[None]],
                object(),
                dict.fromkeys(envs.possible_agents, 0),
                good.astype(bool),
            )
        ],
    ]
    if whole:
        forms += [(good.astype(float), ("action",), ("float64",)), (good + 0.5, ("action",), ("float64",))]
    actions, names, values = forms[int(rng.integers(len(forms)))]
    call = [envs.step, envs.step, envs.expected_feedback][int(rng.integers(3))]
    return Case(
        f"{kind}: {call.__name__}({short(actions)})", lambda: call(actions), names, values, running.state_of(envs)
    )


def agents_case(rng: np.random.Generator, running: Running) -> Case:
    """A dictionary of actions in which one is wrong, missing or of an unknown agent; or one action for a single
    agent."""
    kind = str(rng.choice(list(KINDS)))
    env = running.parallel[kind]
    space, agents = env.vector.action_space, env.possible_agents
    agent, good = agents[int(rng.integers(len(agents)))], np.zeros(space.shape or (), space.dtype)
    joint: Any = dict.fromkeys(agents, good)
    call = [env.step, env.step, env.expected_feedback][int(rng.integers(3))]
    way = int(rng.integers(6))
    names, values = (agent,), ()  # type: tuple[str, ...], tuple[str, ...]
    if way == 0:
        del joint[agent]
    elif way == 1:
        other = misspelt(rng, agent, agents)
        joint[other] = joint[agent]
        if rng.random() < 0.5:
            del joint[agent]
        names = (other,)
    elif way == 2:
        joint = [None, [good], np.zeros(2), 3, "x", (good, good), object()][int(rng.integers(7))]
        names, values = ("actions",), texts(joint)
    elif way == 3:
        value, values = bad_action(rng, space)
        single, names = running.single[kind], (running.single[kind].agent,)
        return Case(
            f"{kind}: single.step({short(value)})", lambda: single.step(value), names, values, running.state_of(single)
        )
    else:
        joint[agent], values = bad_action(rng, space)
    return Case(f"{kind}: {call.__name__}({short(joint)})", lambda: call(joint), names, values, running.state_of(env))


def reset_case(rng: np.random.Generator, running: Running) -> Case:
    kind = str(rng.choice(list(KINDS)))
    every: list[Any] = [running.vector, running.vector, running.parallel, running.single]
    env = every[int(rng.integers(4))][kind]
    bad: Any = [-1, 2**64, 1.5, "0", True, math.nan, -(10**30), np.float64(3), strange(rng)][int(rng.integers(9))]
    lists: list[Any] = [
        [1, 2],
        [1] * 5,
        [0, bad, 1],
        (0, 1, bad),
        np.array([[1, 2, 3]]),
        np.array([0.5, 1, 2]),
        np.array(["a", "b", "c"]),
        "abc",
        {1, 2, 3},
    ]
    seed: Any = bad if rng.random() < 0.5 or not isinstance(env, VectorEnv) else lists[int(rng.integers(len(lists)))]
    if seed is None:  # keeps the seed
        raise Skipped
    return Case(
        f"{kind}: reset(seed={short(seed)})",
        lambda: env.reset(seed=seed),
        ("seed",),
        (*texts(seed), *texts(bad)),
        running.state_of(env),
    )


def lookup_case(rng: np.random.Generator, running: Running) -> Case:
    """Names of agents and fields that do not exist, and calls at the wrong time."""
    env, envs = running.parallel["slate"], running.vector["slate"]
    name = misspelt(rng, str(rng.choice(list(envs.observation_fields))), envs.observation_fields)
    agent = misspelt(rng, "recommender_1", env.possible_agents)
    odd: Any = [agent, 7, None, strange(rng)][int(rng.integers(4))]
    fresh = api.vector_env(WorldConfig(), 1, **SMALL)
    key = misspelt(rng, "clicked", envs.infos)
    task, scenario, measure = (
        misspelt(rng, str(rng.choice(list(of))), of) for of in (api.TASKS, api.SCENARIOS, METRICS)
    )
    made: list[Case] = [
        Case(f"field(observations, {name!r})", lambda: envs.field(envs.observations, name), (name,)),
        Case(f"infos[{key!r}]", lambda: envs.infos[key], (key,)),
        Case(f"TASKS[{task!r}]", lambda: api.TASKS[task], ("task",), (task,)),
        Case(f"SCENARIOS[{scenario!r}]", lambda: api.SCENARIOS[scenario], ("scenario",), (scenario,)),
        Case(f"METRICS[{measure!r}]", lambda: METRICS[measure], ("metric",), (measure,)),
        Case(f"observation_space({short(odd)})", lambda: env.observation_space(odd), ("agent",), texts(odd)),
        Case(f"action_space({short(odd)})", lambda: env.action_space(odd), ("agent",), texts(odd)),
        Case("step before reset", lambda: fresh.step(fresh.empty_actions()), ("reset",)),
        Case("expected_feedback before reset", lambda: fresh.expected_feedback(fresh.empty_actions()), ("reset",)),
    ]
    return made[int(rng.integers(len(made)))]


def restore_case(rng: np.random.Generator, running: Running) -> Case:
    """Something that is not a snapshot of this environment."""
    kind = str(rng.choice(list(KINDS)))
    every: list[Any] = [running.vector, running.parallel]
    env = every[int(rng.integers(2))][kind]
    mine = running.saved[kind] if env is running.vector[kind] else env.save()
    other_kind = str(rng.choice([other for other in KINDS if other != kind]))
    index: Any = [-1, 3, 1.5, "0", True, 10**9, strange(rng)][int(rng.integers(7))]
    seed: Any = [-1, 2**64, 1.5, "0", [1, 2], [1] * 7, True, strange(rng)][int(rng.integers(8))]
    which = int(rng.integers(len(mine.arrays)))
    array = mine.arrays[which]
    altered: Any = [
        array[:, :1] if array.ndim > 1 and array.shape[1] > 1 else array[:0],
        array.tobytes(),
        None,
        np.concatenate([array, array]),
    ][int(rng.integers(4))]
    broken = Snapshot(mine.config, mine.arrays._replace(**{mine.arrays._fields[which]: altered}), mine.world)
    two = Snapshot(mine.config, type(mine.arrays)(*(np.concatenate([a[:1], a[:1]]) for a in mine.arrays)), mine.world)
    odd = [3, None, "snapshot", {}, [mine], mine.arrays, strange(rng)][int(rng.integers(7))]
    made: list[tuple[str, Callable[[], Any], tuple[str, ...], tuple[str, ...]]] = [
        (f"restore({short(odd)})", lambda: env.restore(odd), ("snapshot",), texts(odd)),
        ("restore(of another task)", lambda: env.restore(running.vector[other_kind].save(0)), ("snapshot",), ()),
        ("restore(with another array)", lambda: env.restore(broken), ("snapshot",), ()),
        ("restore(of two copies)", lambda: env.restore(two), ("snapshot",), ("2",)),
        (f"restore(seed={short(seed)})", lambda: env.restore(mine, seed=seed), ("seed",), texts(seed)),
    ]
    if isinstance(env, VectorEnv):
        made += [
            (f"restore(copy={short(index)})", lambda: env.restore(env.save(0), index), ("copy",), texts(index)),
            (f"save({short(index)})", lambda: env.save(index), ("copy",), texts(index)),
        ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    if (
        "seed=None" in what
        or "copy=None" in what
        or "save(None" in what
        or (array.size == 0 and "another array" in what)
    ):
        raise Skipped
    return Case(f"{kind}: {what}", call, names, values, running.state_of(env))


def policy_case(rng: np.random.Generator, running: Running) -> Case:
    word = misspelt(rng, str(rng.choice(list(POLICIES))), POLICIES)
    odd: Any = [
        word,
        word,
        "",
        3,
        None,
        [word],
        object,
        "nothing:Mine",
        "recsys_env:Nothing",
        ":",
        "a:b:c",
        "no/such/folder",
        strange(rng),
    ][int(rng.integers(13))]
    count: Any = [0, -1, 1.5, "3", None, True, strange(rng)][int(rng.integers(7))]
    seed: Any = [-1, 2**64, 1.5, "0", None, strange(rng)][int(rng.integers(6))]
    agent = misspelt(rng, "recommender_0", ("recommender_0", "recommender_1"))
    config, envs = running.vector["slate"].config, running.vector["slate"]
    made: list[tuple[str, Callable[[], Any], tuple[str, ...], tuple[str, ...]]] = [
        (f"make_policy({short(odd)})", lambda: make_policy(odd), ("policy", "module"), texts(odd)),
        (
            f"episode_returns(policies={short(odd)})",
            lambda: episode_returns(config, odd, 2, 0),
            ("polic", "module"),
            texts(odd),
        ),
        (
            f"episode_returns(episodes={short(count)})",
            lambda: episode_returns(config, "random", count, 0),
            ("episodes", "num_envs"),
            texts(count),
        ),
        (
            f"episode_returns(seed={short(seed)})",
            lambda: episode_returns(config, "random", 2, seed),
            ("seed",),
            texts(seed),
        ),
        (
            f"scale_ends(scale_hundred={word!r})",
            lambda: scale_ends(WorldConfig(scale_hundred=word)),
            ("scale_hundred",),
            (word,),
        ),
        (
            f"scale_ends(scale_zero={word!r})",
            lambda: scale_ends(WorldConfig(scale_zero=word)),
            ("scale_zero",),
            (word,),
        ),
        ("static without weights", lambda: episode_returns(config, "static", 2, 0), ("static_weights",), ()),
        (f"episode_returns of {agent}", lambda: episode_returns(config, {agent: "random"}, 2, 0), (agent,), ()),
        (f"bind to {agent}", lambda: make_policy("random").bind(envs, agent, 0), (agent,), ()),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    if "seed=None" in what:
        raise Skipped
    return Case(what, call, names, values)
