"""Bad arguments of public functions.

Items and user slots that do not exist, damaged snapshots, exact solutions, answers and addresses of language models,
scenarios, views, files that unpack to more than they declare, and batches that do not fit into memory.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from recsys_env import TASKS, WorldConfig, exact
from recsys_env.batch.base import Snapshot
from recsys_env.config import UserConfig
from recsys_env.config.catalogue import Catalogue
from recsys_env.config.scenarios import scenarios_of
from recsys_env.evaluation.scenarios import play_scenarios
from recsys_env.language import encode, open_model
from recsys_env.language.prompts import parse
from recsys_env.world.arrays import ROW_ARRAYS

from .case import Case, Repaired, Skipped, api, short, texts
from .environments import KINDS, Running
from .files import Files
from .values import misspelt, strange

Made = list[tuple[str, Callable[[], Any], tuple[str, ...], tuple[str, ...]]]


def whole(rng: np.random.Generator, low: int = 1) -> Any:
    """Draw something that is no whole number of at least `low`."""
    return [low - 1, -7, 1.5, math.nan, math.inf, "3", None, [1], np.float64(2.5), strange(rng)][int(rng.integers(10))]


def getter_case(rng: np.random.Generator, running: Running) -> Case:
    """A question about items, users or fields that a batch does not have."""
    kind = str(rng.choice(list(KINDS)))
    envs: Any = running.vector[kind]
    size, copies, places = envs.shape.items, envs.num_envs, envs.shape.users
    good = np.arange(3)
    items: Any = [
        *([size], [-1], [0, 10**6], [2**62], [-(2**40), 1], [0.5], [math.nan], ["a"], [None], [[0], [1, 2]], "12"),
        *(3, None, [[0, 1]], np.zeros(2), {0: 1}, np.array([True]), strange(rng)),
    ][int(rng.integers(18))]
    tick: Any = [-1, -(2**40), 1.5, math.nan, math.inf, "0", None, [0, 1], strange(rng)][int(rng.integers(9))]
    multipliers: Any = [[1.0, 2.0], "x", [math.nan] * 3, -1.0, math.inf, [[1.0]], None, strange(rng)][
        int(rng.integers(8))
    ]
    paid: Any = [[1.0], [1.0] * 4, "abc", [math.nan] * 3, [-1.0, 1, 1], math.inf, None, [[1.0]], strange(rng)][
        int(rng.integers(9))
    ]
    place: Any = [
        *(-1, places, 10**6, -(10**6), 1.5, math.nan, "0", [0] * (copies + 1), [0, -1, 0], [places] * copies, [[0]]),
        *([0.5] * copies, {0: 1}, strange(rng)),
    ][int(rng.integers(14))]
    if place is None or isinstance(items, range) or (isinstance(items, np.ndarray) and not items.size):
        raise Skipped  # None stands for the next visitors, and these items exist
    made: Made = [
        (f"prices_at({short(items)}, 0)", lambda: envs.prices_at(items, 0), ("items",), texts(items)),
        (f"prices_at(items, {short(tick)})", lambda: envs.prices_at(good, tick), ("tick",), texts(tick)),
        (
            f"prices_at(items, 0, {short(multipliers)})",
            lambda: envs.prices_at(good, 0, multipliers),
            ("multipliers",),
            texts(multipliers),
        ),
        (
            f"purchase_values({short(items)}, 1.0)",
            lambda: envs.purchase_values(items, np.ones(len(items) if hasattr(items, "__len__") else 1)),
            ("items",),
            texts(items),
        ),
        (f"purchase_values(items, {short(paid)})", lambda: envs.purchase_values(good, paid), ("paid",), texts(paid)),
        (f"latent_users({short(place)})", lambda: envs.latent_users(place), ("user_slots",), texts(place)),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    return Case(f"{kind}: {what}", call, names, values, running.state_of(envs))


# Numbers in snapshots that no game reaches, whoever plays: array, field, user slot (None: that of the visitor).
CONTENTS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("copies", "tick"): (-1, 50, 10**6, -(2**30)),
    ("copies", "visitor"): (-2, 2, 10**6, -(2**30)),
    ("copies", "row"): (-2, 2, 10**6, -(2**30)),
    ("copies", "rows_taken"): (-1, 3, 10**6, -(2**30)),
    ("copies", "intent"): (-2, 3, 10**4),
    ("copies", "scene"): (-1, 1, 100),
    ("copies", "anchor"): (-2, 12, 10**6),
    ("copies", "opened"): (-2, 2, 100),
    ("copies", "session_page"): (-1, 10**6),
    ("users", "satisfaction"): (math.nan, math.inf, -3.0, 1e30),
    ("users", "rho"): (math.nan, -1.0, math.inf),
    ("users", "row"): (-2, 2, 10**6, -(2**30)),
    ("users", "cart"): (-1, 100),
    ("users", "group"): (-1, 100),
    ("candidates", ""): (-2, 12, 10**6, -(2**30)),
    ("matches", ""): (math.nan, math.inf, 1e30),
    ("vectors", ""): (math.nan, math.inf, -1e30),
    ("order", ""): (-1, 2, 10**6),
}


def contents_case(rng: np.random.Generator, running: Running) -> Case:
    """A snapshot of the right form with contents that no game reaches."""
    kind = str(rng.choice(list(KINDS)))
    envs: Any = running.vector[kind]
    mine = running.saved[kind]
    array, field = list(CONTENTS)[int(rng.integers(len(CONTENTS)))]
    values = CONTENTS[array, field]
    value, copy = values[int(rng.integers(len(values)))], int(rng.integers(envs.num_envs))
    changed = getattr(mine.arrays, array).copy()
    if field and np.issubdtype(changed.dtype[field], np.integer):
        limits = np.iinfo(changed.dtype[field])
        if not limits.min <= value <= limits.max:
            raise Skipped
    if changed.size == 0:
        raise Skipped
    at = changed[field][copy] if field else changed[copy]
    if array in ROW_ARRAYS:
        at = at[max(int(mine.arrays.copies["row"][copy]), 0)]
    if array == "users":
        changed[field][copy, max(int(mine.arrays.copies["visitor"][copy]), 0)] = value
    elif np.ndim(at):
        at.flat[0 if array == "vectors" else int(rng.integers(at.size))] = value
    else:
        changed[field][copy] = value
    broken = Snapshot(mine.config, mine.arrays._replace(**{array: changed}), mine.world)
    return Case(
        f"{kind}: restore(with {array} {field} = {value} in copy {copy})",
        lambda: envs.restore(broken),
        ("snapshot",),
        (*texts(value), repr(changed.dtype.type(value).item()) if not field else str(value)),
        running.state_of(envs),
    )


@cache
def game() -> Any:
    return exact.tabulate("duel-v1")


def exact_case(rng: np.random.Generator) -> Case:
    """Criteria, policies and agents that make no sense in a finite game."""
    states, actions = len(game().states), len(game().actions)
    count, policies = whole(rng), np.zeros((2, states), int)
    rate: Any = [-0.1, 1.0, 2, math.nan, math.inf, "x", None, [0.5], strange(rng)][int(rng.integers(9))]
    odd: Any = [
        *("content", "", set(), {}, [], None, 3, policies[:1], np.zeros((3, states), int), policies[:, :1]),
        *(policies + actions, policies - 1, policies + 0.5, np.full((2, states), np.nan), [None, None]),
        *(np.full((2, states, actions), 0.7), np.full((2, states, actions), -1.0), ["a", "b"], strange(rng)),
    ][int(rng.integers(19))]
    agent: Any = [-1, 2, 10**6, 0.5, "recommender_0", None, [0], math.nan, strange(rng)][int(rng.integers(9))]
    criterion: Any = ["average", None, 3, 0.9, strange(rng)][int(rng.integers(5))]
    word = misspelt(rng, str(rng.choice(list(TASKS))), TASKS)
    large = str(rng.choice(["social-v1", "news-v1", "ecommerce-v1"]))
    made: Made = [
        (f"finite({short(count)})", lambda: exact.finite(count), ("horizon",), texts(count)),
        (f"discounted({short(rate)})", lambda: exact.discounted(rate), ("discount",), texts(rate)),
        (f"nash_conv(game, {short(odd)})", lambda: exact.nash_conv(game(), odd), ("polic",), ()),
        (f"evaluate(game, {short(odd)})", lambda: exact.evaluate(game(), odd), ("polic",), ()),
        (f"regrets(game, {short(odd)})", lambda: exact.regrets(game(), odd), ("polic",), ()),
        (f"best_response(game, {short(odd)}, 0)", lambda: exact.best_response(game(), odd, 0), ("polic",), ()),
        (
            f"best_response(game, policies, {short(agent)})",
            lambda: exact.best_response(game(), policies, agent),
            ("agent",),
            texts(agent),
        ),
        (
            f"nash_conv(game, policies, {short(criterion)})",
            lambda: exact.nash_conv(game(), policies, criterion),
            ("criterion",),
            texts(criterion),
        ),
        (f"nash_conv({short(odd)}, policies)", lambda: exact.nash_conv(odd, policies), ("game",), ()),
        (f"tabulate({word!r})", lambda: exact.tabulate(word), ("task",), (word,)),
        (f"tabulate({large!r})", lambda: exact.tabulate(large), ("finite", "state", large), ()),
        (
            f"tabulate(max_states={short(count)})",
            lambda: exact.tabulate("duel-v1", max_states=count),
            ("max_states",),
            texts(count),
        ),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    return Case(what, call, names, values)


def counterfactual_case(rng: np.random.Generator, running: Running) -> Case:
    """A what-if question with no state, no action or no number of ticks."""
    env: Any = running.parallel["one slot"]
    chosen: Any = dict.fromkeys(env.possible_agents, 0)
    count, odd = whole(rng), strange(rng)
    joint: Any = [{}, None, {"nobody": 0}, dict.fromkeys(env.possible_agents, 99), [0], "x"][int(rng.integers(6))]
    which = str(rng.choice(["joint_action", "alternative"]))
    actions = {"joint_action": chosen, "alternative": chosen, which: joint}
    ask = exact.counterfactual
    made: Made = [
        (f"counterfactual({short(odd)})", lambda: ask(odd, chosen, chosen, 3, 4), ("state",), texts(odd)),
        (f"counterfactual(horizon={short(count)})", lambda: ask(env, chosen, chosen, count, 4), ("horizon",), ()),
        (f"counterfactual(n={short(count)})", lambda: ask(env, chosen, chosen, 3, count), ("n =",), texts(count)),
        (
            f"counterfactual({which}={short(joint)})",
            lambda: ask(env, **actions, horizon=3, n=4),
            (which, *env.possible_agents, "agent", "action"),
            (),
        ),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    return Case(what, call, names, values, running.state_of(env))


@cache
def in_words() -> Any:
    env = api.text_env("ecommerce-v1", offer={"kind": "price"}, feedback={"instant": True}, messages=3)
    for seed in range(9):
        env.reset(seed=seed)
        if all(env.pages.values()):
            break
    return env


def language_case(rng: np.random.Generator) -> Case:
    """Malformed answers and texts, and addresses of models that do not exist.

    An answer is never refused. It is repaired, and a message says so.
    """
    env = in_words()
    agent = env.possible_agents[int(rng.integers(len(env.possible_agents)))]
    page = env.pages[agent]
    digits = "9" * int(rng.integers(1, 9000))
    babble = "".join(chr(int(c)) for c in rng.integers(1, 0x2FFF, int(rng.integers(1, 200))))
    answer = [
        *("", "\n" * 500, digits, f"1, {digits}, 2", "0", "-1", "99", "1 1 1", f"price: {digits}\n1 2 3", babble),
        *("message: \x00", "{{data}} {0} %s $x", "1,2,3,4,5,6,7,8,9", "١ ٢ ٣", "²", "price: NaN", "no"),
    ][int(rng.integers(17))]
    odd: Any = [3, None, b"1 2", ["1"], 1.5, {"text": "1"}, strange(rng)][int(rng.integers(7))]
    joint: Any = dict.fromkeys(env.possible_agents, "1")
    secret = "".join(rng.choice(list("qwxyzjk"), 12))
    place = f"user:{secret}@127.0.0.1:1"
    address = str(
        rng.choice(
            ["http://", f"http://{place}/v1", f"https://{place}", f"http://{place}/v1#", "http://#m", "http:///v1#"]
        )
    )
    folder = str(rng.choice(["no/such/folder", "smollm-nothing", "gpt-9", "ftp://127.0.0.1/v1#m", "a b"]))
    lists: Any = [3, None, [1], ["a", None], [b"a"], {"a"}, strange(rng)][int(rng.integers(7))]

    def repaired() -> Any:
        found = parse(answer, page)
        raise Repaired(f"{', '.join(found.repairs)}: {answer[:40]!r}" if found.repairs else "")

    made: list[Case] = [
        Case(f"parse({answer[:60]!r})", repaired, ("",)),
        Case(f"parse({short(odd)})", lambda: parse(odd, page), ("answer",), texts(odd)),
        Case(f"step({agent}: {short(odd)})", lambda: env.step({**joint, agent: odd}), (agent,), texts(odd)),
        Case(f"open_model({address!r})", lambda: open_model(address), ("address", "model"), (), secret=secret),
        Case(f"open_model({folder!r})", lambda: open_model(folder), (folder,)),
        Case(f"encode({short(lists)})", lambda: encode(lists, "hashing"), ("text",), ()),
        Case(f"encode(texts, {folder!r})", lambda: encode(["a"], folder), (folder,)),
    ]
    return made[int(rng.integers(len(made)))]


def scenario_case(rng: np.random.Generator) -> Case:
    """Scenarios that do not exist, and numbers of episodes that cannot be played."""
    name = misspelt(rng, str(rng.choice(list(api.SCENARIOS))), (*api.SCENARIOS, *TASKS))
    count, good = whole(rng), (next(iter(api.SCENARIOS)),)
    team = "recommender_0=greedy,recommender_1=greedy"
    made: Made = [
        (f"scenarios_of(({name!r},))", lambda: scenarios_of((name,)), ("scenario",), (name,)),
        (f"SCENARIOS[{name!r}]", lambda: api.SCENARIOS[name], ("scenario",), (name,)),
        (
            f"play_scenarios(scenarios=({name!r},))",
            lambda: play_scenarios(("random",), (name,)),
            ("scenario",),
            (name,),
        ),
        ("play_scenarios(policies=())", lambda: play_scenarios((), good), ("policies",), ()),
        (f"play_scenarios(({team!r},))", lambda: play_scenarios((team,), good), ("team",), (team,)),
        (
            f"play_scenarios(episodes={short(count)})",
            lambda: play_scenarios(("random",), good, episodes=count),
            ("episodes",),
            texts(count),
        ),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    return Case(what, call, names, values)


@cache
def views() -> dict[str, Any]:
    made = {
        "single_agent_vector_env": api.single_agent_vector_env("duel-v1", num_envs=2),
        "shared_policy_env": api.shared_policy_env("duel-v1", 2),
        "env": api.env("duel-v1"),
        "text_env": api.text_env("duel-v1"),
    }
    for view in made.values():
        view.reset(seed=0)
    return made


def view_case(rng: np.random.Generator, running: Running) -> Case:
    """Actions and seeds that the views of Gymnasium, PettingZoo's AEC and language agents do not take."""
    name = str(rng.choice(list(views())))
    view = views()[name]
    odd: Any = [
        *(None, 3, "x", [0], [[0]], np.zeros(9, int), np.zeros((2, 2)), np.full(4, 99), np.full(4, math.nan), object()),
        *(np.full(4, -1), {"recommender_0": 0}, strange(rng)),
    ][int(rng.integers(13))]
    seed: Any = [-1, 2**64, 1.5, "0", math.nan, -(10**30), [1, 2, 3, 4, 5], {1: 2}, object()][int(rng.integers(9))]
    if name == "env" and odd is not None and np.shape(odd) == () and isinstance(odd, int) and odd == 0:
        raise Skipped
    made: Made = [
        (f"step({short(odd)})", lambda: view.step(odd), ("action", "recommender"), ()),
        (f"reset(seed={short(seed)})", lambda: view.reset(seed=seed), ("seed",), texts(seed)),
    ]
    what, call, names, values = made[int(rng.integers(len(made)))]
    return Case(f"{name}: {what}", call, names, values)


