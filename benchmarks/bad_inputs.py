"""A hundred thousand inputs that are not allowed: does each get one clear line, and is nothing changed?

    python -m benchmarks.bad_inputs [--number 100000] [--kind config "joint actions" ...] [--samples 5]

Inputs are drawn by a fixed seed: fields of every config with values of the wrong kind, range and nesting; names of
tasks, fields, agents and policies; arguments of constructors; seeds; actions of every kind of action space; snapshots;
purchase logs; damaged catalogues; command lines. Each is bad by construction, and comes with what an error has to name.

silent: accepted without an error; or refused, but the state is not what it was.
unclear: the error was raised by a library's code, or is not a Value-, Type-, Key-, Runtime-, Import- or OSError; or it
is not one line; or it does not name the field, argument, agent, column or file; or not the value (its text, shape,
dtype, length or kind).
clear: anything else; a wrong number or name of arguments may be told in Python's own words.

A command line is judged by its exit status and what it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import decimal
import importlib
import io
import json
import math
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

import recsys_env
from recsys_env import TASKS, Catalogue, WorldConfig
from recsys_env import config as configs
from recsys_env.policies import POLICIES, make_policy
from recsys_env.vector import Snapshot, VectorEnv

from .record import store

api: Any = recsys_env  # as it is called by those who do not check types
SEED = 12_000
ROOT = Path(__file__).parent.parent
OURS = (str(ROOT / "recsys_env"), str(ROOT / "baselines"))
ALLOWED_ERRORS = (ValueError, TypeError, KeyError, RuntimeError, ImportError, OSError)
LONGEST = 1500  # characters of a message


class Skipped(Exception):
    """The input turned out to be no bad one."""


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        what: the input, for people.
        call: gives it to the interface.
        names: the error has to name one of these (field, argument, agent, column, file).
        values: and to contain one of these; empty = there is no value to be told.
        state: what must not change.
    """

    what: str
    call: Callable[[], Any]
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    state: Callable[[], bytes] | None = None


def texts(value: Any) -> tuple[str, ...]:
    """How a message may tell a value."""
    told = [repr(value)[:40], str(value)[:40], type(value).__name__]
    if isinstance(value, np.ndarray):
        told += [str(value.shape), str(value.dtype), repr(value.tolist())[:40], repr(value)[:20]]
    if isinstance(value, (float, np.floating, np.integer)) and not isinstance(value, np.timedelta64):
        told += [f"{value:g}", repr(float(value)), repr(float(np.float32(value)))]
    if isinstance(value, np.ndarray):
        told += [*(repr(item)[:40] for item in value.ravel()[:3]), *(str(size) for size in value.shape[:1])]
    elif not isinstance(value, (list, tuple)):
        told.append("shape ()")  # what NumPy makes of it
    if isinstance(value, dict):
        told += [part for pair in value.items() for item in pair for part in texts(item) if not isinstance(item, dict)]
    if isinstance(value, (list, tuple)):
        told += [part for item in value for part in (repr(item)[:40], str(item)[:40], type(item).__name__)] + [
            f"{len(value)} entries",
            str(len(value)),
        ]
    return tuple(text for text in told if text)


# ------------------------------------------------------------------------------------------------ judging


def judge(case: Case) -> tuple[str, str]:
    """("silent" | "unclear" | "clear" | "skipped", what was said)."""
    before = case.state() if case.state else b""
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()) as printed,
        ):
            warnings.simplefilter("ignore")
            found = case.call()
    except Skipped:
        return "skipped", ""
    except SystemExit as error:
        return judge_exit(case, error.code, printed.getvalue())
    except BaseException as error:  # whatever is raised is what is asked for
        if isinstance(error, KeyboardInterrupt):
            raise
        verdict = judge_error(case, error)
    else:
        return "silent", f"accepted: {found!r}"[:160]
    if case.state and case.state() != before:
        return "silent", f"the state has changed after {verdict[1]}"
    return verdict


