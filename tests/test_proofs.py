"""The commands that try the code by the million: what they generate is what it should be, and they notice what is
wrong."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recsys_env
from benchmarks.checks import mutants, rules, soak
from benchmarks.checks.random_worlds import playable_world, random_world
from benchmarks.compat import table
from recsys_env import WorldConfig
from recsys_env.world.build import build

# ------------------------------------------------------------------------------------------------ mutants

TOY = '''
from somewhere import kernel

LIMIT = 3


@kernel
def pick(items, n):
    """A docstring is no statement."""
    best = -1
    for i in range(n):
        if items.score[i] > 0.5 and items.price[i] < LIMIT:
            best += i
    return best


def helper(x):
    return x + 1
'''


def test_a_mutant_changes_one_thing_of_a_compiled_function_or_a_constant() -> None:
    found = mutants.mutants_of("toy.py", TOY, TOY)
    assert set(found) == {"", "pick"}
    changes = {(mutant.before, mutant.after) for mutant in found["pick"]}
    assert {
        ("-1", "1"),
        ("range(n)", "range(n - 1)"),
        ("best += i", "pass"),
        ("best += i", "best -= i"),
        ("items.price", "items.score"),
    } <= changes
    assert ("items.score[i] > 0.5", "items.score[i] >= 0.5") in changes
    assert ("items.score[i] > 0.5 and items.price[i] < LIMIT", "items.score[i] > 0.5") in changes
    assert {(mutant.before, mutant.after) for mutant in found[""]} == {("3", "4"), ("3", "-3")}
    every = [mutant for group in found.values() for mutant in group]
    assert len({mutant.id for mutant in every}) == len(every)
    for mutant in every:
        changed = [
            i
            for i, (a, b) in enumerate(zip(TOY.splitlines(), mutants.mutated(TOY, mutant).splitlines(), strict=True), 1)
            if a != b
        ]
        assert changed == [mutant.span.line]
        assert ast.dump(ast.parse(TOY)) != ast.dump(ast.parse(mutants.mutated(TOY, mutant)))


@pytest.mark.slow
def test_every_function_of_every_kernel_file_gets_a_mutant() -> None:
    chosen = mutants.chosen(240)
    assert len(chosen) >= 150
    again = [mutant.id for mutant in mutants.chosen(240, only="page.py")]
    assert again == [mutant.id for mutant in chosen if mutant.file == "page.py"]
    assert {mutant.file for mutant in chosen} == set(mutants.FILES)
    assert len({mutant.id for mutant in chosen}) == len(chosen)
    for file in mutants.FILES:
        source = mutants.source_of(file).read_text()
        changeable = set(
            mutants.mutants_of(file, source, "".join(mutants.source_of(f).read_text() for f in mutants.FILES))
        )
        assert {mutant.function for mutant in chosen if mutant.file == file} == changeable
        functions = mutants.compiled_functions(ast.parse(source))
        unchanged = [functions[name] for name in set(functions) - changeable]
        # Nothing can be changed in very few, such as a term that is an attribute as it stands.
        assert len(unchanged) <= 3
        assert all(len(function.body) - (ast.get_docstring(function) is not None) <= 2 for function in unchanged)


def test_every_compiled_entry_has_tests_that_mutants_are_tried_with() -> None:
    entries = {
        node.name
        for file in mutants.FILES
        for node in ast.parse(mutants.source_of(file).read_text()).body
        if isinstance(node, ast.FunctionDef) and any("entry" in ast.unparse(d) for d in node.decorator_list)
    }
    assert entries - {name for _, names in mutants.TESTS for name in names} == {"run_parallel"}  # has its own test
    for path in (*(path for path, _ in mutants.TESTS), *mutants.SELECTED):
        assert (mutants.ROOT / path).is_file()


def test_what_depends_on_a_kernel_is_compiled_again() -> None:
    from recsys_env.kernels import equations, page, step
    from recsys_env.kernels.machine import numeric

    compiled = mutants.Compiled()
    found = {function.py_func.__name__ for function in compiled.dependents({equations.freshness})}
    assert {"freshness", "alternative", "weigh_slots", "serve_pages", "advance", "run"} <= found
    assert not {"episode_key", "is_promoted", "squash"} & found
    found = {function.py_func.__name__ for function in compiled.dependents({equations.taste_term})}
    assert {"total", "utility_of", "run"} <= found  # through the sum of the terms
    assert step.run in compiled.dependents(compiled.reading("recsys_env.kernels.page", "QUERY"))
    assert page.is_available not in compiled.dependents({numeric.exp})


@pytest.mark.parametrize(
    ("status", "outcome"), [(lambda: os.kill(os.getpid(), 9), "killed"), (lambda: os._exit(3), "invalid")]
)
def test_a_process_that_dies_is_judged_by_how(status: Callable[[], Any], outcome: str, tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        status()
    assert mutants.judged(os.waitpid(pid, 0)[1], tmp_path / "none.json")["outcome"] == outcome


def test_every_reason_is_one_of_a_mutant_that_there_is() -> None:
    sources = {file: mutants.source_of(file).read_text() for file in mutants.FILES}
    everything = "".join(sources.values())
    found = [mutants.mutants_of(file, source, everything) for file, source in sources.items()]
    ids = [mutant.id for functions in found for group in functions.values() for mutant in group]
    assert not [part for part in mutants.REASONS if not any(part in name for name in ids)]


def test_survivors_come_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": f"page.py:f: {i}", "file": "page.py", "line": i, "outcome": outcome}
        for i, outcome in enumerate(["killed", "survived", "survived", "invalid"])
    ]
    monkeypatch.setitem(mutants.REASONS, "f: 1", "equivalent: only faster")
    result = mutants.summary(rows)
    assert result["files"]["page.py"] == {"killed": 1, "survived": 2, "invalid": 1, "share_killed": 0.3333}
    assert result["share_killed_of_those_that_differ"] == 0.5
    assert [row["reason"][:10] for row in result["survivors"]] == ["equivalent", "none known"]


# ------------------------------------------------------------------------------------------------ compatibility


def test_every_extra_is_tried() -> None:
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    declared = tomllib.loads((mutants.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tried = {*table.EXTRAS, *table.INSTALL}
    whole = {"baselines", "test", "test-core"}  # made of other extras, or there in all of these environments
    assert declared.keys() - whole == tried - {"sb3", "agilerl"}  # part of `train`; has commands of its own
    for tests in table.EXTRAS.values():
        assert all((mutants.ROOT / "tests" / f"{test}.py").is_file() for test in tests)


# ------------------------------------------------------------------------------------------------ the soak


def test_random_worlds_are_valid_and_differ() -> None:
    worlds = [random_world(np.random.default_rng(i)) for i in range(60)]
    assert {world.page for world in worlds} == {"shared", "rows", "rival", "auction", "platform"}
    assert {world.action for world in worlds} == {"candidates", "items", "query", "weights", "publish"}
    assert len({world.choice.beta_taste for world in worlds}) > 20
    assert any(len(world.scenes) > 1 for world in worlds)
    assert any(world.choice.v_0_by_mood for world in worlds)
    assert any(world.users.wallet_init for world in worlds)
    assert random_world(np.random.default_rng(3)) == worlds[3]
    build(playable_world(np.random.default_rng(22)))  # of which the first draw leads to a domain without topics


SHOP: dict[str, Any] = {
    "num_agents": 2,
    "slots": 3,
    "action": "items",
    "horizon": 30,
    "scenes": ({"name": "page", "cart": True},),
    "mask_actions": True,
    "users": {"number": 3, "wallet_init": 3.0, "wallet_refill": 0.05},
    "items": {"number": 15, "dims": 4, "topics": 3, "stock_init": 2},
    "choice": {"v_0": 0.0},
    "arrival": {"r_0": 2.0},
    "feedback": {"b_0": 1.0, "cart_hazard": 0.4, "like": True, "rating_after_click": 0.5},
    "reward": {"purchase": 1.0, "like": 0.5, "rating": 0.2, "dwell": 0.1},
}


PAGES: dict[str, dict[str, Any]] = {  # the same with a page of another kind
    "auction": {
        **{"page": "auction", "offer": {"kind": "bid", "value_log_sd": 0.5, "budget": 1.0, "refill_period": 9}},
        **{"slots": 1, "action": "candidates", "candidates": {"number": 1}, "feedback": {"instant": True}},
    },
    "platform": {
        **{"page": "platform", "platform": {"places": 1, "period": 4, "window": 2}},
        **{"slots": 1, "action": "publish", "items": {"number": 200, "stock_init": 0}},
    },
}


def watched(spoil: Callable[[Any], None] | None = None, **changes: Any) -> dict[str, int]:
    """Violations in 80 ticks of a shop, each of which is spoilt after the step."""
    envs, rng = recsys_env.vector_env(WorldConfig(**SHOP), 40, **changes), np.random.default_rng(0)
    envs.reset(seed=0)
    watch = rules.Watch(envs)
    for _ in range(80):
        watch.look()
        actions = soak.joint_actions(envs, rng)
        envs.step(actions)
        if spoil:
            spoil(envs)
        watch.check(actions)
    assert spoil or watch.seen["clicked"] > 100
    return dict(watch.wrong)


@pytest.mark.slow
def test_the_soak_finds_nothing_wrong_with_the_game() -> None:
    assert watched() == {}
    assert watched(feedback={"instant": True}) == {}
    for changes in PAGES.values():
        assert watched(**changes) == {}


def _set(part: str, field: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def spoil(envs: Any) -> None:
        array = getattr(envs.report if part in envs.report._fields else envs.arrays, part)
        target = array[field] if field else array
        target[...] = change(target)

    return spoil


SPOILT: dict[str, Callable[[Any], None]] = {
    "observations": _set("observations", "", lambda x: np.where(x == x.max(), np.nan, x)),
    "final_observations": _set("final_observations", "", lambda x: x - 2),
    "masks": _set("masks", "", lambda x: 0 * x),
    "active": _set("agents", "active", lambda x: ~x),
    "visitor": _set("agents", "visitor", lambda x: x + 1),
    "next_visitor": _set("agents", "next_visitor", lambda x: np.where(x >= 0, x + np.arange(2), x)),
    "ranks": _set("slots", "rank", lambda x: x[..., ::-1]),
    "shown": _set("slots", "item", lambda x: np.where(x >= 0, (x + 1) % 15, x)),
    "off_page": _set("slots", "dwell", lambda x: x + 1),
    "clicks": _set("slots", "clicked", lambda x: x | x[..., ::-1]),
    "events": _set("slots", "bought", lambda x: ~x),
    "dwell": _set("slots", "dwell", lambda x: -x),
    "rating": _set("slots", "rating", lambda x: x + 6),
    "individual_reward": _set("agents", "individual_reward", lambda x: x * 1.01),
    "auction": _set("bids", "payment", lambda x: x + 0.01),
    "platform": _set("slots", "rank", lambda x: np.where(x >= 0, x + 1, x)),
    "rewards": _set("rewards", "", lambda x: x + 0.01),
    "later": _set("later", "item", lambda x: np.where(x >= 0, (x + 1) % 15, x)),
    "credit": _set("later", "agent", lambda x: np.where(x >= 0, 1 - x, x)),
    "cart": _set("users", "cart", lambda x: 0 * x),
    "price": _set("later", "price", lambda x: x * 0.9),
    "wallet": _set("users", "wallet", lambda x: x * 0.99),
    "stock": _set("items", "stock", lambda x: x + 1),
    "clock": _set("truncated", "", lambda x: ~x),
}


@pytest.mark.slow
@pytest.mark.parametrize("check", [name for name in rules.CHECKS if name != "replay"])
def test_the_soak_notices(check: str) -> None:
    assert check in watched(SPOILT[check], **PAGES.get(check, {}))


def test_a_chunk_of_the_soak_reports_where_it_can_be_seen_again() -> None:
    row = soak.play_chunk(3, 5_000)
    assert row["agent_steps"] >= 5_000
    assert row["violations"] == {}
    row["violations"], row["first"] = {"individual_reward": 3}, {"individual_reward": {"chunk": 3}}
    result = soak.summary([row, {**row, "chunk": 5, "first": {"individual_reward": {"chunk": 5}}}])
    assert result["violations"]["individual_reward"] == 6
    assert result["first_violation"] == {"individual_reward": {"chunk": 3}}
    assert result["agent_steps"] == 2 * row["agent_steps"]
