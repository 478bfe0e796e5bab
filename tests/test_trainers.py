"""The trainers of `[train]`: each algorithm's reward rises beyond noise, masks hold, SuperSuit's path works."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("supersuit")
pytest.importorskip("sb3_contrib")

import supersuit
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

import recsys_env
from benchmarks.compat.sb3 import train
from recsys_env.adapters.sb3 import SB3Policy, SB3VecEnv
from recsys_env.evaluation import episode_returns


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "DQN", "SAC", "MaskablePPO"])
def test_the_team_learns_to_cooperate_in_the_duel(algorithm: str) -> None:
    """`benchmarks.compat.DILEMMA` says what constant strategies pay; means of 38,400 ticks, so noise is below .005."""
    result = train(algorithm, "cpu", 0)
    assert 0.27 < result["before"] < 0.30
    assert result["after"] > 0.35


def test_maskable_ppo_takes_slates_of_several_roles_and_never_picks_what_is_masked() -> None:
    rows = SB3VecEnv(recsys_env.vector_env("journey-v1", 4, mask_actions=True, horizon=20))
    model = MaskablePPO("MlpPolicy", rows, n_steps=16, batch_size=96, n_epochs=1, device="cpu", seed=0)
    model.learn(12 * 32)
    observations = rows.reset()
    for _ in range(20):
        masks = rows.action_masks()
        picks, _ = model.predict(observations, action_masks=masks, deterministic=False)
        assert np.take_along_axis(masks.reshape(12, 4, -1), picks[:, :, None], 2).all()
        observations, *_ = rows.step(picks)
    team = {agent: SB3Policy(model) for agent in rows.envs.possible_agents}
    assert episode_returns(rows.envs, team, episodes=2, seed=0).shape == (2, 3)


@pytest.mark.filterwarnings("ignore:The `render_mode` attribute:UserWarning")  # SuperSuit's rows have none
def test_ppo_trains_through_supersuit() -> None:
    """One Python environment per copy: its rows are the agents, its episodes the horizon."""
    rows = supersuit.pettingzoo_env_to_vec_env_v1(recsys_env.parallel_env("ecommerce-v1", horizon=8))
    rows = VecMonitor(supersuit.concat_vec_envs_v1(rows, 2, num_cpus=0, base_class="stable_baselines3"))
    assert rows.num_envs == 4
    model = PPO("MlpPolicy", rows, n_steps=16, batch_size=32, n_epochs=1, device="cpu").learn(64)
    assert {episode["l"] for episode in model.ep_info_buffer} == {8}