def judge_error(case: Case, error: BaseException) -> tuple[str, str]:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    said = f"{type(error).__name__}: {message}"
    trace = error.__traceback__
    code: Any = None
    while trace is not None:
        code, trace = trace.tb_frame.f_code, trace.tb_next
    file = code.co_filename
    if not isinstance(error, ALLOWED_ERRORS):
        return "unclear", f"[not an error of ours] {said}"
    by_call = isinstance(error, TypeError) and "argument" in message and code is getattr(case.call, "__code__", None)
    if not by_call and not file.startswith(OURS):
        return "unclear", f"[raised in {Path(file).parent.name}/{Path(file).name}] {said}"
    return judge_text(case, message, said)


def judge_exit(case: Case, code: Any, printed: str) -> tuple[str, str]:
    if code in (0, None):
        return "silent", "the command ended with 0"
    text = code if isinstance(code, str) else printed
    if "Traceback" in text:
        return "unclear", f"[a traceback] {text[-200:]}"
    lines = [line.strip(" │╭╰─╮╯\t") for line in text.splitlines()]  # a parser of arguments draws a frame
    return judge_text(case, " ".join(line for line in lines if line), text)


def judge_text(case: Case, message: str, said: str) -> tuple[str, str]:
    if not message or "\n" in message or len(message) > LONGEST:
        return "unclear", f"[not one line] {said}"
    if not any(name in message for name in case.names):
        return "unclear", f"[does not name {' or '.join(case.names)}] {said}"
    if case.values and not any(value in message for value in case.values):
        return "unclear", f"[does not tell the value] {said}"
    return "clear", said


# ------------------------------------------------------------------------------------------------ values


def misspelt(rng: np.random.Generator, word: str, known: Any) -> str:
    """A word with a letter dropped, doubled, exchanged or changed, that is none of the known ones."""
    while True:
        i = int(rng.integers(len(word)))
        changed = (
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[:i] + "z" + word[i + 1 :],
            word + "_",
            word.upper(),
            word[::-1],
        )
        found = str(rng.choice(changed))
        if found and found not in known:
            return found


def strange(rng: np.random.Generator) -> Any:
    """A value that is no number, no word and no sequence of either."""
    values: tuple[Callable[[], Any], ...] = (
        lambda: None,
        dict,
        set,
        object,
        lambda: object,
        lambda: len,
        lambda: 1 + 2j,
        lambda: b"1",
        lambda: decimal.Decimal("1.5"),
        lambda: datetime.date(2020, 1, 1),
        lambda: np.datetime64("2020-01-01"),
        lambda: np.timedelta64(1, "s"),
        lambda: {"a": 1},
        lambda: iter([1]),
        lambda: np.array([[1.0, 2.0]]),
        lambda: np.array([None]),
        lambda: range(2),
        lambda: Ellipsis,
        lambda: np.zeros(0),
        lambda: slice(1),
    )
    return values[int(rng.integers(len(values)))]()


def bad_number(rng: np.random.Generator, kind: type, low: float, high: float) -> Any:
    """Outside [low, high], not finite, or no number of this kind."""
    below, above = (
        low - abs(low) * rng.random() - rng.integers(1, 9),
        high + abs(high) * rng.random() + rng.integers(1, 9),
    )
    values = [
        math.nan,
        math.inf,
        -math.inf,
        np.float32("nan"),
        "1",
        "",
        [1],
        (1.0,),
        True,
        10**400,
        -(10**400),
        strange(rng),
        strange(rng),
    ]
    values += [float(below), float(above)] if math.isfinite(low) and math.isfinite(high) else []
    if kind is int:
        values += [0.5, 1.25, np.float64(2.5), int(below), int(above), "3"]
    return values[int(rng.integers(len(values)))]