@cache
def _zeros(megabytes: int) -> np.ndarray:
    return np.zeros(megabytes * 2**17)


def unpacking_case(rng: np.random.Generator, files: Files) -> Case:
    """A small file whose arrays unpack to much more than its other arrays declare."""
    with np.load(files.path) as archive:
        arrays = dict(archive)
    name = str(rng.choice([key for key, array in arrays.items() if array.ndim]))
    arrays[name] = _zeros(int(rng.choice([2, 4])))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path = files.folder / f"large{int(rng.integers(10**9))}.npz"
    path.write_bytes(buffer.getvalue())

    def load() -> Any:
        try:
            return Catalogue.load(path)
        finally:
            path.unlink()

    return Case(f"a catalogue of {len(buffer.getvalue())} bytes whose {name} unpacks to megabytes", load, (path.name,))


def memory_case(rng: np.random.Generator) -> Case:
    """More copies than fit into memory."""
    task = str(rng.choice([task for task, config in TASKS.items() if config.users.number > 10]))
    copies = int(rng.integers(10**8, 10**10))
    make: Any = [
        lambda: api.vector_env(task, copies),
        lambda: api.single_agent_vector_env(task, num_envs=copies),
        lambda: api.shared_policy_env(task, copies),
        lambda: api.vector_env(WorldConfig(users=UserConfig(number=5000)), copies),
    ][int(rng.integers(4))]
    return Case(f"{task} with {copies} copies", make, ("num_envs", "num_copies"), (str(copies),))
