"""Damaged files of every kind that is exchanged: each is read as it was, or refused in one line that names it.

`test_damages.py` tries a few of each kind; `python tests/damages.py 300` tries 300 of each and counts.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import examples
import numpy as np
from gymnasium.spaces import flatdim

from baselines import robustness, training_results
from baselines.algorithms import ALGORITHMS
from baselines.options import Algorithm
from baselines.train import train
from baselines.training import begin
from recsys_env import TASKS, VectorEnv, WorldConfig
from recsys_env.config.catalogue import Catalogue
from recsys_env.evaluation import statistics
from recsys_env.evaluation.runs import Run, _play_and_store, _stored
from recsys_env.evaluation.stored import read_result
from recsys_env.evaluation.tables import (
    aggregate_rows,
    leaderboard_rows,
    metric_rows,
    payoff_rows,
    ranking_rows,
    reward_rows,
)
from recsys_env.files import write_json
from recsys_env.policies import make_policy

FINE = ("refused", "same", "plausible")
UNCLEAR = re.compile(
    r"zlib|pickl|KeyError|Traceback|codec|object at 0x|unpack|struct|CRC|BadZip|\n", re.IGNORECASE
)  # words that say nothing to a user


@dataclass
class Kind:
    """A file and what reads it.

    Args:
        file: whose content is damaged.
        read: raises ValueError if it refuses the file; returns what it made of it, to be compared.
        guard: which damage has to be found: "value" (a digest: any other value), "bytes" (checksums: any damaged byte,
            but not a well-formed file with other values), "form" (only what is of another form).
        named: what the message has to name; by default the file.
    """

    file: Path
    read: Callable[[], Any]
    guard: str
    named: str = ""


def damages(content: bytes, others: list[bytes], number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Ways in which a file may be damaged, by name, about `number`; those that begin with "!" are well-formed."""
    rng = np.random.default_rng(seed)
    yield "empty", b""
    for i, other in enumerate(others):
        yield f"!another's {i}", other
    yield "doubled", content + content
    inside = list(_inside(content, rng))
    for i in rng.permutation(len(inside))[: number // 3]:
        yield f"!{inside[i][0]}", inside[i][1]()
    for _ in range(number // 4):
        length = int(rng.integers(1, len(content)))
        yield f"cut to {length}", content[:length]
    for _ in range(number // 3):
        changed = bytearray(content)
        place, bit = int(rng.integers(len(content))), int(rng.integers(8))
        changed[place] ^= 1 << bit
        yield f"bit {bit} of byte {place}", bytes(changed)
    for _ in range(number // 12 + 1):
        begin = int(rng.integers(len(content)))
        length = int(rng.integers(1, 1 + len(content) // 4))
        yield (
            f"zeros at {begin}, {length}",
            content[:begin] + bytes(min(length, len(content) - begin)) + content[begin + length :],
        )
        yield f"without {length} at {begin}", content[:begin] + content[begin + length :]


Made = Callable[[], bytes]


def _inside(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, Made]]:
    """Well-formed files that say something else, made when they are called for."""
    if not content.startswith(b"PK"):
        yield from _jsons(json.loads(content), rng)
        return
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)

    def archived(changed: Callable[[], dict[str, Any]]) -> Made:
        def make() -> bytes:
            file = io.BytesIO()
            np.savez(file, **changed())
            return file.getvalue()

        return make

    for name, array in arrays.items():
        for what, changed in _arrays(array).items():
            yield f"{name} {what}", archived(lambda name=name, changed=changed: {**arrays, name: changed})
        yield (
            f"without {name}",
            archived(lambda name=name: {other: value for other, value in arrays.items() if other != name}),
        )
        if array.dtype.kind == "U" and not array.ndim and str(array).startswith(("{", "[")):
            for what, text in _jsons(json.loads(str(array)), rng):
                yield (
                    f"{name}: {what}",
                    archived(lambda name=name, text=text: {**arrays, name: np.array(text().decode())}),
                )
    yield "one array more", archived(lambda: {**arrays, "surprise": np.zeros(3)})


def _arrays(array: np.ndarray) -> dict[str, np.ndarray]:
    changed = {
        "as objects": array.astype(object),
        "with another axis": array[None],
        "as text": array.astype("S" if array.dtype.kind == "U" else "U"),
    }
    if array.ndim:
        changed |= {"shorter": array[1:], "empty": array[:0]}
    if array.dtype.kind == "f":
        changed |= {
            "NaN": np.full_like(array, np.nan),
            "as integers": array.astype(np.int64),
            "huge": np.full_like(array, np.finfo(array.dtype).max),
        }
        changed |= {"negative": -np.abs(array) - 1, "complex": array.astype(complex)}
    if array.dtype.kind == "i":
        changed |= {
            "beyond": array.astype(np.int64) + 10**6,
            "as floats": array.astype(float),
            "unsigned": array.astype(np.uint16),
        }
    return changed


def _jsons(value: Any, rng: np.random.Generator) -> Iterator[tuple[str, Made]]:
    def changed(place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Made:
        return lambda: json.dumps(_with(value, place, change)).encode()

    places = list(_places(value))
    for i in rng.permutation(len(places))[:200]:
        place = places[i]
        for what, new in (
            ("null", None),
            ("a word", "word"),
            ("NaN", float("nan")),
            ("an object", {}),
            ("a list", []),
            ("a number", -7),
            ("a bool", True),
        ):
            yield f"{place} is {what}", changed(place, lambda inside, key, new=new: inside.__setitem__(key, new))
        yield f"without {place}", changed(place, lambda inside, key: inside.__delitem__(key))
    for what, new in (
        ("null", None),
        ("an empty object", {}),
        ("an empty list", []),
        ("a word", "word"),
        ("a number", 3),
        ("NaN", float("nan")),
    ):
        yield what, lambda new=new: json.dumps(new).encode()


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inside in (
        value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    ):
        yield (*before, key)
        yield from _places(inside, (*before, key))


def _with(value: Any, place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    changed = inside = copy.deepcopy(value)
    for key in place[:-1]:
        inside = inside[key]
    change(inside, place[-1])
    return changed


def outcome(kind: Kind, name: str, content: bytes, expected: Any) -> str:
    """What becomes of a file: "refused", "same", "plausible" (other values, which none can tell), or what is wrong."""
    kind.file.write_bytes(content)
    try:
        found = kind.read()
    except (ValueError, SystemExit) as error:
        said = str(error)
        if UNCLEAR.search(said):
            return f"unclear: {said!r}"
        return "refused" if (kind.named or str(kind.file)) in said else f"names no file: {said!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if equal(found, expected):
        return "same"
    return "plausible" if kind.guard == "form" or (kind.guard == "bytes" and name.startswith("!")) else "silently other"


def equal(a: Any, b: Any) -> bool:
    """Whether two nested values are the same to the bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)


def try_all(kind: Kind, others: list[bytes], number: int, seed: int = 0) -> dict[str, list[str]]:
    """Outcome -> the damages that had it; the file is afterwards as it was."""
    content, expected = kind.file.read_bytes(), kind.read()
    found: dict[str, list[str]] = {}
    try:
        for name, changed in damages(content, [other for other in others if other != content], number, seed):
            if changed != content:
                found.setdefault(outcome(kind, name, changed, expected), []).append(name)
    finally:
        kind.file.write_bytes(content)
    return found


# ------------------------------------------------------------------------------------------------ the kinds

TASK = "duel-v1"
TINY: dict[str, Any] = {
    "timesteps": 128,
    "num_envs": 2,
    "n_steps": 16,
    "set": ("horizon=20",),
    "eval_episodes": 2,
    "compare": (),
    "device": "cpu",
}


def tiny(algorithm: str, out: Path, **options: Any) -> Algorithm:
    """An algorithm that trains in a second."""
    kind = ALGORITHMS[algorithm]
    sizes = {"batch_size": 32, "n_epochs": 1} if "batch_size" in kind.__dataclass_fields__ else {}
    return kind(out=out, **{**TINY, **sizes, **options})


def small_catalogue() -> Catalogue:
    rng = np.random.default_rng(0)
    vectors, tastes = (rng.standard_normal((n, 4)) for n in (12, 5))
    return Catalogue(
        item_vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        item_topic=(np.arange(12) % 3).astype(np.int32),
        item_intercept=np.zeros(12, np.float32),
        item_price=rng.uniform(1, 5, 12).astype(np.float32),
        item_popularity=rng.uniform(1, 9, 12).astype(np.float32),
        item_price_ratio=rng.uniform(0.5, 1, (12, 2)).astype(np.float32),
        user_taste=(tastes / np.linalg.norm(tastes, axis=1, keepdims=True)).astype(np.float32),
        user_price_sensitivity=np.ones(5, np.float32),
        user_activity=rng.uniform(1, 3, 5).astype(np.float32),
        habit_item=rng.integers(-1, 12, (5, 3)).astype(np.int32),
        habit_count=rng.uniform(0.5, 3, (5, 3)).astype(np.float32),
        item_domain=np.zeros(12, np.int32),
        item_name=np.array([f"item {j}" for j in range(12)]),
        item_text=np.array([f"text {j}" for j in range(12)]),
        topic_name=np.array(["a", "b", "c"]),
        domain_name=np.array(["shop"]),
        source="made up",
        settings={"choice": {"v_0": 1.0}},
    )


def catalogue(folder: Path) -> Kind:
    small_catalogue().save(folder / "small.npz")
    return Kind(folder / "small.npz", lambda: vars(Catalogue.load(folder / "small.npz")), "bytes")


def trained(folder: Path, algorithm: str, task: str) -> Iterator[Kind]:
    begun = tiny(algorithm, folder, task=task)
    train(begun)
    yield from of_run(begun)


def of_run(begun: Algorithm) -> Iterator[Kind]:
    """The files of a trained policy and those that a resumed run reads."""
    folder: Any = begun.out
    again = dataclasses.replace(begun, timesteps=256, resume=True)

    def resume() -> Any:
        training = begin(again)
        learner = training.make_learner()
        checkpoint = vars(training.checkpoint)
        return {
            "steps": learner.agent_steps,
            **learner.resume_arrays(),
            **{name: checkpoint[name] for name in ("begun", "before", "curve")},
        }

    yield from of_policy(folder, begin(begun).config)
    yield Kind(folder / "checkpoint.npz", resume, "bytes", str(folder))
    yield Kind(folder / "config.json", resume, "value")


def of_policy(folder: Path, config: WorldConfig) -> Iterator[Kind]:
    """The files of a trained policy."""
    envs = VectorEnv(config, 2)

    def play() -> Any:
        policy: Any = make_policy(folder)
        policy.bind(envs, envs.possible_agents[0], 0)
        envs.reset(seed=0)
        seen: Any = envs.observations
        masked = np.ones((2, flatdim(envs.action_space))) if envs.config.mask_actions else None
        actions = policy.act((seen if masked is None else seen["observation"])[:, 0], masked)
        held = vars(policy)
        networks = held.get("_networks") or held.get("_actors") or {"model": policy.model}
        return {
            "actions": np.asarray(actions),
            **{name: {k: v.numpy() for k, v in net.state_dict().items()} for name, net in networks.items()},
        }

    yield Kind(folder / "policy.json", play, "value", str(folder))
    yield Kind(folder / "policy.npz", play, "value", str(folder))


def saved_networks(folder: Path) -> Path:
    """The folder of a policy that is made of plain layers."""
    import torch

    from recsys_env.trained import networks

    envs = VectorEnv(TASKS["duel-v1"], 1)
    sizes = flatdim(envs.observation_space), flatdim(envs.action_space)
    torch.manual_seed(0)
    actors = {
        agent: torch.nn.Sequential(torch.nn.Linear(sizes[0], 8), torch.nn.Tanh(), torch.nn.Linear(8, sizes[1]))
        for agent in envs.possible_agents
    }
    networks.save(folder, envs, actors)
    return folder


def stored_run(folder: Path) -> Kind:
    run = Run("duel-v1,horizon=20", "content", 0, 2, 0, True)
    _play_and_store(run, folder)
    return Kind(run.path(folder), lambda: _stored(run, folder), "value")


def results(folder: Path) -> Iterator[Kind]:
    """The summaries that tables are made of, with few teams and tasks."""
    evaluation = examples.write_evaluation(folder)
    for found in evaluation["tasks"].values():
        for row in found["teams"].values():
            row["metrics"] = {name: values for name, values in row["metrics"].items() if name in ("ndcg", "page_ctr")}
    del evaluation["aggregate"]  # which is computed anew
    write_json(folder / "evaluation.json", evaluation)
    examples.write_tournament(folder)

    def read() -> Any:
        found, games = (read_result(folder / f"{name}.json") for name in ("evaluation", "tournament"))
        found = statistics.rescaled(found)
        made = [rows(found, "ranking") for rows in (leaderboard_rows, aggregate_rows)]
        made += [rows(task) for task in found["tasks"].values() for rows in (reward_rows, metric_rows)]
        made += [rows(game) for game in games.values() for rows in (payoff_rows, ranking_rows)]
        statistics.merged(found, found)
        return made

    for name in ("evaluation", "tournament"):
        yield Kind(folder / f"{name}.json", read, "form")


def training(folder: Path) -> Kind:
    file = examples.write_training(folder)
    return Kind(file, lambda: vars(training_results.read(file)), "form")


def checkpoint(folder: Path) -> Iterator[Kind]:
    """The files of a checkpoint as it ships: a table of actions, and its card."""
    for file in ("policy.npz", "policy.json", "trained.json"):

        def play() -> Any:
            policy: Any = make_policy(folder)
            policy.bind(VectorEnv(TASKS["duel-v1"], 1), "recommender_0", 0)
            return {"card": policy.shipped.card, "table": np.asarray(policy._table)}

        yield Kind(folder / file, play, "value", str(folder))


def robust(folder: Path) -> Kind:
    """What is stored of a learner beside other partners."""
    file = examples.write_robustness(folder)
    return Kind(file, lambda: robustness.read(file), "form")


def every_kind(folder: Path) -> Iterator[Kind]:
    def new(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    yield catalogue(folder)
    yield from trained(new("ippo"), "ippo", "ecommerce-v1")
    yield from trained(new("pages"), "ppo-torch", "duel-v1")
    yield from of_policy(saved_networks(new("networks")), TASKS["duel-v1"])
    yield stored_run(new("evaluation"))
    yield from results(new("results"))
    yield training(new("training"))
    yield from checkpoint(examples.write_checkpoint(new("learned")))
    yield robust(new("robustness"))


def main(number: int) -> None:
    statistics.REPETITIONS = 10
    with tempfile.TemporaryDirectory() as folder:
        kinds = list(every_kind(Path(folder)))
        others = [kind.file.read_bytes() for kind in kinds]
        for kind in kinds:
            found = try_all(kind, others, number)
            print(kind.file.relative_to(folder), {what[:200]: len(names) for what, names in found.items()}, flush=True)
            for what, names in found.items():
                if what not in FINE:
                    print("   ", what[:300], names[:3], flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