def bad_value(rng: np.random.Generator, f: Any) -> Any:
    """Something that this config field does not take; None where nothing is known about it."""
    meta = f.metadata
    if "group" in meta:
        return [
            3,
            None,
            "x",
            [1],
            (),
            1.5,
            object(),
            meta["group"],
            WorldConfig() if meta["group"] is not WorldConfig else 3,
        ][int(rng.integers(9))]
    if "allowed" in meta:
        word = str(rng.choice(meta["allowed"]))
        return [
            misspelt(rng, word, meta["allowed"]),
            "",
            3,
            [word],
            np.array([word, word]),
            word.encode(),
            strange(rng),
        ][int(rng.integers(7))]
    if "kind" in meta:
        return [3, "x", [1], {}, object(), True][int(rng.integers(6))]
    if "names" in meta:
        return bad_weights(rng, meta)
    if "item" in meta:
        return bad_tuple(rng, meta)
    if "low" in meta and isinstance(f.default, bool):
        return [0, 1, "True", 0.0, np.array([True, False]), [True], strange(rng)][int(rng.integers(7))]
    if "low" in meta:
        return bad_number(rng, type(f.default), meta["low"], meta["high"])
    if isinstance(f.default, str):
        return [3, 1.5, ["x"], ("x",), True, strange(rng)][int(rng.integers(6))]
    raise Skipped


def bad_weights(rng: np.random.Generator, meta: Any) -> Any:
    name = str(rng.choice(meta["names"]))
    wrong = bad_number(rng, float, meta["low"], meta["high"])
    return [{name: wrong}, {misspelt(rng, name, meta["names"]): 1.0}, (1.0, 0.0), [name], name, 3, {3: 1.0}][
        int(rng.integers(7))
    ]


def bad_tuple(rng: np.random.Generator, meta: Any) -> Any:
    if is_dataclass(meta["item"]):
        inner: Any = [3, None, "page", ["page"], ("x", 1), 1.5, object()][int(rng.integers(7))]
        return [3, "page", 1.5, {"name": "page"}, [inner], (inner,), [{"name": "a"}, inner], strange(rng)][
            int(rng.integers(8))
        ]
    if "words" in meta:
        word = misspelt(rng, str(rng.choice(meta["words"])), meta["words"])
        return [[word], (word,), word, 3, [3], [[word]], strange(rng)][int(rng.integers(7))]
    inner = bad_number(rng, meta["item"], meta["low"], meta["high"])
    return [[inner], (inner,), [0.5, inner], "0.5", 3, 1.5, strange(rng)][int(rng.integers(7))]


# ------------------------------------------------------------------------------------------------ configs

CLASSES = [kind for kind in vars(configs).values() if isinstance(kind, type) and is_dataclass(kind)]
GROUP_OF = {
    kind.__name__: name for name, kind in ((f.name, f.metadata.get("group")) for f in fields(WorldConfig)) if kind
}


def is_fine(value: Any) -> bool:
    """An empty sequence, or one that NumPy reads as numbers, is none that is surely wrong."""
    return isinstance(value, (np.ndarray, tuple, list)) and len(value) == 0


def config_case(rng: np.random.Generator) -> Case:
    kind = CLASSES[int(rng.integers(len(CLASSES)))]
    f = fields(kind)[int(rng.integers(len(fields(kind))))]
    value = bad_value(rng, f)
    if is_fine(value) and ("item" in f.metadata):
        raise Skipped
    return Case(f"{kind.__name__}({f.name}={short(value)})", given(rng, kind, {f.name: value}), (f.name,), texts(value))


def given(rng: np.random.Generator, kind: type, changes: dict[str, Any]) -> Callable[[], Any]:
    """One of the ways to give fields to a config."""
    name, at = kind.__name__, GROUP_OF.get(kind.__name__)
    task = str(rng.choice([task for task in TASKS if task != "grocery-v0"]))
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


def short(value: Any) -> str:
    return repr(value)[:80]


def unknown_case(rng: np.random.Generator) -> Case:
    """A field that there is not."""
    kind = CLASSES[int(rng.integers(len(CLASSES)))]
    known = {f.name for f in fields(kind)}
    name = misspelt(rng, str(rng.choice(sorted(known))), known | {"num_envs", "task"})
    if not name.isidentifier() and rng.random() < 0.5:
        raise Skipped
    return Case(f"{kind.__name__}({name}=1)", given(rng, kind, {name: 1}), (name,))


