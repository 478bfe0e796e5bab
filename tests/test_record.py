"""The table of impressions holds what happened: rows are what was shown, rewards add up, purchases find their way."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_env import TASKS, WorldConfig, replace, vector_env
from recsys_env.evaluation import episode_returns, impressions, record
from recsys_env.evaluation.episodes import begin_episodes
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
    rows, sessions = iter(table.itertuples()), np.zeros(3, int)
    for tick in range(SHOP.horizon):
        team.act(observations, actions)
        public, begins = envs.public_items(), envs.next_page["session_page"] == 0
        sessions[begins] = 3 * tick + np.flatnonzero(begins)
        observations, _, _, truncated, infos = envs.step(actions)
        for b, n, k in zip(*np.nonzero(infos["shown"] >= 0), strict=True):
            row = next(rows)
            assert (row.time, row.copy, row.agent, row.slot) == (tick, b, SHOP.agents[n], k)
            assert row.user == 3 * infos["visitor"][b, n] + b
            assert row.page == 3 * tick + b
            assert row.position == infos["rank"][b, n, k] + 1
            assert row.item == infos["shown"][b, n, k]
            assert row.category == envs.world.items["topic"][row.item]
            assert row.popularity == pytest.approx(public["popularity"][b, row.item], rel=1e-5)
            assert row.session == sessions[b]
            assert (row.propensity, row.slate_propensity) == (1.0, 1.0)
            for name in ("clicked", "cart", "liked", "dwell"):
                assert getattr(row, name) == infos[name][b, n, k]
            price = envs.world.items["price"][row.item]
            assert row.price + row.discount == pytest.approx(price, abs=1e-6)
            assert row.discount == pytest.approx(price * SHOP.items.promotion_depth, abs=1e-6) or not row.discount
            assert bool(row.discount) == public["promoted"][b, row.item]
        team.observe(infos, truncated)
    assert next(rows, None) is None
    assert (table["discount"] > 0).any()
    assert (table["discount"] == 0).any()


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
            of = (table["copy"] == b) & (table["user"] == 4 * person + b) & (table["item"] == item)
            row = table[of & table["cart"] & (table["time"] <= tick)].iloc[-1]
            assert row["bought"]
            assert row["bought_time"] == tick
            assert row["agent"] == SHOP.agents[infos["later_agent"][b, i]]
            assert row["paid"] == pytest.approx(infos["later_price"][b, i])
            if infos["later_rating"][b, i]:
                assert row["rating"] == infos["later_rating"][b, i]
            sales += 1
        team.observe(infos, truncated)
    assert sales == table["bought"].sum() == (table["bought_time"] >= 0).sum() > 50
    assert 0.5 < (table["bought_time"] > table["time"])[table["bought"]].mean() < 1  # carted again and bought at once
    assert (table["paid"] != table["price"])[table["bought"]].any()  # promotions come and go


def test_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "recsys_env[evaluate]"')
    monkeypatch.setattr(impressions, "_PART", 2**14)  # of some hundred rows
    for policy in ("random", "thompson"):
        table = record(SHOP, policy, columns=impressions.ON_REQUEST)
        assert record(SHOP, policy, columns=impressions.ON_REQUEST, out=tmp_path / "log.parquet") is None
        read = pandas.read_parquet(tmp_path / "log.parquet")
        pandas.testing.assert_frame_equal(read, table)
        assert read.attrs == table.attrs
        assert set(table["copy"]) == {0}
    record(replace(SHOP, {"horizon": 2}), "random", out=tmp_path / "new" / "log.parquet")
    record(replace(SHOP, {"horizon": 2, "arrival": {"r_0": -50.0}}), "random", out=tmp_path / "new" / "empty.parquet")
    assert len(pandas.read_parquet(tmp_path / "new" / "empty.parquet")) <= 6  # of the page of the reset at most
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"log.parquet", "empty.parquet"}


def test_a_killed_process_leaves_no_log(tmp_path: Path) -> None:
    """It is killed once it has written rows, in the middle of an episode."""
    pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "recsys_env[evaluate]"')
    code = f"""
