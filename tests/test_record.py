"""The table of impressions holds what happened: rows are what was shown, rewards add up, purchases find their way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, WorldConfig, replace, vector_env
from recsys_env.evaluation import episode_returns, record
from recsys_env.policies import Team

pandas = pytest.importorskip("pandas", reason='needs pandas: pip install "recsys_env[evaluate]"')

# A small shop in which nearly everything is clicked, carted, and bought at once, later, or never.
SHOP = WorldConfig(
    slots=3,
    horizon=120,
    scenes=({"name": "page", "cart": True},),
    users={"number": 3},
    candidates={"number": 8},
    items={"number": 30, "dims": 4, "topics": 5, "promotion_probability": 0.5, "promotion_depth": 0.3, "stock_init": 4},
    choice={"v_0": -3.0},
    arrival={"r_0": 1.0, "d_0": 0.1},
    feedback={
        "b_0": 2.0,
        "cart_hazard": 0.3,
        "cart_abandon": 0.1,
        "rating_after_click": 0.2,
        "rating_after_purchase": 0.8,
        "like": True,
    },
    reward={"click": 0.1, "cart": 0.2, "purchase": 1.0, "rating": 0.3, "like": 0.05, "dwell": 0.01, "sharing": 0.4},
)


@pytest.mark.parametrize("task", [*TASKS, "shop", "instant"])
def test_credited_rewards_are_the_episodes_own(task: str) -> None:
    config = {"shop": SHOP, "instant": replace(SHOP, {"feedback": {"instant": True}})}.get(task) or replace(
        TASKS[task], {"horizon": 150}
    )
    policy = "creators-bait" if config.ranked else "content"
    table = record(config, policy, episodes=2, seed=5)
    returns = episode_returns(config, policy, episodes=2, seed=5)
    credited = table.groupby(["copy", "agent"], observed=False)["reward"].sum()
    for b in range(2):
        for n, agent in enumerate(config.agents):
            assert credited[b, agent] == pytest.approx(returns[b, n], abs=1e-3), (b, agent)
    assert returns.any()


def test_rows_are_what_was_shown() -> None:
    """Tick by tick the same as infos of the same game."""
    table = record(SHOP, ["content", "popularity"], episodes=3, seed=2)
    envs = vector_env(SHOP, 3)
    observations, _ = envs.reset(seed=2)
    team, actions = Team(envs, dict(zip(SHOP.agents, ("content", "popularity"), strict=True)), 2), envs.empty_actions()
    rows = iter(table.itertuples())
    for tick in range(SHOP.horizon):
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        for b, n, k in zip(*np.nonzero(infos["shown"] >= 0), strict=True):
            row = next(rows)
            assert (row.tick, row.copy, row.agent, row.slot) == (tick, b, SHOP.agents[n], k)
            assert row.person == infos["visitor"][b, n]
            assert row.rank == infos["rank"][b, n, k] + 1
            assert row.item == infos["shown"][b, n, k]
            assert row.topic == envs.world.items["topic"][row.item]
            for name in ("clicked", "cart", "liked", "dwell"):
                assert getattr(row, name) == infos[name][b, n, k]
            depth = SHOP.items.promotion_depth if row.promoted else 0.0
            assert row.price == pytest.approx(envs.world.items["price"][row.item] * (1 - depth), abs=1e-6)
        team.observe(infos, truncated)
    assert next(rows, None) is None
    assert table["promoted"].any()
    assert not table["promoted"].all()


def test_purchases_find_the_impression_that_carted_them() -> None:
    """Every later purchase of infos is in the table once: at the last impression before it in which that person put
    the item into the cart, of the agent that infos credit."""
    table = record(SHOP, "content", episodes=4, seed=0)
    envs = vector_env(SHOP, 4)
    observations, _ = envs.reset(seed=0)
    team, actions, sales = Team(envs, dict.fromkeys(SHOP.agents, "content"), 0), envs.empty_actions(), 0
    for tick in range(SHOP.horizon):
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        for b, i in zip(*np.nonzero(infos["later_item"] >= 0), strict=True):
            person, item = infos["visitor"][b].max(), infos["later_item"][b, i]
            of = (table["copy"] == b) & (table["person"] == person) & (table["item"] == item)
            row = table[of & table["cart"] & (table["tick"] <= tick)].iloc[-1]
            assert row["bought"]
            assert row["bought_tick"] == tick
            assert row["agent"] == SHOP.agents[infos["later_agent"][b, i]]
            assert row["paid"] == pytest.approx(infos["later_price"][b, i])
            if infos["later_rating"][b, i]:
                assert row["rating"] == infos["later_rating"][b, i]
            sales += 1
        team.observe(infos, truncated)
    assert sales == table["bought"].sum() == (table["bought_tick"] >= 0).sum() > 50
    assert 0.5 < (table["bought_tick"] > table["tick"])[table["bought"]].mean() < 1  # carted again and bought at once
    assert (table["paid"] != table["price"])[table["bought"]].any()  # promotions come and go


def test_written_to_a_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "recsys_env[evaluate]"')
    table = record(SHOP, "random", out=tmp_path / "log.parquet")
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "log.parquet"), table)
    assert set(table["copy"]) == {0}
    record(replace(SHOP, {"horizon": 2}), "random", out=tmp_path / "new" / "log.parquet")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log.parquet"]


def test_what_cannot_be_written_is_refused_before_the_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "recsys_env[evaluate]"')
    monkeypatch.setattr(VectorEnv, "step", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/log\.parquet cannot be written: .*file"):
        record(SHOP, "random", out=tmp_path / "file" / "log.parquet")


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        (["content", "greedy", "random"], "3 policies are given, expected one for all or one for each of"),
        ({"recommender_0": "content"}, r"policies = {'recommender_0': 'content'} must have one for each of"),
        ("contnt", r"unknown policy 'contnt' \(did you mean 'content'\?\)"),
    ],
)
def test_refusals(policies: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(SHOP, policies)


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'to record needs pandas: pip install "recsys_env\[evaluate\]"'):
        record(SHOP, "content")
