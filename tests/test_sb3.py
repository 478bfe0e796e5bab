"""The stable-baselines3 adapter says exactly what the batch says, row by row."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecNormalize

from baselines.sb3_learner import PageBuffer
from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.adapters.sb3 import SB3Policy, SB3VecEnv
from recsys_env.config.settings import replace
from recsys_env.evaluation.episodes import episode_returns
from recsys_env.policies import make_policy
from recsys_env.trained.slates import SlateDistribution, SlatePolicy, slate_kwargs

B, N, HORIZON = 3, 2, 12


def config(**changes) -> WorldConfig:  # type: ignore[no-untyped-def]
    return replace(
        WorldConfig(), {"horizon": HORIZON, "num_agents": N, "slots": 3, "reward": {"sharing": 0.5}, **changes}
    )


def pair(**changes) -> tuple[SB3VecEnv, VectorEnv]:  # type: ignore[no-untyped-def]
    """The adapter and the batch that it should agree with, at the same seed."""
    rows, envs = SB3VecEnv(VectorEnv(config(**changes), B)), VectorEnv(config(**changes), B)
    rows.seed(5)
    return rows, envs


def actions(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 20, (B * N, 3))


def test_episodes_end_by_truncation_with_their_last_observation_and_statistics() -> None:
    rows, envs = pair()
    rng = np.random.default_rng(1)
    envs.reset(seed=5)
    rows.reset()
    for _ in range(2):
        total = np.zeros(B * N)
        for tick in range(HORIZON):
            picks = actions(rng)
            _, rewards, ended, infos = rows.step(picks)
            envs.step(picks.reshape(B, N, 3))
            total += rewards
            assert ended.all() == (tick == HORIZON - 1)
            assert tick == HORIZON - 1 or infos == [{}] * (B * N)
        final = envs.final_obs.reshape(B * N, -1)
        for row, info in enumerate(infos):
            assert info["TimeLimit.truncated"] is True
            np.testing.assert_array_equal(info["terminal_observation"], final[row])
            assert info["episode"]["r"] == pytest.approx(total[row], abs=1e-6)
            assert info["episode"]["l"] == HORIZON
            assert set(info["episode"]) == {"r", "l", "t"}  # as of stable-baselines3's Monitor


def test_writing_into_rewards_does_not_reach_the_environment() -> None:
    rows, _ = pair()
    rows.reset()
    rewards = rows.step(actions(np.random.default_rng(0)))[1]
    rewards += 7  # as stable-baselines3 does at the horizon
    assert rows.envs.report.rewards.max() < 7


def test_masks_and_attributes_by_row() -> None:
    rows, _ = pair(mask_actions=True)
    rows.reset()
    masks = rows.action_masks()
    assert (masks.dtype, masks.shape[0]) == (bool, B * N)
    np.testing.assert_array_equal(rows.env_method("action_masks", indices=[4])[0], masks[4])
    assert rows.has_attr("action_masks")
    assert rows.get_attr("num_envs", [0]) == [B * N]
    assert rows.env_is_wrapped(SB3VecEnv, 0) == [False]
    with pytest.raises(IndexError, match="indices = "):
        rows.get_attr("num_envs", 99)
    with pytest.raises(AttributeError, match="mask_actions"):
        pair()[0].action_masks()


# ------------------------------------------------------------------------------------------------ distribution


@pytest.mark.parametrize(("candidates", "slots"), [(4, 2), (5, 1), (3, 3)])
def test_slate_probabilities(candidates: int, slots: int) -> None:
    """Probabilities of all ordered slates are those of picking without replacement, sum to 1, and are what is
    sampled."""
    torch.manual_seed(0)
    scores = torch.randn(1, candidates, dtype=torch.float64)
    distribution = SlateDistribution(candidates, slots, flat=False).proba_distribution(scores)
    slates = list(itertools.permutations(range(candidates), slots))
    weight, expected = scores[0].exp().numpy(), []
    for slate in slates:
        left, probability = weight.sum(), 1.0
        for pick in slate:
            probability *= weight[pick] / left
            left -= weight[pick]
        expected.append(probability)
    many = SlateDistribution(candidates, slots, flat=False).proba_distribution(scores.expand(len(slates), -1))
    np.testing.assert_allclose(many.log_prob(torch.tensor(slates)).exp().numpy(), expected, rtol=1e-9)
    draws = 20_000
    drawn = SlateDistribution(candidates, slots, flat=False).proba_distribution(scores.expand(draws, -1)).sample()
    share = [(drawn == torch.tensor(slate)).all(1).double().mean().item() for slate in slates]
    np.testing.assert_allclose(share, expected, atol=4 * 0.5 / draws**0.5)
    assert distribution.mode()[0].tolist() == np.argsort(-scores[0].numpy())[:slots].tolist()


@pytest.mark.parametrize("slots", [1, 3])
def test_slate_policy_ignores_the_order_of_candidates_and_never_picks_an_empty_place(slots: int) -> None:
    envs = VectorEnv(config(slots=slots), B)
    rows = SB3VecEnv(envs)
    model = PPO(SlatePolicy, rows, policy_kwargs=slate_kwargs(envs), n_steps=4, batch_size=12, device="cpu", seed=0)
    observations = np.random.default_rng(0).uniform(-1, 1, (50, *rows.observation_space.shape)).astype(np.float32)
    blocks = envs.field(observations, "candidates").reshape(50, 20, -1)
    blocks[:, slots + 1 :] = 0
    before = model.predict(observations, deterministic=True)[0].reshape(50, slots)
    sampled = model.predict(observations)[0].reshape(50, slots)
    assert before.max() <= slots
    assert sampled.max() <= slots
    assert all(len(set(picks)) == slots for picks in sampled)
    blocks[:] = blocks[:, ::-1]
    after = model.predict(observations, deterministic=True)[0].reshape(50, slots)
    np.testing.assert_array_equal(after, 19 - before)


def test_slate_kwargs_only_where_actions_are_picks() -> None:
    envs = VectorEnv(config())
    assert slate_kwargs(envs) == {"layout": envs.layout}
    assert slate_kwargs(VectorEnv(config(action="items"))) is None
    assert slate_kwargs(VectorEnv(config(action="query"))) is None
    assert slate_kwargs(VectorEnv(config(messages=2))) is None
    with pytest.raises(TypeError, match=r"envs is a str, not a batch; make one with recsys_env\.vector_env"):
        slate_kwargs("social-v1")  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{}, {"slots": 1}, {"observation": {"recent": 2, "item_ids": "binary"}}])
def test_both_formats_train_the_same_network(changes: dict) -> None:
    trained, scores = [], []
    for observation_format in ("flat", "dict"):
        envs = VectorEnv(config(**changes), B, observation_format=observation_format)
        kwargs = slate_kwargs(envs)
        model = PPO(SlatePolicy, SB3VecEnv(envs), policy_kwargs=kwargs, n_steps=8, batch_size=12, device="cpu", seed=0)
        before = {name: array.clone() for name, array in model.policy.state_dict().items()}
        model.learn(2 * 8 * B * N)
        after = model.policy.state_dict()
        assert any(not torch.equal(after[name], before[name]) for name in before if "score" in name)
        trained.append(after)
        team = {agent: SB3Policy(model) for agent in envs.possible_agents}
        scores.append(episode_returns(VectorEnv(config(**changes), 4), team, episodes=4, seed=1))
    for name, array in trained[0].items():
        torch.testing.assert_close(trained[1][name], array)
    np.testing.assert_allclose(*scores, rtol=1e-4)


# ------------------------------------------------------------------------------------------------ policy


@pytest.mark.parametrize(
    "changes", [{}, {"slots": 1}, {"action": "query"}, {"action": "weights"}, {"mask_actions": True}]
)
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_trained_model_plays_as_a_policy(changes: dict, deterministic: bool) -> None:
    envs = VectorEnv(config(**changes), B)
    model = PPO("MlpPolicy", SB3VecEnv(envs), n_steps=4, batch_size=12, device="cpu", seed=0)

    def play() -> np.ndarray:
        team = {agent: SB3Policy(model, deterministic) for agent in envs.possible_agents}
        return episode_returns(envs, team, episodes=4, seed=1)

    first, stream = play(), torch.random.get_rng_state()
    assert first.shape == (4, N)
    torch.rand(3)
    np.testing.assert_array_equal(play(), first)  # whatever others drew from torch in between
    assert deterministic or not torch.equal(stream, torch.random.get_rng_state())


# ------------------------------------------------------------------------------------------------ rollout buffer


def filled_buffer(
    page: np.ndarray, starts: np.ndarray, rewards: np.ndarray, values: np.ndarray, gae_lambda: float
) -> PageBuffer:
    """A buffer [T, R] whose observations hold nothing but whether there is a page."""
    steps, rows = page.shape
    box, pick = spaces.Box(-1, 1, (1,), np.float32), spaces.Discrete(2)
    buffer = PageBuffer(steps, box, pick, "cpu", gae_lambda=gae_lambda, gamma=0.9, n_envs=rows, active=0)
    for t in range(steps):
        observations = page[t][:, None].astype(np.float32)
        buffer.add(observations, np.zeros(rows), rewards[t], starts[t], torch.as_tensor(values[t]), torch.zeros(rows))
    return buffer


def random_rollout(steps: int, rows: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    return (
        rng.random((steps, rows)) < 0.5,
        rng.random((steps, rows)) < 0.15,
        rng.normal(size=(steps, rows)),
        rng.normal(size=(steps, rows)),
    )


def test_where_every_tick_has_a_page_the_buffer_is_stable_baselines3s() -> None:
    page, starts, rewards, values = random_rollout(30, 5)
    ours = filled_buffer(np.ones_like(page), starts, rewards, values, 0.8)
    base = RolloutBuffer(30, ours.observation_space, ours.action_space, "cpu", gae_lambda=0.8, gamma=0.9, n_envs=5)
    for name in ("rewards", "values", "episode_starts"):
        setattr(base, name, getattr(ours, name).copy())
    last, done = torch.randn(5), np.array([1, 0, 0, 1, 0], bool)
    base.compute_returns_and_advantage(last, done)
    ours.compute_returns_and_advantage(last, done)
    np.testing.assert_allclose(ours.advantages, base.advantages, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.returns, base.returns, rtol=1e-5, atol=1e-5)


def test_advantages_run_from_page_to_page() -> None:
    """Against the definition: the game whose steps are the pages, each with its discounted reward and its length."""
    steps, gamma, lam = 40, 0.9, 0.7
    page, _, rewards, values = random_rollout(steps, 1)
    buffer = filled_buffer(page, np.zeros_like(page), rewards, values, lam)
    last = torch.tensor([0.3])
    buffer.compute_returns_and_advantage(last, np.array([False]))
    pages = [*np.flatnonzero(page[:, 0]), steps]
    advantage = 0.0
    for here, there in reversed(list(itertools.pairwise(pages))):
        earned = sum(gamma ** (t - here) * rewards[t, 0] for t in range(here, there))
        ahead = float(last) if there == steps else values[there, 0]
        weight = gamma ** (there - here)
        advantage = earned + weight * ahead - values[here, 0] + lam * weight * advantage
        assert buffer.advantages[here, 0] == pytest.approx(advantage, abs=1e-5)
        assert buffer.returns[here, 0] == pytest.approx(advantage + values[here, 0], abs=1e-5)
    assert not buffer.advantages[~page].any()


def test_training_takes_each_page_once_in_equal_parts() -> None:
    page, starts, _, _ = random_rollout(50, 20)
    rewards = np.where(page, np.arange(1000).reshape(50, 20), -1.0)
    buffer = filled_buffer(page, starts, rewards, rewards, 0.9)
    buffer.compute_returns_and_advantage(torch.zeros(20), np.zeros(20, bool))
    np.random.seed(0)
    parts = [part.old_values.numpy() for part in buffer.get(100)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    taken = np.concatenate(parts)
    np.testing.assert_array_equal(np.sort(taken[taken >= 0]), np.sort(rewards[page]))
    assert 0 < (taken < 0).sum() < 0.2 * (~page).sum()


def test_a_rollout_without_pages_teaches_nothing() -> None:
    """Where nobody came, one tick is trained on, because stable-baselines3 fails on none: its advantage is 0."""
    envs = VectorEnv(config(horizon=1, arrival={"r_0": -30.0}), B)
    pages = {
        "rollout_buffer_class": PageBuffer,
        "rollout_buffer_kwargs": {"active": envs.observation_fields["is_active"].start},
    }
    model = PPO("MlpPolicy", SB3VecEnv(envs), n_steps=1, batch_size=B * N, device="cpu", seed=0, **pages)
    model.learn(10 * B * N)
    assert not model.rollout_buffer.advantages.any()


def test_what_rows_and_models_are_not_is_said() -> None:
    rows, _ = pair()
    rows.reset()
    with pytest.raises(ValueError, match=r"actions of shape \(3, 6\), expected \(6, 3\)"):
        rows.step(np.zeros((3, B * N), int))
    with pytest.raises(TypeError, match="model = 'ppo' must be a model of Stable-Baselines3"):
        SB3Policy("ppo")
    recurrent = SimpleNamespace(predict=print, policy=SimpleNamespace(lstm_actor=None))
    with pytest.raises(ValueError, match="is recurrent; SB3Policy keeps no state"):
        SB3Policy(recurrent)
    envs = SB3VecEnv(vector_env("duel-v1", 2))
    with pytest.raises(ValueError, match=r"train with VecNormalize\(..., norm_obs=False\)"):
        SB3Policy(PPO("MlpPolicy", VecNormalize(envs), n_steps=4, batch_size=8))
    SB3Policy(PPO("MlpPolicy", VecNormalize(envs, norm_obs=False), n_steps=4, batch_size=8))
    model = PPO("MlpPolicy", rows, n_steps=4, batch_size=12, device="cpu")
    with pytest.raises(TypeError, match="deterministic = 'no' must be True or False"):
        SB3Policy(model, "no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be a Policy object, .*; a trained model becomes .*SB3Policy\(model\)"):
        make_policy(model)


def test_a_model_of_another_task_is_refused() -> None:
    model = PPO("MlpPolicy", SB3VecEnv(VectorEnv(config(), B)), n_steps=8, batch_size=8)
    SB3Policy(model).bind(VectorEnv(config(horizon=5), 1), "recommender_0", 0)
    for changes, why in (
        (
            {"slots": 2},
            r"with actions MultiDiscrete\(\[20 20 20\]\); those of recommender_0 are MultiDiscrete\(\[20 20\]\)",
        ),
        ({"num_agents": 3}, r"with observations Box\(.*\); those of recommender_0 are Box\("),
    ):
        with pytest.raises(ValueError, match=f"^the model was trained {why}"):
            SB3Policy(model).bind(VectorEnv(config(**changes), 1), "recommender_0", 0)
