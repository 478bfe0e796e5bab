"""The TorchRL adapter says exactly what the batch says, and its losses learn from it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torchrl")

import torch
from tensordict.nn import TensorDictModule
from torch.distributions import Categorical
from torchrl.envs.utils import ExplorationType, check_env_specs, set_exploration_type
from torchrl.modules import ProbabilisticActor
from torchrl.objectives import ClipPPOLoss

from recsys_env import TASKS, VectorEnv, vector_env
from recsys_env.adapters.scorer import CandidateScorer, PageCritic, Slates
from recsys_env.adapters.torchrl import TorchRLEnv

B, N, HORIZON = 3, 2, 6
ROLE = "recommender"


def pair(**changes) -> tuple[TorchRLEnv, VectorEnv]:  # type: ignore[no-untyped-def]
    """The adapter and the batch that it should agree with."""
    task = {"horizon": HORIZON, **changes}
    return TorchRLEnv(vector_env("ecommerce-v1", B, **task), "cpu"), vector_env("ecommerce-v1", B, **task)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_library_check_on_every_task(task: str) -> None:
    check_env_specs(TorchRLEnv(vector_env(task, 2, horizon=2), "cpu"), break_when_any_done="both")


@pytest.mark.parametrize("changes", [{}, {"mask_actions": True, "observation": {"recent": 2, "item_ids": "binary"}}])
def test_parts_of_observations(changes: dict) -> None:
    task: dict = {"horizon": HORIZON, **changes}
    env = TorchRLEnv(vector_env("journey-v1", B, observation_format="dict", **task), "cpu", by_role=False)
    check_env_specs(env, break_when_any_done="both", seed=0)
    flat = TorchRLEnv(vector_env("journey-v1", B, **task), "cpu", by_role=False)
    rollouts = []
    for each in (env, flat):
        each.set_seed(5)
        torch.manual_seed(0)
        rollouts.append(each.rollout(2 * HORIZON, break_when_any_done=False))
    mine, theirs = rollouts
    for at in ((), ("next",)):
        parts = {name: part.numpy() for name, part in mine[(*at, "agents", "observation")].items()}
        np.testing.assert_array_equal(env.envs.layout.join(parts), theirs[(*at, "agents", "observation")])
        np.testing.assert_array_equal(mine[(*at, "agents", "active")], theirs[(*at, "agents", "active")])


@pytest.mark.parametrize("observation_format", ["flat", "dict"])
@pytest.mark.parametrize("slots", [1, 3])
def test_the_packaged_scorer_trains(observation_format: str, slots: int) -> None:
    env = TorchRLEnv(
        vector_env("ecommerce-v1", 8, observation_format=observation_format, horizon=HORIZON, slots=slots), "cpu"
    )
    env.set_seed(0)
    torch.manual_seed(0)
    scorer, seen = CandidateScorer(env.envs.layout), (ROLE, "observation")
    kind: dict = {"distribution_class": Categorical} if slots == 1 else {"distribution_class": Slates}
    if slots > 1:
        kind["distribution_kwargs"] = {"slots": slots}
    name = "logits" if slots == 1 else "scores"
    actor = ProbabilisticActor(
        TensorDictModule(scorer, [seen], [(ROLE, "scores")]),
        in_keys={name: (ROLE, "scores")},
        out_keys=[(ROLE, "action")],
        return_log_prob=True,
        **kind,
    )
    critic = TensorDictModule(PageCritic(env.envs.layout), [seen], [(ROLE, "state_value")])
    loss = ClipPPOLoss(actor, critic)
    keys = {"sample_log_prob": "action_log_prob", "reward": "reward", "value": "state_value", "action": "action"}
    loss.set_keys(**{key: (ROLE, entry) for key, entry in keys.items()})
    with torch.no_grad():
        td = env.rollout(HORIZON, actor)
    td[ROLE, "advantage"] = torch.randn(*td[ROLE, "action_log_prob"].shape, 1)
    td[ROLE, "value_target"] = torch.randn_like(td[ROLE, "advantage"])
    loss.set_keys(advantage=(ROLE, "advantage"), value_target=(ROLE, "value_target"))
    losses = loss(td)
    sum(losses[f"loss_{part}"] for part in ("objective", "critic", "entropy")).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in loss.parameters() if p.requires_grad)
    assert scorer.score.weight.grad.any()
    with set_exploration_type(ExplorationType.DETERMINISTIC):
        best = actor(env.reset())
    scores = best[ROLE, "scores"]
    shown = best[ROLE, "action"].reshape(*scores.shape[:-1], slots)
    torch.testing.assert_close(scores.gather(-1, shown), scores.topk(slots).values)  # of equal scores, any may come


def test_groups_are_roles_or_one_of_all_agents() -> None:
    env = TorchRLEnv(vector_env("journey-v1", B), "cpu")
    assert env.group_map == {"entrance": ["entrance_0"], "item": ["item_0"], "cart": ["cart_0"]}
    env.set_seed(0)
    td = env.rollout(30)
    observations = torch.cat([td[role, "observation"] for role in env.group_map], 2)
    assert observations.shape == (B, 30, 3, env.envs.observation_space.shape[0])
    assert (observations[..., env.envs.observation_fields["role"]].argmax(-1) == torch.arange(3)).all()
    one_hot = torch.cat([td[role, "active"] for role in env.group_map], 2).sum((2, 3))
    assert one_hot.max() == 1  # the owner of the scene alone
    assert TorchRLEnv(vector_env("social-v1", num_agents=4), "cpu").group_map == {
        ROLE: [f"recommender_{n}" for n in range(4)]
    }
    whole = TorchRLEnv(vector_env("journey-v1", 3), "cpu", by_role=False)
    assert whole.group_map == {"agents": ["entrance_0", "item_0", "cart_0"]}
    whole.set_seed(0)
    env.set_seed(0)
    apart = env.reset()
    assert torch.equal(
        whole.reset()["agents", "observation"], torch.cat([apart[role, "observation"] for role in env.group_map], 1)
    )


@pytest.mark.parametrize("changes", [{"mask_actions": True}, {"action": "query"}], ids=str)
def test_rollouts_hold_what_the_batch_says(changes: dict) -> None:
    """Over three episodes: also that nothing is overwritten by later steps, and what stands at the ends."""
    env, envs = pair(**changes)
    env.set_seed(5)
    torch.manual_seed(0)
    td = env.rollout(3 * HORIZON, break_when_any_done=False)
    both, _ = envs.reset(seed=5)
    earned = np.zeros((B, N))
    for t in range(3 * HORIZON):
        step = td[:, t]
        masked = isinstance(both, dict)
        np.testing.assert_array_equal(step[ROLE, "observation"], both["observation"] if masked else both)
        np.testing.assert_array_equal(step["state"], envs.state())
        np.testing.assert_array_equal(step[ROLE, "active"][..., 0], envs.active)
        np.testing.assert_array_equal(step[ROLE, "info", "individual_reward"][..., 0], earned)
        if masked:
            np.testing.assert_array_equal(step[ROLE, "action_mask"], both["action_mask"].astype(bool))
        both, rewards, _, truncated, infos = envs.step(step[ROLE, "action"].numpy())
        over = bool(truncated.all())
        assert over == (t % HORIZON == HORIZON - 1)
        assert (step["next", "truncated"] == over).all()
        assert (step["next", "done"] == over).all()
        assert not step["next", "terminated"].any()
        end = envs.final_obs if over else both
        np.testing.assert_array_equal(step["next", ROLE, "observation"], end["observation"] if masked else end)
        np.testing.assert_array_equal(step["next", "state"], envs.final_state() if over else envs.state())
        np.testing.assert_array_equal(step["next", ROLE, "reward"][..., 0], rewards)
        np.testing.assert_array_equal(
            step["next", ROLE, "info", "individual_reward"][..., 0], infos["individual_reward"]
        )
        earned = np.zeros((B, N)) if over else infos["individual_reward"].copy()


def test_resets_begin_episodes_and_a_seed_begins_anew() -> None:
    env, envs = pair()
    env.set_seed(5)
    expected = [envs.reset(seed=5)[0].copy(), envs.reset()[0].copy(), envs.reset()[0].copy()]
    np.testing.assert_array_equal(env.reset()[ROLE, "observation"], expected[0])
    np.testing.assert_array_equal(env.reset()[ROLE, "observation"], expected[1])
    env.rollout(HORIZON - 1)  # breaks off the next one
    env.set_seed(5)
    env.rollout(HORIZON)  # to the end, where the batch has begun the next one, which this reset hands out
    np.testing.assert_array_equal(env.reset()[ROLE, "observation"], expected[1])
    np.testing.assert_array_equal(env.reset()[ROLE, "observation"], expected[2])


def test_copies_cannot_be_reset_alone() -> None:
    env, _ = pair()
    td = env.reset()
    td["_reset"] = torch.tensor([[True], [False], [True]])
    with pytest.raises(ValueError, match="2 of 3 cannot be reset alone"):
        env.reset(td)
    td["_reset"] = torch.ones(B, 1, dtype=torch.bool)
    env.reset(td)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["MAPPO", "QMIX"])
def test_training_raises_the_reward(algorithm: str) -> None:
    """From random play (.285 per agent and tick) beyond what is quick to learn, that the hook sells (.29), to planning
    (.385)."""
    compat = pytest.importorskip(
        "benchmarks.compat.torchrl", reason="these losses came with torchrl 0.14", exc_type=ImportError
    )
    result = compat.train(algorithm, "cpu", 0)
    assert result["before"] < 0.30
    assert result["after"] > 0.36
