"""What the benchmarks of large models, change and speed work out from what was played."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import adaptation, computation, interpretability, kinds, sparsity, unseen
from recsys_env import task_config, vector_env
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.surrogate import Options
from recsys_env.files import read_json

# ------------------------------------------------------------------------------------------------ adaptation


def test_pages_until_a_policy_is_back() -> None:
    before = np.full((5, 400), 2.0)
    after = np.broadcast_to(np.clip(np.arange(400) / 100, 0, 1), (5, 400))
    found = adaptation.back(before, after)
    assert (found["before"], found["new level"]) == (2.0, 1.0)
    assert found["at first"] == pytest.approx(0.095)
    wanted = found["at first"] + adaptation.BACK * (1 - found["at first"])  # a window's mean is that of its middle
    assert found["pages"] == pytest.approx(100 * wanted - (adaptation.WINDOW - 1) / 2, abs=1)
    assert adaptation.back(before, 1 - after)["pages"] == 0  # it only falls


@pytest.mark.parametrize("shift", adaptation.SHIFTS)
def test_a_shift_changes_what_it_says(shift: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "HORIZON", 120)
    monkeypatch.setattr(adaptation, "COPIES", 8)
    before, after = adaptation.rewards("rivals-v1", "static", shift, seed=1)
    assert before.shape[0] == after.shape[0] == 8
    assert min(before.shape[1], after.shape[1]) > 5
    envs = vector_env("rivals-v1", 8)
    envs.reset(seed=1)
    for _ in range(100):
        envs.step(envs.empty_actions())
    taste, bait = envs.latent_users(np.arange(8))["taste"].copy(), envs.world.items["bait"].copy()
    adaptation.SHIFTS[shift](envs)
    moved = envs.latent_users(np.arange(8))["taste"]
    assert (np.abs(moved - taste).max(-1) > 0.01).mean() == (pytest.approx(0.9, abs=0.1) if shift == "tastes" else 0)
    assert np.allclose(envs.world.items["bait"], 1 - bait if shift == "bait" else bait)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=-1), np.linalg.norm(taste, axis=-1), atol=1e-5)
    envs.step(envs.empty_actions())


# ------------------------------------------------------------------------------------------------ sparsity


def test_interactions_are_counted() -> None:
    row = sparsity.measured("streaming-v1", "random", users=4, items=100, ticks=60)
    config = task_config("streaming-v1", {})
    assert 1 < row["pages per person"] <= 60
    most = 60 * config.num_agents * config.slots / 100
    assert 0.2 * most < row["impressions per item"] <= most
    assert 0 < row["ndcg"]["mean"] < 1


# ------------------------------------------------------------------------------------------------ interpretability


def test_true_terms_add_up_to_the_utilities_of_what_is_shown() -> None:
    envs = vector_env("streaming-v1", 16)
    envs.reset(seed=0)
    for _ in range(30):
        envs.step(envs.action_space.sample() * np.ones_like(envs.empty_actions()))
    items = envs.candidates[:, 0]
    terms = interpretability.true_terms(envs, items)
    actions = envs.empty_actions()
    actions[:, 0] = np.arange(envs.shape.slots)[::-1] + 3 if envs.shape.slots > 1 else 3
    told = envs.explain(actions)
    there = told["item"][:, 0] >= 0
    assert there.sum() > 5
    at = actions[:, 0].reshape(16, -1)
    np.testing.assert_allclose(
        np.take_along_axis(terms.sum(2), at, 1)[there], told["utility"][:, 0][there], rtol=1e-5, atol=1e-5
    )
    empty = items < 0
    assert (terms.any(2) | empty).all()


def test_agreement_is_how_often_the_better_is_shown() -> None:
    pages = Options(np.array([[1, 2, 3, -1]] * 2), np.zeros((2, 4, 1)), np.array([[True, False, False, False]] * 2))
    worth = np.array([[3.0, 1.0, 2.0, 9.0], [2.0, 3.0, 2.0, 9.0]])
    np.testing.assert_allclose(interpretability.agreement(worth, pages), [1.0, 0.25])


def test_ranks_correlate_as_spearman_has_it() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 1, 12, 1))  # with ties
    found = (interpretability.ranks(a) * interpretability.ranks(b)).sum()
    assert found == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert not interpretability.ranks(np.ones((1, 4, 1))).any()


# ------------------------------------------------------------------------------------------------ computation


def test_the_frontier_holds_what_nothing_beats() -> None:
    rows = {
        name: {"individual_reward": {"mean": own}, "ms alone": ms}
        for name, own, ms in (("slow and good", 5, 9), ("fast", 3, 1), ("beaten", 3, 2), ("worse", 4, 10))
    }
    assert computation.frontier(rows) == ["slow and good", "fast"]


# ------------------------------------------------------------------------------------------------ kinds in one market


@pytest.mark.slow
def test_a_policy_beside_others_earns_what_it_earns_in_that_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "QUICK", math.inf)
    config = task_config("crossdomain-v0", {"horizon": 50})
    policies = {"content": "content", "random": "random"}
    row = kinds.measured("crossdomain-v0", 50, "content", policies, {"random": "random"}, episodes=8)
    for others in ("content", "random"):
        own = episode_returns(config, ["content", others, others], 8, UNSEEN)
        assert row["beside"][others]["individual_reward"]["mean"] == pytest.approx(own[:, 0].mean())
        assert row["beside"][others]["all"]["mean"] == pytest.approx(own.sum(1).mean())
        assert set(row["beside"][others]["costs"]) == {"ms"}
        assert -1 <= row["beside"][others]["satisfaction"]["mean"] <= 1
    assert row["best reply gains"]["mean"] is not None


def test_no_best_reply_is_searched_for_to_who_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "QUICK", -1.0)
    row = kinds.measured("crossdomain-v0", 5, "random", {"random": "random"}, {}, episodes=2)
    assert set(row) == {"source", "beside"}


# ------------------------------------------------------------------------------------------------ unseen, other domains


def test_company_plays_the_other_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "EPISODES", 3)
    config = task_config("streaming-v1", {"world_seed": 17})
    for company, others in (("itself", "content"), ("random", "random")):
        team = ["content", *[others] * (config.num_agents - 1)]
        wanted = episode_returns(config, team, 3, UNSEEN + 17)[:, 0].mean()
        assert unseen._own("streaming-v1", "content", company, 17) == pytest.approx(wanted)


def test_pages_of_people_known_elsewhere_are_some_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from benchmarks.studies import crossdomain

    monkeypatch.setattr(crossdomain, "EPISODES", 8)
    config = crossdomain.pulled("pooled")
    assert config.observation.share
    own, (earned, pages) = crossdomain.played(config, "content")
    wanted = episode_returns(config, "content", 8, UNSEEN)
    np.testing.assert_allclose(own, wanted)
    assert (earned <= own + 1e-6).all()
    assert (0.02 * config.horizon < pages.sum(1)).all()
    assert (pages.sum(1) < 0.5 * config.horizon).all()


# ------------------------------------------------------------------------------------------------ scaling


def test_a_cell_of_the_scaling_study_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the same rivals and on the same episodes as other policies; a second run continues with what is left."""
    for library in ("torch", "sklearn", "tyro"):
        pytest.importorskip(library)
    from benchmarks import result_files
    from benchmarks.studies import scaling

    task = "streaming-v1,horizon=30"
    own = episode_returns(task_config("streaming-v1", {"horizon": 30}), ["popularity", *["content"] * 2], 4, UNSEEN + 1)
    assert scaling.earned(task, "popularity", 1, 4) == pytest.approx(own[:, 0].mean(), abs=1e-4)
    monkeypatch.setattr(result_files, "RESULTS", tmp_path)
    monkeypatch.setattr(scaling, "beside", lambda config: ["popularity"])
    said: dict[str, Any] = {
        "sizes": ["0.1m"],
        "pages": [1500],
        "seeds": 1,
        "episodes": 4,
        "device": "cpu",
        "threads": 1,
        "steps": 2,
    }
    args = argparse.Namespace(**said, again=False)
    scaling.Study(task, args).run()
    args.seeds = 2
    again = scaling.Study(task, args)
    measured, cell = list[tuple[Any, ...]](), again._cell
    monkeypatch.setattr(again, "_cell", lambda *key: measured.append(key) or cell(*key))
    again.run()
    assert measured == [("0.1m", 1500, 1)]
    result = read_json(tmp_path / f"scaling-{task}.json")
    assert set(result["cells"]) == {"0.1m, 1500, 0", "0.1m, 1500, 1"}
    assert len(result["beside"]["popularity"]["individual_reward"]) == 2
