"""GRPO: its groups begin alike, its gradient has the right direction, and it trains, resumes and plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")
pytest.importorskip("sklearn")

import torch
from reproducible import check_training
from test_generative import TINY

from baselines.algorithms import GenerativeGRPO
from baselines.grpo import GRPOLearner, Pages, group_advantages, log_probability
from baselines.training import RolloutRewards, begin
from recsys_env.policies import make_policy


def options(out: Path, **settings: Any) -> GenerativeGRPO:
    said = {**{name: value for name, value in TINY.items() if name != "width"}, "group": 2, "n_steps": 10, **settings}
    return GenerativeGRPO(**{**said, "set": (*said.get("set", ()), "horizon=20")}, out=out)


def learner_of(out: Path, **settings: Any) -> GRPOLearner:
    run = options(out, **{"pages": 0, **settings})
    return GRPOLearner(begin(run), run)


def test_advantages_are_relative_to_the_group() -> None:
    returns = torch.tensor([[1.0, 5.0], [3.0, 5.0], [10.0, 0.0], [20.0, 2.0]])
    expected = [[-1.0, 0.0], [1.0, 0.0], [-1.0, -1.0], [1.0, 1.0]]
    torch.testing.assert_close(group_advantages(returns, 2), torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_copies_of_a_group_begin_alike_and_meet_the_same_events(tmp_path: Path) -> None:
    """Also what they remember of visitors; if they act alike, they earn the same, and all advantages are 0."""
    learner = learner_of(tmp_path, task="streaming-v1", num_envs=6, group=3)
    learner._play(RolloutRewards(20, lambda point: None))
    envs, observer = learner.envs, learner.recommender.observer
    first = np.array([0, 0, 0, 3, 3, 3])
    envs.restore(envs.save().take(first))
    observer.take(first)
    for tick in range(8):
        seen = observer.read()
        np.testing.assert_array_equal(seen, seen[first])
        actions = np.random.default_rng(tick).integers(0, 20, (6, 3, 2))[first]
        _, rewards, _, over, infos = envs.step(actions)
        np.testing.assert_array_equal(rewards, rewards[first])
        observer.record(infos, over)
    assert (seen[0] != seen[3]).any()


def pages_of(learner: GRPOLearner, better: int, worse: int, count: int = 64) -> Pages:
    """One page, played `count` times: of each group of two, one showed the better candidates and earned more."""
    learner.envs.reset(seed=3)
    while not learner.envs.active.any():
        learner.envs.step(learner.envs.empty_actions())
    seen = learner.recommender.observer.read()
    b, n = (int(part[0]) for part in np.nonzero(learner.envs.active))
    seen = torch.from_numpy(seen[b, n]).expand(count, -1)
    chosen = torch.tensor([[better, better + 1], [worse, worse + 1]]).repeat(count // 2, 1)
    advantages = torch.tensor([1.0, -1.0]).repeat(count // 2)
    masks = torch.zeros(count, 0, dtype=torch.bool)
    learner.network.measure(seen)
    learner.reference.load_state_dict(learner.network.state_dict())
    with torch.no_grad():
        old = log_probability(learner.network, seen, masks, chosen)
        reference = log_probability(learner.reference, seen, masks, chosen)
    return Pages(seen, masks, chosen, advantages, old, reference)


@pytest.mark.parametrize("better", [0, 6])
def test_what_earned_more_in_its_group_becomes_more_likely(better: int, tmp_path: Path) -> None:
    learner = learner_of(tmp_path, task="streaming-v1", n_epochs=1)
    pages = pages_of(learner, better=better, worse=6 - better)
    learner._update(pages)
    change = log_probability(learner.network, pages.seen, pages.masks, pages.chosen) - pages.old
    assert change[0] > 1e-4
    assert change[1] < -1e-4


def test_the_ratio_is_clipped_and_the_reference_holds(tmp_path: Path) -> None:
    """Many steps on the same pages move no further than the clip, and less if divergence costs more."""
    moved = []
    for kl_coef in (0.0, 10.0):
        learner = learner_of(tmp_path, task="streaming-v1", n_epochs=150, learning_rate=2e-6, kl_coef=kl_coef)
        pages = pages_of(learner, better=0, worse=6)
        learner._update(pages)
        with torch.no_grad():
            ratio = (log_probability(learner.network, pages.seen, pages.masks, pages.chosen) - pages.old).exp()
        moved.append(float(ratio[0]))
    assert 1.15 < moved[0] < 1.6  # with clip = .2: the step that crosses it goes a little further
    assert 1.0 < moved[1] < 0.5 * (1 + moved[0])


@pytest.mark.parametrize(
    "kind", [{"catalogues": 2}, pytest.param({"task": "ecommerce-v1,action=items"}, marks=pytest.mark.slow)]
)
def test_it_trains_and_its_folder_is_a_policy(kind: dict[str, Any], tmp_path: Path) -> None:
    first = check_training(options, tmp_path, kind)
    assert first["training"]["agent_steps"] >= 600
    policy: Any = make_policy(tmp_path / "1")
    assert [point["step"] for point in policy.facts["pretraining"]["curve"]] == [0, 2, 4]


def test_what_it_cannot_do_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--num-envs = 4 must be a multiple of 3"):
        begin(options(tmp_path, group=3))
    one = {"num_envs": 4, "group": 2}
    with pytest.raises(ValueError, match="plays linucb, which remembers what it has seen; generative-grpo"):
        begin(options(tmp_path, background=("recommender_1=linucb",), **one))
    begin(options(tmp_path, background=("recommender_1=static",), **one))
