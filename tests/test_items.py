"""The policy that knows which item a candidate is: what its rows show, what it makes of it, and that it finds out what
no observation says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import recsys_env
from recsys_env import Company, WorldConfig
from recsys_env.policies.ranking import Ranker
from recsys_env.settings import replace
from recsys_env.tasks import _TASKS

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from baselines.algorithms import ALGORITHMS  # noqa: E402
from baselines.item_network import ItemRows, ItemSlatePolicy, item_kwargs, with_items  # noqa: E402
from baselines.page_buffers import VisitorBuffer  # noqa: E402
from baselines.train import train  # noqa: E402
from recsys_env.adapters.sb3 import SB3VecEnv  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_torch_thread")


class Listed(Ranker):
    """Knows its options."""

    def score(self, observations: np.ndarray) -> np.ndarray:
        return np.zeros(self.items.shape)


@pytest.mark.parametrize("others", [{}, {"recommender_1": "popularity"}])
def test_rows_end_with_the_items_that_policies_see(others: dict[str, str]) -> None:
    envs = recsys_env.vector_env("social-v1", 3, horizon=20, slots=2)
    envs = Company(envs, others) if others else envs
    rows, size = ItemRows(SB3VecEnv(envs)), envs.shape.candidates
    listed = []
    for agent in envs.possible_agents:
        policy = Listed()
        policy.bind(getattr(envs, "batch", envs), agent, 0)
        listed.append(policy)
    rows.seed(2)
    observations = rows.reset()
    for _ in range(45):
        assert rows.observation_space.contains(observations[0])
        for n, policy in enumerate(listed):
            policy.act(getattr(envs, "batch", envs).observations[:, policy.index])
            mine = observations[n :: len(listed), -size:]
            np.testing.assert_array_equal(mine[policy.items >= 0], policy.items[policy.items >= 0])
        observations, _, ended, infos = rows.step(np.tile(np.arange(2), (rows.num_envs, 1)))
        if ended.any():
            for row in range(rows.num_envs):
                assert infos[row]["terminal_observation"].shape == observations[row].shape
                assert not infos[row]["terminal_observation"][-size:].any()
                assert "TimeLimit.truncated" not in infos[row]


def test_a_candidate_is_scored_by_its_item() -> None:
    """Another item in the same place, with the same features, changes that place's score alone; an empty place stays
    excluded."""
    envs = recsys_env.vector_env("social-v1", 2, slots=2)
    rows = ItemRows(SB3VecEnv(envs))
    policy = ItemSlatePolicy(rows.observation_space, rows.action_space, lambda _: 1e-3, **item_kwargs(envs))
    extractor, count = policy.mlp_extractor, envs.shape.candidates
    observations = torch.rand(5, rows.observation_space.shape[0])
    observations[:, -count:] = torch.arange(count)
    place = envs.observation_fields["candidates"]
    observations[:, place.stop - (place.stop - place.start) // count : place.stop] = 0  # the last one is empty
    changed = observations.clone()
    changed[:, -count] = 77
    assert not extractor.own.weight.any()
    assert not extractor.intercept.weight.any()
    for part in (
        extractor.own,
        extractor.intercept,
        None,
    ):  # by its entry alone, then by its own numbers, then by its intercept as well
        before, after = extractor.forward_actor(observations), extractor.forward_actor(changed)
        assert (before[:, 0] != after[:, 0]).all()
        torch.testing.assert_close(before[:, 1:], after[:, 1:])
        assert (before[:, -1] < -1e8).all()
        if part is not None:
            old = after[:, 0]
            torch.nn.init.normal_(part.weight)
            assert (extractor.forward_actor(changed)[:, 0] != old).all()
    torch.testing.assert_close(extractor.forward_critic(observations), extractor.forward_critic(changed))


def test_rewards_are_those_of_the_environment() -> None:
    """Through stable-baselines3's own rollouts, which would add the value of the next visitor where an episode is
    cut."""
    from stable_baselines3 import PPO

    envs = recsys_env.vector_env("social-v1", 3, horizon=20, slots=2)
    rows = ItemRows(SB3VecEnv(envs))
    kept: list[np.ndarray] = []
    step = rows.step_wait

    def step_wait() -> tuple:
        result = step()
        kept.append(result[1].copy())
        return result

    rows.step_wait = step_wait  # type: ignore[method-assign]
    pages = {
        "rollout_buffer_class": VisitorBuffer,
        "rollout_buffer_kwargs": {"active": envs.observation_fields["is_active"].start},
    }
    model = PPO(
        ItemSlatePolicy,
        rows,
        n_steps=40,
        batch_size=120,
        n_epochs=1,
        policy_kwargs=item_kwargs(envs),
        device="cpu",
        seed=0,
        **pages,
    )
    model.policy.value_net.bias.data.fill_(100.0)
    model.rollout_buffer.watch(envs)
    model.learn(40 * rows.num_envs)
    np.testing.assert_array_equal(model.rollout_buffer.rewards, np.array(kept))
    assert np.array(kept).any()


def test_empty_places_are_no_items() -> None:
    np.testing.assert_array_equal(with_items(np.ones((1, 2), np.float32), np.array([[7, -1]])), [[1, 1, 7, 0]])


def test_it_learns_what_no_observation_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Items differ in an appeal that is neither observed nor in the catalogue, nor kept in public statistics: who knows
    the items finds it, who ranks by features cannot."""
    forgotten = {"log_impressions": 0.0, "popularity_half_life": 1.0}
    hidden = {
        "horizon": 60,
        "slots": 1,
        "users": {"habit_size": 0},
        "choice": {"beta_taste": 0.0, "beta_price": 0.0, "beta_satiation": 0.0, "v_0": 1.5},
        "items": {"number": 40, "intercept_sd": 2.0, "popularity_quality": 0.0, **forgotten},
    }
    monkeypatch.setitem(_TASKS, "hidden-v0", replace(WorldConfig(), hidden))
    scores = {}
    sizes = {
        "timesteps": 60_000,
        "num_envs": 32,
        "n_steps": 60,
        "batch_size": 480,
        "n_epochs": 4,
        "learning_rate": 1e-2,
    }
    for algorithm in ("ippo", "item-ppo"):
        settings = {"out": tmp_path / algorithm, "device": "cpu", "compare": ("random", "greedy"), "eval_episodes": 50}
        result = train(ALGORITHMS[algorithm]("hidden-v0", **settings, **sizes))  # type: ignore[arg-type]
        scores[algorithm] = result["table"]["trained"]["score"]
    assert scores["item-ppo"] > 60
    assert scores["item-ppo"] > scores["ippo"] + 20