import os, signal
from recsys_env.evaluation import record
from recsys_env.policies import Content

class Killed(Content):
    def observe(self, feedback):
        if self.envs.tick[0] == 60:
            os.kill(os.getpid(), signal.SIGKILL)

record("ecommerce-v1", [Killed(), "content"], out={str(tmp_path / "log.parquet")!r})
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False)
    assert found.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


def test_many_episodes_are_played_one_batch_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """What deterministic policies show does not depend on it, nor do the numbers of users; pages stay unique."""
    config = replace(SHOP, {"horizon": 40})
    one = record(config, "content", episodes=5, seed=3)
    monkeypatch.setattr(impressions, "AT_ONCE", 2)
    several = record(config, "content", episodes=5, seed=3)
    order = ["copy", "time", "agent", "slot"]
    one, several = (table.sort_values(order, ignore_index=True) for table in (one, several))
    pandas.testing.assert_frame_equal(one.drop(columns=["page", "session"]), several.drop(columns=["page", "session"]))
    for table in (one, several):
        pages = table.groupby("page")[["copy", "time", "user", "session"]].nunique()
        assert (pages == 1).all(axis=None)
        assert len(pages) == len(table[["copy", "time"]].drop_duplicates())
        assert (table.groupby("session")["user"].nunique() == 1).all()
        first = table.groupby("session")["page"].min()
        assert (first >= first.index).all()  # whose slots may all be holes
        assert (first == first.index).mean() > 0.9


@pytest.mark.parametrize("task", [*TASKS, "shop"])
def test_popularity_is_the_public_one_before_the_page(task: str) -> None:
    config = SHOP if task == "shop" else replace(TASKS[task], {"horizon": 60})
    policy = "creators-bait" if config.ranked else "blind"
    table = record(config, policy, episodes=2, seed=1)
    envs, team, observations = begin_episodes(config, policy, 2, 1)
    actions, compared = envs.empty_actions(), 0
    for tick in range(config.horizon):
        public = envs.public_items()["popularity"]
        rows = table[table["time"] == tick]
        np.testing.assert_allclose(rows["popularity"], public[rows["copy"], rows["item"]], rtol=2e-5, atol=1e-5)
        compared += len(rows)
        team.act(observations, actions)
        observations, *_ = envs.step(actions)
    assert compared == len(table) > 0


def test_candidates_context_and_text_on_request() -> None:
    table = record(SHOP, "content", episodes=2, columns=["context", "candidates", "text"])
    envs, team, observations = begin_episodes(SHOP, "content", 2, 0)
    actions = envs.empty_actions()
    for tick in range(SHOP.horizon):
        for row in table[table["time"] == tick].itertuples():
            n = SHOP.agents.index(row.agent)
            np.testing.assert_array_equal(row.context, observations[row.copy, n])
            offered = envs.candidates[row.copy, n]
            assert row.candidates.tolist() == offered[offered >= 0].tolist()
            assert row.item in row.candidates
            assert row.text == envs.texts.titles[row.item]
        team.act(observations, actions)
        observations, *_ = envs.step(actions)
    assert not {"candidates", "context", "text"} & set(record(SHOP, "content").columns)


@pytest.mark.parametrize(
    ("task", "columns", "error", "message"),
    [
        (SHOP, "text", TypeError, "columns = 'text' must be a list of names, of candidates, context, text"),
        (SHOP, ["candidate"], ValueError, r"unknown column on request 'candidate' \(did you mean 'candidates'\?\)"),
        ("duel-v1", ["candidates"], ValueError, "with action = 'items' agents have no candidates"),
    ],
)
def test_columns_that_there_are_not(task: Any, columns: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        record(task, "random", columns=columns)