def conflict_case(rng: np.random.Generator) -> Case:
    """Fields that are fine by themselves and make no sense together."""
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
        ({"messages": 1}, ("messages",), ("1",)),
        ({"arrival": {"d_0": high, "d_1": high}}, ("d_0",), (f"{2 * high:g}",)),
        ({"feedback": {"rating_cutpoints": sorted(rng.normal(size=n + (n == 4)))}}, ("rating_cutpoints",), ()),
        ({"feedback": {"rating_cutpoints": (3.0, low, 1.0, 2.0)}}, ("rating_cutpoints",), texts(low)),
        ({"choice": {"v_0_by_mood": (low,)}}, ("v_0_by_mood",), ()),
        ({"choice": {"v_0_by_mood": (low, high)}, "dynamics": {"mood_up": (0.1,) * n}}, ("mood_up",), ()),
        ({"dynamics": {"mood_up_none": high, "mood_down_none": high}}, ("mood_up_none",), ()),
        ({"items": {"life": n + 1, "period": n}}, ("period",), (str(n),)),
        ({"items": {"period": n}}, ("period",), ()),
        ({"items": topics}, ("topics",), (str(n),)),
        ({"scenes": ({"name": word}, {"name": word})}, ("scenes",), (word,)),
        ({"scenes": ()}, ("scenes",), ()),
        ({"roles": ()}, ("roles",), ()),
        ({"roles": ({"name": word}, {"name": word}), "num_agents": 2}, ("roles",), (word,)),
        ({"roles": ({"name": f"{word}-{n}"},)}, ("role",), (f"{word}-{n}",)),
        ({"roles": ({"scene": word},)}, ("scene",), (word,)),
        ({"roles": ({"name": "a"}, {"name": "b"}), "num_agents": n}, ("num_agents",), (str(n),)),
        ({"scenes": ({"name": "a"}, {"name": "b"}), "page": "rows"}, ("scenes",), ()),
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


# ------------------------------------------------------------------------------------------------ constructors


def arguments_case(rng: np.random.Generator) -> Case:
    """Task names and constructors' arguments."""
    task = "duel-v0"
    count: Any = [0, -1, 1.5, "3", math.nan, 2**40, [1], True, strange(rng)][int(rng.integers(9))]
    word = misspelt(rng, str(rng.choice(list(TASKS))), TASKS)
    odd: Any = [word, "", 3, [word], b"duel-v0", WorldConfig, strange(rng)][int(rng.integers(7))]
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
            f"single_agent_env(others={short(agent)})",
            lambda: api.single_agent_env(task, others=agent),
            ("others", "policy", "agent"),
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
            f"Company(batch, {short(agent)})",
            lambda: api.Company(api.vector_env(task), agent),
            ("others", "agent", "policy"),
            agent,
        ),
        ("Company(no batch)", lambda: api.Company(odd, {"recommender_0": "random"}), ("envs",), odd),
        ("VectorEnv(no config)", lambda: VectorEnv(odd), ("config",), odd),
    ]
    what, call, names, value = made[int(rng.integers(len(made)))]
    if value is None or (isinstance(value, dict) and not value):
        raise Skipped  # None stands for the default, and without others everybody learns
    return Case(what, call, names, texts(value))


# ------------------------------------------------------------------------------------------------ running environments

