"""Tabular Q-learning on finite games."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from baselines.algorithms import QTable
from baselines.q_table import QTableLearner
from baselines.train import train
from baselines.training import SELF, begin
from recsys_env import vector_env
from recsys_env.exact import best_response, discounted, tabulate
from recsys_env.exact.policies import SavedTable, save_tables
from recsys_env.exact.policy_tables import played
from recsys_env.files import FileError
from recsys_env.policies import make_policy


def test_one_learner_finds_the_best_response(tmp_path: Path) -> None:
    """Beside a fixed table, Q-learning is that of a decision process, whose solution is known."""
    game, envs = tabulate("duel-v1"), vector_env("duel-v1", 2)
    rival = tmp_path / "rival"
    rival.mkdir()
    save_tables(rival, envs, {"recommender_1": np.array([1, 0, 0])})  # harvests in the best mood, else repairs
    options = QTable(
        "duel-v1",
        background=(f"recommender_1={rival}",),
        timesteps=60_000,
        gamma=0.9,
        compare=(),
        eval_episodes=2,
        out=tmp_path / "run",
    )
    learner = QTableLearner(begin(options), options)
    learner.learn(options.timesteps, lambda point: None)
    policies = [None, np.array([1, 0, 0])]
    _, answer = best_response(game, policies, 0, discounted(0.9))
    np.testing.assert_array_equal(learner.values[0].argmax(1), answer)


def test_its_folder_is_a_policy_of_the_exact_game(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = train(
        QTable(
            "duel-v1", set=("horizon=20",), timesteps=640, num_envs=4, n_steps=20, eval_episodes=2, compare=(), out=out
        )
    )
    assert result["training"]["agent_steps"] == 640
    assert result["kept"] == "last"
    policy = make_policy(out)
    assert isinstance(policy, SavedTable)
    config = vector_env("duel-v1", 1).config
    tables = played(tabulate(config), config, str(out))
    assert [table.shape for table in tables] == [(3, 2)] * 2
    with pytest.raises(ValueError, match="was trained with observations"):
        policy.bind(vector_env("pricing-duel-v0", 1), "left_0", 0)


def test_a_table_of_another_game_is_refused(tmp_path: Path) -> None:
    envs = vector_env("duel-v1", 1)
    save_tables(tmp_path, envs, {"recommender_0": np.array([1, 0])})
    with pytest.raises(ValueError, match="of another game than this one of 3 states and 2 actions"):
        make_policy(tmp_path).bind(envs, "recommender_0", 0)
    save_tables(tmp_path, envs, {"recommender_0": np.zeros((3, 2))})
    with pytest.raises(FileError, match="does not hold tables of actions"):
        make_policy(tmp_path)


def test_an_agent_that_did_not_learn_plays_with_the_two_exchanged(tmp_path: Path) -> None:
    """In `pricing-duel-v0` a state holds both prices: a table that repeats its own price does so in either seat."""
    game, envs = tabulate("pricing-duel-v0"), vector_env("pricing-duel-v0", 4)
    table = np.random.default_rng(0).integers(0, len(game.actions), len(game.states))
    save_tables(tmp_path, envs, {"left_0": table})
    envs.reset(seed=0)
    played = {}
    for agent in ("left_0", "right_0"):
        policy = make_policy(tmp_path)
        policy.bind(envs, agent, 0)
        played[agent] = policy._table
    assert game.mirror is not None
    np.testing.assert_array_equal(played["left_0"], table)
    np.testing.assert_array_equal(played["right_0"], table[game.mirror])
    assert (played["left_0"] != played["right_0"]).any()


def test_a_table_of_agents_that_differ_stays_in_its_seat(tmp_path: Path) -> None:
    """The second agent is paid for other events, so that the two cannot be exchanged."""
    envs = vector_env("duel-v1", 2, roles=({"name": "left"}, {"name": "right", "rewards": {"click": 2.0}}))
    save_tables(tmp_path, envs, {"left_0": np.zeros(3, int)})
    make_policy(tmp_path).bind(envs, "left_0", 0)
    with pytest.raises(ValueError, match=r"was learnt by left_0; right_0 cannot play it, because the agents .* differ"):
        make_policy(tmp_path).bind(envs, "right_0", 0)


def test_a_table_meets_its_own_past(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "timesteps": 960,
        "num_envs": 4,
        "n_steps": 20,
        "snapshot_every": 4,
        "eval_episodes": 2,
        "compare": (),
    }
    result = train(QTable("duel-v1", set=("horizon=20",), background=(SELF,), out=tmp_path, **settings))
    assert result["background"] == {"recommender_1": SELF}
    assert sorted(int(path.name) for path in (tmp_path / "pool").iterdir()) == [0, 320, 640, 960]


def test_worlds_without_a_table_are_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match="finite"):
        train(QTable("social-v1", out=tmp_path / "run"))
    assert not any(tmp_path.iterdir())
