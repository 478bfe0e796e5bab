"""CMA-ES of rankers: what it plays, beside whom, and that it finds rankings that look at the state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cma")
pytest.importorskip("torch")
pytest.importorskip("tyro")

from baselines.algorithms import CMAES
from baselines.train import train
from baselines.training import SELF, begin
from recsys_env.evaluation import episode_returns

TINY: dict[str, Any] = {"timesteps": 2000, "num_envs": 4, "compare": (), "eval_episodes": 2, "device": "cpu"}


def options(out: Path, **settings: Any) -> CMAES:
    said = {**TINY, **settings}
    return CMAES(**{**said, "set": (*said.get("set", ()), "horizon=20")}, out=out)


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "news-v1"},
        {"task": "journey-v1"},
        {"task": "market-v0"},
        {"task": "coverage-v0"},
        {"task": "ecommerce-v1", "set": ("action=weights",)},
    ],
)
def test_a_seed_gives_one_policy_and_the_folder_plays_it(settings: dict[str, Any], tmp_path: Path) -> None:
    runs = [train(options(tmp_path / name, seed=seed, **settings)) for name, seed in (("1", 0), ("2", 0), ("3", 1))]
    said = [(tmp_path / name / "policy.json").read_text() for name in "123"]
    assert said[0] == said[1] != said[2]
    config = begin(options(tmp_path / "4", **settings)).config
    again = episode_returns(config, str(tmp_path / "1"), 20, runs[0]["seeds"]["evaluation"])
    np.testing.assert_allclose(again.mean(axis=1), runs[0]["absolute"])
    assert runs[0]["training"]["agent_steps"] >= 2000
    assert 0 < runs[0]["training"]["environment_share"] < 1


def test_all_candidates_play_the_same_episode_and_are_paid_after_sharing(tmp_path: Path) -> None:
    """Equal candidates earn the same, and a team's member what all earn on average."""
    training = begin(options(tmp_path, task="ecommerce-v1", sharing=1.0, background=("recommender_1=content",)))
    arena = training.make_learner().arena  # type: ignore[attr-defined]
    one = np.random.default_rng(0).standard_normal(arena.size)
    own, paid = arena.play(np.stack([one, one, -one]), 2, 7)
    np.testing.assert_array_equal(own[0], own[1])
    assert own[0].mean() != own[2].mean()
    assert (own[0] != paid[0]).any()


def test_candidates_meet_the_same_past_selves(tmp_path: Path) -> None:
    """Equal candidates earn the same, and the pool grows while the search goes on."""
    settings: dict[str, Any] = {"task": "social-v1", "background": (SELF,), "snapshot_every": 5}
    result = train(options(tmp_path, **settings))
    pool = sorted((tmp_path / "pool").iterdir())
    assert result["background"] == {"recommender_1": SELF}
    assert [int(path.name) for path in pool] == [80 * 5 * number for number in range(6)]  # a generation: 4 x 20 steps
    shown = [(folder / "policy.json").read_text() for folder in pool]
    assert len(set(shown)) > 1
    resumed = begin(options(tmp_path / "other", **settings))
    arena = resumed.make_learner().arena  # type: ignore[attr-defined]
    shutil.copytree(tmp_path / "pool", resumed.pool)
    one = np.random.default_rng(0).standard_normal(arena.size)
    own, _ = arena.play(np.stack([one] * 6), 2, 7)
    np.testing.assert_array_equal(own, np.broadcast_to(own[:1], own.shape))


def test_it_is_refused_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown field 'visit' \(did you mean 'visits'\?\)"):
        train(options(tmp_path, states=("visit",)))
    assert list(tmp_path.iterdir()) == []


def test_it_finds_a_ranking_that_looks_at_the_state(tmp_path: Path) -> None:
    """In the duel the best constant ranking earns 166 of 236: who harvests when the mood is good earns more."""
    result = train(CMAES(task="duel-v1", sharing=1.0, timesteps=1_000_000, compare=(), out=tmp_path, eval_episodes=4))
    assert result["after"]["mean"] > 200