SMALL: dict[str, Any] = {
    "items": {"number": 12, "dims": 3, "topics": 3},
    "users": {"number": 2},
    "horizon": 50,
    "candidates": {"number": 5},
}
KINDS: dict[str, dict[str, Any]] = {
    "slate": {"slots": 3},
    "one slot": {"slots": 1},
    "slate of items": {"slots": 3, "action": "items"},
    "query": {"slots": 2, "action": "query"},
    "slate and word": {"slots": 2, "messages": 3},
    "one slot and word": {"slots": 1, "messages": 3},
    "query and word": {"slots": 2, "action": "query", "messages": 2},
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
        """Begin anew, as after something bad was accepted."""
        for envs in (self.vector, self.parallel, self.single):
            for env in envs.values():
                env.reset(seed=1)

    def batch_of(self, env: Any) -> VectorEnv:
        return env if isinstance(env, VectorEnv) else env.vector if hasattr(env, "vector") else env.env.vector

    def state_of(self, env: Any) -> Callable[[], bytes]:
        """All that a refused call may not touch."""
        envs = self.batch_of(env)

        def state() -> bytes:
            agents = getattr(env, "agents", None) or getattr(getattr(env, "env", None), "agents", None)
            parts = [array.tobytes() for array in envs.arrays] + [
                envs.report.observations.tobytes(),
                envs.report.own.tobytes(),
            ]
            return b"|".join([*parts, repr((envs._seed, agents)).encode()])

        return state


def bad_action(rng: np.random.Generator, space: Any) -> tuple[Any, tuple[str, ...]]:
    """One action outside its space, and how it may be told."""
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
    """A batch of actions with one that is wrong, or of the wrong form."""
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
    """A dictionary of actions with one that is wrong, missing or of nobody; or one action for a single agent."""
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
    """Names of agents and fields, and calls at the wrong time."""
    env, envs = running.parallel["slate"], running.vector["slate"]
    name = misspelt(rng, str(rng.choice(list(envs.observation_fields))), envs.observation_fields)
    agent = misspelt(rng, "recommender_1", env.possible_agents)
    odd: Any = [agent, 7, None, strange(rng)][int(rng.integers(4))]
    fresh = api.vector_env(WorldConfig(), 1, **SMALL)
    key = misspelt(rng, "clicked", envs.infos)
    made: list[Case] = [
        Case(f"field(observations, {name!r})", lambda: envs.field(envs.observations, name), (name,)),
        Case(f"infos[{key!r}]", lambda: envs.infos[key], (key,)),
        Case(f"observation_space({short(odd)})", lambda: env.observation_space(odd), ("agent",), texts(odd)),
        Case(f"action_space({short(odd)})", lambda: env.action_space(odd), ("agent",), texts(odd)),
        Case("step before reset", lambda: fresh.step(fresh.empty_actions()), ("reset",)),
        Case("expected_feedback before reset", lambda: fresh.expected_feedback(fresh.empty_actions()), ("reset",)),
    ]
    return made[int(rng.integers(len(made)))]


def restore_case(rng: np.random.Generator, running: Running) -> Case:
    """Something that is no snapshot of this environment."""
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
    from recsys_env.evaluation import episode_returns

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
        (f"episode_returns of {agent}", lambda: episode_returns(config, {agent: "random"}, 2, 0), (agent,), ()),
        (f"bind to {agent}", lambda: make_policy("random").bind(envs, agent, 0), (agent,), ()),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    if "seed=None" in what:
        raise Skipped
    return Case(what, call, names, values)


# ------------------------------------------------------------------------------------------------ files, logs, commands


def log_table(rng: np.random.Generator) -> Any:
    import pandas as pd

    rows, topic = 400, np.arange(30) % 4
    item = rng.integers(0, 30, rows)
    return pd.DataFrame(
        {
            "household_id": rng.integers(0, 25, rows),
            "product_id": item,
            "transaction_timestamp": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 100, rows), "D"),
            "sales_value": rng.uniform(1, 5, rows),
            "quantity": rng.integers(1, 3, rows),
            "retail_disc": rng.uniform(0, 1, rows),
            "product_category": np.array([f"topic {t}" for t in topic])[item],
            "product_type": np.array([f"item {j}" for j in range(30)])[item],
        }
    )


