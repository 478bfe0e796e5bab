"""Bad config fields and bad arguments of constructors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from recsys_env import TASKS, WorldConfig
from recsys_env import config as configs
from recsys_env.batch.vector import VectorEnv

from .case import Case, Skipped, api, short, texts
from .values import bad_value, misspelt, strange

CLASSES = [kind for kind in vars(configs).values() if isinstance(kind, type) and is_dataclass(kind)]
GROUP_OF = {
    kind.__name__: name for name, kind in ((f.name, f.metadata.get("group")) for f in fields(WorldConfig)) if kind
}


def is_fine(value: Any) -> bool:
    """Whether a value is an empty sequence, which may be valid."""
    return isinstance(value, (np.ndarray, tuple, list)) and len(value) == 0


def config_case(rng: np.random.Generator) -> Case:
    kind = CLASSES[int(rng.integers(len(CLASSES)))]
    f = fields(kind)[int(rng.integers(len(fields(kind))))]
    value = bad_value(rng, f)
    if is_fine(value) and ("item" in f.metadata):
        raise Skipped
    return Case(f"{kind.__name__}({f.name}={short(value)})", given(rng, kind, {f.name: value}), (f.name,), texts(value))


def given(rng: np.random.Generator, kind: type, changes: dict[str, Any]) -> Callable[[], Any]:
    """Give fields to a config in one of the possible ways."""
    name, at = kind.__name__, GROUP_OF.get(kind.__name__)
    task = str(rng.choice([task for task in TASKS if task != "grocery-v1"]))
    ways: list[Callable[[], Any]] = [lambda: kind(**changes), lambda: api.replace(kind(), changes)]
    if name == "WorldConfig" and not set(changes) & {"catalogue"}:
        ways += [lambda: api.task_config(task, changes), lambda: api.WorldConfig(**changes)]
        if not set(changes) & {"task", "render_mode", "num_envs", "num_threads"}:
            ways += [lambda: api.vector_env(task, **changes), lambda: api.parallel_env(task, **changes)]
    elif at:
        ways += [
            lambda: api.WorldConfig(**{at: changes}),
            lambda: api.vector_env(task, **{at: changes}),
            lambda: api.env(task, **{at: changes}),
        ]
    elif name in ("SceneConfig", "RoleConfig"):
        group = "scenes" if name == "SceneConfig" else "roles"
        ways += [lambda: api.WorldConfig(**{group: (changes,)}), lambda: api.WorldConfig(**{group: [changes]})]
    return ways[int(rng.integers(len(ways)))]


def unknown_case(rng: np.random.Generator) -> Case:
    """A field that does not exist."""
    kind = CLASSES[int(rng.integers(len(CLASSES)))]
    known = {f.name for f in fields(kind)}
    name = misspelt(rng, str(rng.choice(sorted(known))), known | {"num_envs", "task"})
    if not name.isidentifier() and rng.random() < 0.5:
        raise Skipped
    return Case(f"{kind.__name__}({name}=1)", given(rng, kind, {name: 1}), (name,))


def moves(topics: int, probability: float = 0.1) -> dict[str, tuple[float, ...]]:
    """Moves of the mood, up and down, after a click on each topic."""
    return {"mood_up": (probability,) * topics, "mood_down": (probability,) * topics}


def conflict_case(rng: np.random.Generator) -> Case:
    """Fields that are valid by themselves and contradict each other."""
    low, high = float(rng.uniform(0.05, 0.99)), float(rng.uniform(0.55, 1.0))
    n, slots = int(rng.integers(3, 9)), int(rng.integers(9, 30))
    word = "".join(rng.choice(list("abcxyz"), 5))
    topics = {"topics": n, "number": n - 1}
    made: list[tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = [
        (
            {"choice": {"dissimilarity": low}, "page": str(rng.choice(["shared", "rival"]))},
            ("dissimilarity",),
            texts(low),
        ),
        ({"slots": slots, "candidates": {"number": n}}, ("candidates", "slots"), (str(slots), str(n))),
        ({"action": "query", "mask_actions": True}, ("mask_actions",), ("query",)),
        ({"action": "weights", "mask_actions": True}, ("mask_actions",), ("weights",)),
        ({"messages": 1}, ("messages",), ("1",)),
        ({"offer": {"kind": "price"}}, ("offer.kind",), ("feedback.instant",)),
        ({"offer": {"low": 1 + high, "high": 1 + high - low / 2}}, ("offer.low",), (f"{1 + high:g}",)),
        ({"scale_zero": word, "scale_hundred": word}, ("scale_hundred",), (word,)),
        ({"scale_hundred": "random"}, ("scale_zero",), ("random",)),
        ({"roles": ({"knows": (0, 1) * (7 + n)},)}, ("roles.knows",), (str([0, 1] * (7 + n)),)),
        ({"catalogue": "grocery", "roles": ({"knows": (0, 1) * n},)}, ("knows",), (f"{2 * n} labels", str([0, 1] * n))),
        ({"catalogue": "grocery", "items": {"quality_sd": low}}, ("items.quality_sd",), (repr(low),)),
        (
            {"catalogue": "grocery", "choice": {"v_0_by_mood": (low, high)}, "dynamics": moves(n)},
            ("mood_up",),
            ("0.1, 0.1", f"{n} and {n} entries"),
        ),
        ({"arrival": {"d_0": high, "d_1": high}}, ("d_0",), (f"{2 * high:g}",)),
        ({"feedback": {"rating_cutpoints": sorted(rng.normal(size=n + (n == 4)))}}, ("rating_cutpoints",), ()),
        ({"feedback": {"rating_cutpoints": (3.0, low, 1.0, 2.0)}}, ("rating_cutpoints",), texts(low)),
        ({"choice": {"v_0_by_mood": (low,)}}, ("v_0_by_mood",), texts(low)),
        ({"choice": {"v_0_by_mood": (low, high)}, "dynamics": {"mood_up": (0.1,) * n}}, ("mood_up",), ("0.1, 0.1",)),
        (
            {"choice": {"v_0_by_mood": (low, high)}, "items": {"topics": n}, "dynamics": moves(n, high)},
            ("mood_up + mood_down",),
            (f"{2 * high:.10g}"[:8],),
        ),
        ({"dynamics": {"mood_up_none": high, "mood_down_none": high}}, ("mood_up_none",), (f"{2 * high:g}",)),
        ({"items": {"life": n + 1, "period": n}}, ("period",), (str(n),)),
        ({"items": {"period": n}}, ("period",), (str(n),)),
        ({"items": topics}, ("topics",), (str(n),)),
        ({"scenes": ({"name": word}, {"name": word})}, ("scenes",), (word,)),
        ({"scenes": ()}, ("scenes",), ("()",)),
        ({"roles": ()}, ("roles",), ("()",)),
        ({"roles": ({"name": word}, {"name": word}), "num_agents": 2}, ("roles",), (word,)),
        ({"roles": ({"name": f"{word}-{n}"},)}, ("role",), (f"{word}-{n}",)),
        ({"roles": ({"scene": word},)}, ("scene",), (word,)),
        ({"roles": ({"name": "a"}, {"name": "b"}), "num_agents": n}, ("num_agents",), (str(n),)),
        ({"scenes": ({"name": "a"}, {"name": word}), "page": "rows"}, ("scenes",), (word,)),
        (
            {
                "scenes": ({"name": "a"}, {"name": word}),
                "roles": ({"name": "x", "scene": "a"}, {"name": "y", "scene": word}),
                "page": "rival",
            },
            ("page",),
            (word,),
        ),
        ({"roles": ({"items": (10**6 + n,)},)}, ("items",), (str(10**6 + n),)),
        ({"roles": ({"domains": (n,)},)}, ("domains",), (str(n),)),
        (
            {"items": {"domains": 2, "number": 40}, "roles": ({"domains": (0,), "items": (2 * n + 1,)},)},
            ("inventory",),
            (),
        ),
        ({"catalogue": f"{word}.npz"}, ("catalogue",), (word,)),
    ]
    changes, names, values = made[int(rng.integers(len(made)))]
    return Case(
        f"vector_env(WorldConfig(), **{changes})",
        lambda: api.vector_env(WorldConfig(), **changes),
        names,
        values,
    )


def arguments_case(rng: np.random.Generator) -> Case:
    """Unknown task names and bad arguments of constructors."""
    task = "duel-v1"
    count: Any = [0, -1, 1.5, "3", math.nan, 2**40, [1], True, strange(rng)][int(rng.integers(9))]
    word = misspelt(rng, str(rng.choice(list(TASKS))), TASKS)
    odd: Any = [word, "", 3, [word], b"duel-v1", WorldConfig, strange(rng)][int(rng.integers(7))]
    agent: Any = [misspelt(rng, "recommender_1", ("recommender_0", "recommender_1")), 7, "", [0], strange(rng)][
        int(rng.integers(5))
    ]
    mode: Any = ["rgb-array", "Human", 3, True, [1], {}, b"ansi"][int(rng.integers(7))]
    file: Any = ["nothing.npz", 3, b"x", [1], 1.5, True, object()][int(rng.integers(7))]
    make = [
        api.vector_env,
        api.parallel_env,
        api.env,
        api.single_agent_env,
        api.task_config,
    ][int(rng.integers(5))]
    made: list[tuple[str, Callable[[], Any], tuple[str, ...], Any]] = [
        (
            f"{make.__name__}({short(odd)})",
            lambda: make(odd, {}) if make is api.task_config else make(odd),
            ("task",),
            odd,
        ),
        (f"vector_env(task, {short(count)})", lambda: api.vector_env(task, count), ("num_envs",), count),
        (
            f"vector_env(num_threads={short(count)})",
            lambda: api.vector_env(task, 1, num_threads=count),
            ("num_threads",),
            count,
        ),
        (
            f"parallel_env(render_mode={short(mode)})",
            lambda: api.parallel_env(task, render_mode=mode),
            ("render_mode",),
            mode,
        ),
        (
            f"parallel_env(catalogue={short(file)})",
            lambda: api.parallel_env(WorldConfig(), catalogue=file),
            ("catalogue",),
            file,
        ),
        (
            f"vector_env(catalogue={short(file)})",
            lambda: api.vector_env(WorldConfig(), catalogue=file),
            ("catalogue",),
            file,
        ),
        (
            f"single_agent_env(agent={short(agent)})",
            lambda: api.single_agent_env(task, agent=agent),
            ("agent",),
            agent,
        ),
        (
            f"single_agent_env(background={short(agent)})",
            lambda: api.single_agent_env(task, background=agent),
            ("background", "policy", "agent"),
            agent,
        ),
        (
            f"single_agent_vector_env(num_envs={short(count)})",
            lambda: api.single_agent_vector_env(task, num_envs=count),
            ("num_envs",),
            count,
        ),
        (
            f"shared_policy_env(task, {short(count)})",
            lambda: api.shared_policy_env(task, count),
            ("num_copies", "num_envs"),
            count,
        ),
        (
            f"FocalBatch(batch, {short(agent)})",
            lambda: api.FocalBatch(api.vector_env(task), agent),
            ("background", "agent", "policy"),
            agent,
        ),
        ("FocalBatch(no batch)", lambda: api.FocalBatch(odd, {"recommender_0": "random"}), ("envs",), odd),
        ("VectorEnv(no config)", lambda: VectorEnv(odd), ("config",), odd),
    ]
    what, call, names, value = made[int(rng.integers(len(made)))]
    if value is None or (isinstance(value, dict) and not value):
        raise Skipped  # None is the default, and without others everybody learns
    return Case(what, call, names, texts(value))
