"""Logs in the forms of other libraries, which load them where they are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_env import WorldConfig, replace, vector_env
from recsys_env.evaluation import record
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.evaluation.logs import record_minari, to_obp, to_recbole

pandas = pytest.importorskip("pandas", reason='needs pandas: pip install "recsys_env[evaluate]"')

TASK = WorldConfig(
    slots=2,
    horizon=60,
    scenes=({"name": "page", "cart": True},),
    users={"number": 5},
    items={"number": 12, "dims": 4, "topics": 3},
    candidates={"number": 4},
    choice={"v_0": -1.0},
    feedback={"b_0": 2.0, "cart_hazard": 0.3},
    arrival={"r_0": 2.0},
)


def test_obp() -> None:
    table = record(TASK, ["epsilon-greedy", "random"], episodes=3, columns=["context"])
    feedback = to_obp(table, 12)
    rounds = len(table)
    assert {name: value.shape for name, value in feedback.items() if isinstance(value, np.ndarray)} == {
        "context": (rounds, vector_env(TASK).layout.size),
        **dict.fromkeys(("action", "position", "reward", "pscore"), (rounds,)),
    }
    assert (feedback["n_rounds"], feedback["n_actions"], feedback["expected_reward"]) == (rounds, 12, None)
    assert feedback["reward"].sum() == table["clicked"].sum() > 20
    assert to_obp(table, 12, "reward")["reward"].sum() == pytest.approx(table["reward"].sum())
    np.testing.assert_array_equal(feedback["context"][7], table["context"][7])


def test_recbole(tmp_path: Path) -> None:
    """The documented form: names with types, then values, between tabs."""
    table = record(TASK, "content", episodes=3)
    for event in ("clicked", "cart", "bought"):
        to_recbole(table, tmp_path / "shop" / "shop.inter", event)
        read = pandas.read_csv(tmp_path / "shop" / "shop.inter", sep="\t")
        assert read.columns.tolist() == ["user_id:token", "item_id:token", "timestamp:float"]
        assert len(read) == table[event].sum() > 10
        assert read["timestamp:float"].is_monotonic_increasing
        wanted = table[table[event]].groupby("item").size()
        assert read.groupby("item_id:token").size().tolist() == wanted.tolist()
    assert set(read["timestamp:float"]) == set(table["bought_time"][table["bought"]])


def test_a_person_of_several_episodes_is_a_user_of_each(tmp_path: Path) -> None:
    table = record(replace(TASK, {"users": {"population": "fixed"}}), "content", episodes=3)
    assert table.groupby("user")["copy"].nunique().max() > 1
    to_recbole(table, tmp_path / "shop.inter")
    read = pandas.read_csv(tmp_path / "shop.inter", sep="\t")
    clicked = table[table["clicked"]].groupby(["user", "copy"]).size()
    assert sorted(read.groupby("user_id:token").size()) == sorted(clicked)


def test_minari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari", reason='needs minari: pip install "recsys_env[minari]"')
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    made = record_minari(TASK, ["content", "random"], episodes=2, seed=3, name="recsys/shop")
    assert list(made) == TASK.agents
    envs, team, observations = begin_episodes(TASK, ["content", "random"], 2, 3)
    loaded = [minari.load_dataset(f"recsys/shop/{agent}-v0") for agent in TASK.agents]
    played = [list(dataset.iterate_episodes()) for dataset in loaded]
    actions = envs.empty_actions()
    for tick in range(TASK.horizon):
        team.act(observations, actions)
        for n, b in np.ndindex(2, 2):
            episode = played[n][b]
            np.testing.assert_array_equal(episode.observations[tick], observations[b, n])
            np.testing.assert_array_equal(episode.actions[tick], actions[b, n])
        observations, rewards, _, truncated, infos = envs.step(actions)
        assert [[played[n][b].rewards[tick] for n in range(2)] for b in range(2)] == rewards.tolist()
        team.observe(infos, truncated)
    for n, b in np.ndindex(2, 2):
        episode = played[n][b]
        np.testing.assert_array_equal(episode.observations[TASK.horizon], envs.final_obs[b, n])
        assert not episode.terminations.any()
        assert episode.truncations.tolist() == [False] * 59 + [True]
        assert loaded[n].action_space.contains(episode.actions[0])
    with pytest.raises(FileExistsError, match="Minari has a dataset recsys/shop/recommender_0-v0 already"):
        record_minari(TASK, "content", name="recsys/shop")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: to_obp(t, 12), ValueError, r"the table has no column context; record\(..., columns=\['context'\]\)"),
        (lambda t: to_obp([], 12), TypeError, r"table = \[\] must be a log of recsys_env.evaluation.record"),
        (lambda t: to_obp(t.assign(context=0), 3), ValueError, "items = 3 must be above all items of the table"),
        (lambda t: to_obp(t, 12, "price"), ValueError, "unknown reward 'price'; rewards are reward, clicked"),
        (lambda t: to_recbole(t, "shop.csv"), ValueError, r"out = 'shop.csv' must end in \.inter"),
        (lambda t: to_recbole(t, "a.inter", "click"), ValueError, "unknown event 'click'"),
        (lambda t: to_recbole(t[:0], "a.inter"), ValueError, "the table has no rows"),
        (lambda t: to_recbole(t[["user"]], "a.inter"), ValueError, "the table has no column item, copy, time, clicked"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(record(TASK, "random"))


def test_without_propensities() -> None:
    table = record(TASK, ["content", "thompson"], columns=["context"])
    with pytest.raises(ValueError, match=r"no column propensity \(recommender_1: Thompson does not say how likely"):
        to_obp(table, 12)