def fit_case(rng: np.random.Generator) -> Case:
    """A purchase log, or an option, that cannot be fitted."""
    from recsys_env.fitting import COLUMNS, fit

    table = log_table(rng)
    options: dict[str, Any] = {"dims": 4, "habit_size": 8, "origin": "free_choice"}
    role = str(rng.choice(list(COLUMNS)))
    column, row = str(COLUMNS[role]), int(rng.integers(len(table)))
    names, values, what = (column,), (), ""  # type: tuple[str, ...], tuple[str, ...], str
    bad: Any
    way = int(rng.integers(8))
    if way == 7:
        bad = [None, "free", 3, ["free_choice"], misspelt(rng, "recommender", ())][int(rng.integers(5))]
        options["origin"], names, values, what = bad, ("origin",), texts(bad) if bad else (), f"origin = {bad!r}"
    elif way == 0:
        table, what = table.rename(columns={column: misspelt(rng, column, table.columns)}), f"without {column}"
    elif way == 1 and role in ("price", "quantity", "discount"):
        bad = [-1.0, math.nan, math.inf, -math.inf][int(rng.integers(4))]
        table[column] = table[column].astype(float)
        table.loc[row, column] = bad
        what, values = f"{column}[{row}] = {bad}", texts(bad)
    elif way == 2 and role in ("price", "quantity", "discount"):
        table[column], what = table[column].astype(str), f"{column} as text"
    elif way == 3 and role in ("user", "item", "topic"):
        table[column] = table[column].astype(object)
        table.loc[row, column] = None
        what = f"{column}[{row}] = None"
    elif way == 3 and role == "time":
        bad = ["1900-01-01", "soon", None, 5][int(rng.integers(4))]
        table[column] = table[column].astype(object)
        table.loc[row, column] = bad
        what, values = f"{column}[{row}] = {bad!r}", ()
    elif way == 4:
        table, what = (
            [table.iloc[:0], table.to_dict(), None, 3, table.to_numpy(), "log.csv", [table]][int(rng.integers(7))],
            "no table",
        )
        names = ("purchases",)
    elif way == 5:
        option = str(
            rng.choice(
                ["dims", "habit_size", "habit_half_life", "popularity_half_life", "taste_half_life", "weight_days"]
            )
        )
        bad = [
            0,
            -1,
            math.nan,
            "x",
            None,
            -math.inf,
            [1],
            strange(rng),
            10**6 if option in ("dims", "habit_size") else 0.0,
        ][int(rng.integers(9))]
        options[option], names, values, what = bad, (option,), texts(bad), f"{option} = {short(bad)}"
    elif way == 6 and role in ("user", "item", "time", "price", "topic"):
        bad = [None, 3, ["a"], misspelt(rng, column, table.columns)][int(rng.integers(4))]
        options["columns"], names, values, what = {role: bad}, (role, "column"), texts(bad), f"{role} = {bad!r}"
    else:
        raise Skipped
    return Case(f"fit: {what}", lambda: fit(table, **options), names, values)


class Files:
    """A small catalogue on disk, and its damaged copies."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        vectors, tastes = (
            rng.standard_normal((12, 3)).astype(np.float32),
            rng.standard_normal((5, 3)).astype(np.float32),
        )
        self.folder, self.path = folder, folder / "good.npz"
        Catalogue(
            item_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            item_topic=(np.arange(12) % 3).astype(np.int32),
            item_intercept=np.zeros(12, np.float32),
            item_price=rng.uniform(1, 5, 12).astype(np.float32),
            item_popularity=rng.uniform(1, 9, 12).astype(np.float32),
            user_taste=tastes / np.linalg.norm(tastes, axis=1, keepdims=True),
            user_price_sensitivity=np.ones(5, np.float32),
            user_activity=np.ones(5, np.float32),
            habit_item=np.full((5, 2), -1, np.int32),
            habit_count=np.zeros((5, 2), np.float32),
            item_name=np.array([f"item {j}" for j in range(12)]),
            topic_name=np.array([f"topic {t}" for t in range(3)]),
            source="a log",
            settings={"choice": {"beta_taste": 2.0}},
        ).save(self.path)
        self.bytes = self.path.read_bytes()
        with np.load(self.path) as data:
            self.arrays = dict(data)


def file_case(rng: np.random.Generator, files: Files) -> Case:
    name = f"damaged_{rng.integers(10**9)}.npz"
    path, whole = files.folder / name, files.bytes
    way, arrays = int(rng.integers(6)), dict(files.arrays)
    key = str(rng.choice(list(arrays)))
    values: tuple[str, ...] = ()
    if way == 0:
        data, what = whole[: int(rng.integers(len(whole)))], "truncated"
    elif way == 1:
        at = int(rng.integers(len(whole)))
        data, what = (
            whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :],
            f"bit flipped in byte {at}",
        )
    elif way == 2:
        data, what = (
            [b"", b"{}", b"PK\x03\x04", rng.bytes(500), b"\x93NUMPY" + rng.bytes(60), json.dumps({"a": 1}).encode()][
                int(rng.integers(6))
            ],
            "another kind of file",
        )
    else:
        array = arrays[key]
        if way == 3:
            del arrays[key]
        elif way == 4:
            arrays[key] = [
                array[:-1] if array.ndim else np.array([1, 2]),
                array[None],
                np.zeros(0),
                array.astype(str) if array.dtype.kind != "U" else np.zeros(3),
            ][int(rng.integers(4))]
        else:
            if array.dtype.kind not in "fi":
                raise Skipped
            arrays[key] = array.astype(float)
            arrays[key].flat[int(rng.integers(array.size))] = [math.nan, math.inf, -1e9, 1e9][int(rng.integers(4))]
            if (
                key
                in (
                    "item_price",
                    "item_popularity",
                    "user_price_sensitivity",
                    "user_activity",
                    "item_intercept",
                    "habit_count",
                )
                and arrays[key].max() == 1e9
            ):
                raise Skipped  # large, but allowed
            if key == "item_intercept" and arrays[key].min() == -1e9:
                raise Skipped
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        data, what, values = (
            buffer.getvalue(),
            f"{key} is {['', '', '', 'missing', 'of another form', 'out of range'][way]}",
            (key,) if way != 4 else (),  # another length is told of whichever array it does not fit
        )
    path.write_bytes(data)

    def load() -> Any:
        try:
            found = (
                Catalogue.load(path)
                if rng.random() < 0.5
                else api.vector_env(WorldConfig(), catalogue=str(path)).catalogue
            )
        finally:
            path.unlink()
        good = Catalogue.load(files.path)
        if all(np.array_equal(getattr(found, f.name), getattr(good, f.name)) for f in fields(good)):
            raise Skipped  # the damage is where nobody reads
        return found

    return Case(f"catalogue {what}", load, (name,), values)


def command_case(rng: np.random.Generator) -> Case:
    """A command line, called in this process; each is refused before anything is played."""
    from baselines.__main__ import COMMANDS, main

    word = misspelt(rng, str(rng.choice(list(COMMANDS))), COMMANDS)
    task, policy = (
        misspelt(rng, str(rng.choice(list(TASKS))), TASKS),
        misspelt(rng, str(rng.choice(list(POLICIES))), POLICIES),
    )
    option = "--" + "".join(rng.choice(list("qwxyz"), 5))
    number = str(rng.choice(["-1", "0", "x", "1.5", "nan", ""]))
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out")
    made: list[tuple[list[str], tuple[str, ...]]] = [
        ([word], (word,)),
        (["evaluate", "--tasks", task, "--policies", "random", "--out", out], (task,)),
        (["evaluate", "--tasks", "duel-v0", "--policies", policy, "--out", out], (policy,)),
        (["evaluate", "--tasks", "duel-v0", "--policies", "random", option, "1"], (option,)),
        (["evaluate", "--tasks", "duel-v0", "--policies", "random", "--episodes", number, "--out", out], ("episodes",)),
        (["train", policy, "--task", "duel-v0", "--out", out], (policy,)),
        (["train", "ippo", "--task", task, "--out", out], (task,)),
        (["train", "ippo", "--task", "duel-v0", "--timesteps", number, "--out", out], ("timesteps",)),
        (["train", "ippo", option, "3"], (option,)),
        (["tournament", "--task", task, "--out", out], (task,)),
        (["policies", option], (option,)),
    ]
    words, names = made[int(rng.integers(len(made)))]
    return Case(f"python -m baselines {' '.join(words)}", lambda: main(words), names)


# ------------------------------------------------------------------------------------------------ the run


def generators(running: Running, files: Files) -> dict[str, tuple[float, Callable[[np.random.Generator], Case]]]:
    """Kind -> share of all inputs, and what draws one."""
    return {
        "config": (0.40, config_case),
        "unknown field": (0.10, unknown_case),
        "conflict": (0.06, conflict_case),
        "arguments": (0.08, arguments_case),
        "joint actions": (0.12, lambda rng: joint_case(rng, running)),
        "actions by agent": (0.10, lambda rng: agents_case(rng, running)),
        "seeds": (0.06, lambda rng: reset_case(rng, running)),
        "names and order": (0.015, lambda rng: lookup_case(rng, running)),
        "restore": (0.025, lambda rng: restore_case(rng, running)),
        "policies": (0.02, lambda rng: policy_case(rng, running)),
        "catalogue files": (0.012, lambda rng: file_case(rng, files)),
        "fit": (0.006, fit_case),
        "commands": (0.002, command_case),
    }


def cases(rng: np.random.Generator, draw: Callable[[np.random.Generator], Case]) -> Iterator[Case]:
    while True:
        with contextlib.suppress(Skipped):
            yield draw(rng)


def run(number: int, kinds: list[str], samples: int) -> dict[str, Any]:
    """Give `number` bad inputs, of these kinds (none: all)."""
    counts: dict[str, Counter[str]] = {}
    found: dict[str, list[dict[str, str]]] = {"silent": [], "unclear": [], "clear": []}
    with tempfile.TemporaryDirectory() as folder:
        running = Running()
        made = generators(running, Files(Path(folder)))
        for place, (kind, (share, draw)) in enumerate(made.items()):
            if kinds and kind not in kinds:
                continue
            rng, began = np.random.default_rng([SEED, place]), time.perf_counter()
            count: Counter[str] = Counter()
            stream = cases(rng, draw)
            while count.total() < max(1, round(number * (share if not kinds else 1 / len(kinds)))):
                case = next(stream)
                verdict, said = judge(case)
                if verdict == "skipped":
                    continue
                count[verdict] += 1
                if verdict == "silent" and case.state:
                    running.start()
                if sum(row["kind"] == kind for row in found[verdict]) < samples:
                    found[verdict].append({"kind": kind, "input": case.what[:300], "said": said[:400]})
            counts[kind] = count
            print(
                f"{kind:18} "
                + "  ".join(f"{v} {count[v]:6}" for v in found)
                + f"  ({time.perf_counter() - began:.0f} s)",
                flush=True,
            )
    total = sum(counts.values(), Counter())
    return {
        "seed": SEED,
        "number": total.total(),
        **{verdict: total[verdict] for verdict in found},
        "kinds": {kind: {verdict: count[verdict] for verdict in found} for kind, count in counts.items()},
        "first": {verdict: rows for verdict, rows in found.items() if verdict != "clear"},
        "clear_samples": found["clear"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--kind", nargs="*", default=[], help="only these kinds; nothing is stored")
    parser.add_argument("--samples", type=int, default=5, help="examples kept of each kind and class")
    args = parser.parse_args()
    importlib.import_module("pandas")
    result = run(args.number, args.kind, args.samples)
    for verdict in ("silent", "unclear"):
        for row in result["first"][verdict]:
            print(f"{verdict}: {row['kind']}: {row['input']}\n    {row['said']}")
    print({name: result[name] for name in ("number", "silent", "unclear", "clear")})
    if not args.kind:
        print(store("bad_inputs", "benchmarks.bad_inputs", result))


if __name__ == "__main__":
    main()
