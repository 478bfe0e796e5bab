"""A `FocalBatch` is its batch, seen by its learners: nothing is lost, added or moved, whatever takes it for a batch."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import recsys_env
from recsys_env.api.focal import FocalBatch, policies_of
from recsys_env.batch.infos import Infos
from recsys_env.evaluation.log import EpisodeLog
from recsys_env.policies import Policy, Team

COPIES, SHORT = 3, 40
KEYS = [key for key in Infos.ENTRIES if not key.startswith(("final_", "later_"))]


def batch(task: str = "ecommerce-v1", copies: int = COPIES, **changes: Any) -> recsys_env.VectorEnv:
    return recsys_env.vector_env(task, copies, horizon=SHORT, **changes)


def actions_of(envs: recsys_env.VectorEnv, rng: np.random.Generator) -> np.ndarray:
    actions = envs.empty_actions()
    if actions.dtype.kind == "f":
        return rng.uniform(-1, 1, actions.shape).astype(np.float32)
    return rng.integers(getattr(envs.action_space, "n", None) or envs.action_space.nvec, size=actions.shape)


class Spy(Policy):
    """Plays the tick number, and keeps what it is told."""

    def bind(self, envs: recsys_env.VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self.seed, self.told, self.ends, self.seen = seed, [], 0, []

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.seen.append((observations.copy(), self.envs.next_visitor[:, self.index].copy()))
        return np.full(
            (self.envs.num_envs, *self.envs.action_space.shape), len(self.seen) % 2, self.envs.action_space.dtype
        )

    def observe(self, feedback: Any) -> None:
        self.told.append({name: value.copy() for name, value in feedback.items()})

    def reset(self, done: np.ndarray) -> None:
        self.ends += int(done.sum())


@pytest.mark.parametrize(
    "changes", [{}, {"mask_actions": True}, {"action": "query"}, {"action": "weights"}, {"slots": 1}, {"messages": 2}]
)
def test_where_all_learn_it_is_the_batch(changes: dict[str, Any]) -> None:
    envs, focal = batch(**changes), FocalBatch(batch(**changes), {})
    rng = np.random.default_rng(0)
    np.testing.assert_equal(envs.reset(seed=3)[0], focal.reset(seed=3)[0])
    for _ in range(SHORT + 5):
        actions = actions_of(envs, rng)
        one, two = envs.step(actions), focal.step(actions)
        for a, b in zip(one[:4], two[:4], strict=True):
            np.testing.assert_equal(a, b)
        for key in KEYS + [k for k in Infos.ENTRIES if k.startswith("later_")]:
            np.testing.assert_array_equal(one[4][key], two[4][key])
        if one[3].any():
            np.testing.assert_equal(envs.final_obs, focal.final_obs)
            np.testing.assert_array_equal(envs.final_state(), focal.final_state())
        np.testing.assert_array_equal(envs.state(), focal.state())
        np.testing.assert_array_equal(envs.tick, focal.tick)


@pytest.mark.parametrize(
    "learners",
    [["recommender_1"], ["recommender_0", "recommender_2"], ["recommender_0", "recommender_1", "recommender_3"]],
)
def test_learners_see_what_they_would_in_the_batch(learners: list[str]) -> None:
    """The same joint actions, given to a bare batch, lead to the same game."""
    envs, inner = batch("social-v1", num_agents=4), batch("social-v1", num_agents=4)
    background = {agent: "content" for agent in inner.possible_agents if agent not in learners}
    focal, team = FocalBatch(inner, background), Team(envs, background, 5)
    places = [envs.possible_agents.index(agent) for agent in learners]
    assert focal.possible_agents == learners
    assert focal.num_agents == len(learners)
    seen, _ = focal.reset(seed=5)
    observations, _ = envs.reset(seed=5)
    rng, joint = np.random.default_rng(1), envs.empty_actions()
    for _ in range(SHORT + 5):
        np.testing.assert_array_equal(seen, observations[:, places])
        np.testing.assert_array_equal(focal.next_visitor, envs.next_visitor[:, places])
        np.testing.assert_array_equal(focal.active, envs.active[:, places])
        actions = actions_of(focal, rng)
        team.act(observations, joint)
        joint[:, places] = actions
        expected = envs.expected_feedback(joint)["individual_reward"][:, places]
        np.testing.assert_array_equal(focal.expected_feedback(actions)["individual_reward"], expected)
        observations, rewards, _, truncated, infos = envs.step(joint)
        team.observe(infos, truncated)
        seen, mine, _, over, report = focal.step(actions)
        np.testing.assert_array_equal(mine, rewards[:, places])
        np.testing.assert_array_equal(over, truncated)
        for key in KEYS:
            np.testing.assert_array_equal(report[key], infos[key][:, places])
        kept = report.copy()
        np.testing.assert_array_equal(kept["clicked"], infos["clicked"][:, places])


def test_later_sales_are_the_learners_own() -> None:
    """Sales of the cart are credited by learner, and those of the others are not told."""
    changes = {
        "horizon": 400,
        "choice": {"v_0": 2.0},
        "feedback": {"cart_hazard": 0.5, "b_0": 0.0},
        "users": {"wallet_init": 0.0},
        "items": {"stock_init": 0},
    }
    envs, focal = (
        recsys_env.vector_env("ecommerce-v1", 8, **changes),
        FocalBatch(recsys_env.vector_env("ecommerce-v1", 8, **changes), {"recommender_0": Spy()}),
    )
    spy = Team(envs, {"recommender_0": Spy()}, 0)
    envs.reset(seed=0)
    focal.reset(seed=0)
    joint, told, kept = envs.empty_actions(), 0, 0
    for _ in range(200):
        spy.act(envs.observations, joint)
        joint[:, 1] = np.arange(5)
        _, _, _, _, infos = envs.step(joint)
        _, _, _, _, report = focal.step(joint[:, 1:])
        mine = infos["later_agent"] == 1
        np.testing.assert_array_equal(report["later_item"], np.where(mine, infos["later_item"], -1))
        np.testing.assert_array_equal(report["later_agent"], np.where(mine, 0, -1))
        np.testing.assert_array_equal(report["later_price"], np.where(mine, infos["later_price"], 0))
        told, kept = told + int((infos["later_item"] >= 0).sum()), kept + int(mine.sum())
    assert told > kept > 0


def test_the_others_learn_and_are_told_of_ends() -> None:
    spy = Spy()
    focal = FocalBatch(batch(), {"recommender_0": spy})
    focal.reset(seed=9)
    assert spy.seed == 9
    for _ in range(SHORT):
        focal.step(focal.empty_actions())
        np.testing.assert_array_equal(spy.told[-1]["visitor"], focal.batch.infos["visitor"][:, 0])
        np.testing.assert_array_equal(spy.told[-1]["shown"], focal.batch.infos["shown"][:, 0])
    assert spy.ends == COPIES
    assert len(spy.seen) == SHORT + 1
    assert focal.truncated.all()
    focal.reset()
    assert spy.ends == 2 * COPIES
    focal.reset(seed=9)
    assert (spy.ends, len(spy.seen)) == (0, 1)


def test_a_restored_copy_leaves_the_choices_of_others_as_they_are() -> None:
    focal = FocalBatch(recsys_env.vector_env("social-v1", 4), {"recommender_1": "random"})
    focal.reset(seed=1)
    snapshot = focal.save(0)
    focal.step(focal.empty_actions())
    before = focal._others.actions.copy()
    focal.restore(snapshot, copy=0)
    np.testing.assert_array_equal(focal._others.actions[1:], before[1:])


def test_same_seed_same_game() -> None:
    def played() -> np.ndarray:
        focal = FocalBatch(batch(), "random", ["recommender_0"])
        focal.reset(seed=2)
        return np.stack([focal.step(focal.empty_actions())[1] for _ in range(SHORT)])

    first = played()
    np.testing.assert_array_equal(first, played())
    assert first.shape == (SHORT, COPIES, 1)


def test_it_can_be_pickled_and_restored() -> None:
    focal = FocalBatch(batch("social-v1", num_agents=4), {"recommender_1": "content"})
    focal.reset(seed=4)
    focal.step(focal.empty_actions())
    twin, saved = pickle.loads(pickle.dumps(focal)), focal.save()
    a = focal.step(focal.empty_actions())[0].copy()
    np.testing.assert_array_equal(a, twin.step(twin.empty_actions())[0])
    assert twin.tick.tolist() == focal.tick.tolist() == [2] * focal.num_envs
    np.testing.assert_array_equal(twin.save().arrays.copies, focal.save().arrays.copies)
    np.testing.assert_array_equal(twin.next_page, twin.batch.next_page)
    focal.restore(saved)
    np.testing.assert_array_equal(a, focal.step(focal.empty_actions())[0])
    np.testing.assert_array_equal(a, focal.look()[0])


@pytest.mark.parametrize(
    "policy", ["greedy", "planner", "static", "content", "linucb", "implicit-knn", "matcher", "reciprocal", "grim"]
)
def test_a_policy_that_is_bound_to_a_learner_plays_as_in_the_batch(policy: str) -> None:
    """It looks the world up by the agent's number in the task, which is not the learner's."""
    if policy == "implicit-knn":
        pytest.importorskip("implicit")
    task = "rivals-v1" if policy == "matcher" else "ecommerce-v1"
    envs, inner = batch(task), batch(task)
    background = {agent: "content" for agent in envs.possible_agents[:-1]}
    learner, number = envs.possible_agents[-1], len(background)
    focal = FocalBatch(inner, background)
    focal.reset(seed=2)
    observations, _ = envs.reset(seed=2)
    whole, alone = Team(envs, {**background, learner: policy}, 2), Team(focal, {learner: policy}, 2)
    joint, mine, earned = envs.empty_actions(), focal.empty_actions(), 0.0
    for _ in range(SHORT):
        whole.act(observations, joint)
        alone.act(focal.observations, mine)
        np.testing.assert_array_equal(mine[:, 0], joint[:, number])
        observations, _, _, truncated, infos = envs.step(joint)
        whole.observe(infos, truncated)
        _, _, _, over, report = focal.step(mine)
        alone.observe(report, over)
        np.testing.assert_array_equal(report["individual_reward"][:, 0], infos["individual_reward"][:, number])
        earned += report["individual_reward"].sum()
    assert earned > 0


def test_it_holds_a_batch_and_copies_nothing_of_it() -> None:
    focal = FocalBatch(batch("social-v1", num_agents=4), {"recommender_1": "content"})
    assert not vars(focal).keys() & (vars(focal.batch).keys() - {"possible_agents", "num_agents", "_actions"})
    assert focal.game is focal.batch
    with pytest.raises(TypeError, match="envs is a FocalBatch, not a VectorEnv; give its batch"):
        EpisodeLog(focal)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="envs is a FocalBatch, not a VectorEnv"):
        FocalBatch(focal, {"recommender_0": "content"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="envs is a Worlds, not a VectorEnv; give one of its parts"):
        FocalBatch(recsys_env.Worlds(recsys_env.TASKS["social-v1"], 2, range(2)), {"recommender_0": "content"})  # type: ignore[arg-type]


def test_its_world_is_the_batchs() -> None:
    focal, other = (FocalBatch(batch("social-v1", world_seed=seed), {"recommender_1": "content"}) for seed in (0, 1))
    assert focal.world is focal.batch.world
    with pytest.raises(AttributeError):
        focal.world = other.world
    digest, texts = focal.world_digest, focal.texts
    focal.batch.world = other.world
    assert focal.world is other.world
    assert digest != focal.world_digest == other.world_digest
    assert texts is not focal.texts is focal.batch.texts


def test_wrong_use_is_named_and_changes_nothing() -> None:
    agents = ["a_0", "a_1", "a_2"]
    assert policies_of(agents, "random", ["a_1"]) == {"a_0": "random", "a_2": "random"}
    assert policies_of(agents, {"a_0": "random"}) == {"a_0": "random"}
    with pytest.raises(ValueError, match=r"unknown agent 'a1' \(did you mean 'a_1'"):
        policies_of(agents, "random", ["a1"])
    with pytest.raises(ValueError, match="a_2 neither learns nor has a policy; give it one, as in a_2=content"):
        policies_of(agents, {"a_0": "random"}, ["a_1"])
    with pytest.raises(ValueError, match="a_1 is a learner and also has the policy 'random'"):
        policies_of(agents, dict.fromkeys(agents, "random"), ["a_1"])
    for learners in ("a_1", 1, {"a_1"}):
        with pytest.raises(TypeError, match=r"learners = .* must be a list of agents"):
            policies_of(agents, "random", learners)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"background = <function .* must be a policy, its name, or one of these"):
        policies_of(agents, lambda: "random", ["a_1"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs learners"):
        policies_of(agents, "random")
    with pytest.raises(ValueError, match=r"background = {'a_0': 'random'.* plays every agent, so nobody learns"):
        policies_of(agents, dict.fromkeys(agents, "random"))
    focal = FocalBatch(batch("duel-v1"), {"recommender_0": "greedy"})
    with pytest.raises(RuntimeError, match="reset"):
        focal.step(focal.empty_actions())
    focal.reset(seed=0)
    with pytest.raises(ValueError, match=r"action of recommender_1 in copy 2 is 7"):
        focal.step(np.array([[0], [1], [7]]))
    with pytest.raises(ValueError, match=r"expected \(3, 1\)"):
        focal.step(np.zeros((3, 2), int))
    with pytest.raises(TypeError, match="integers"):
        focal.step(np.zeros((3, 1)))
    assert not focal.tick.any()


# ------------------------------------------------------------------------------------------------ adapters


def test_stable_baselines3_takes_it() -> None:
    pytest.importorskip("stable_baselines3")
    from recsys_env.adapters.sb3 import SB3VecEnv

    focal = FocalBatch(batch("social-v1", num_agents=4, slots=2, mask_actions=True), {"recommender_1": "popularity"})
    rows = SB3VecEnv(focal)
    assert rows.num_envs == COPIES * 3
    observations = rows.reset()
    for _ in range(SHORT):
        np.testing.assert_array_equal(observations, focal.observations["observation"].reshape(9, -1))
        assert rows.action_masks().shape == (9, focal.observations["action_mask"].shape[2])
        observations, rewards, _, infos = rows.step(np.zeros((9, 2), int))
    assert infos[8]["terminal_observation"].shape == observations[0].shape
    np.testing.assert_array_equal(rewards, focal.infos["individual_reward"].ravel())


def test_torchrl_takes_it() -> None:
    pytest.importorskip("torchrl")
    from torchrl.envs.utils import check_env_specs

    from recsys_env.adapters.torchrl import TorchRLEnv

    focal = FocalBatch(recsys_env.vector_env("journey-v1", 2, horizon=5), {"item_0": "content"})
    env = TorchRLEnv(focal, "cpu")
    check_env_specs(env, break_when_any_done="both")
    assert env.group_map == {"entrance": ["entrance_0"], "cart": ["cart_0"]}
    assert env.rollout(3)["cart", "observation"].shape == (2, 3, 1, focal.observation_space.shape[0])


def test_skrl_takes_it() -> None:
    pytest.importorskip("skrl")
    from recsys_env.adapters.skrl import SkrlEnv

    focal = FocalBatch(batch("social-v1", num_agents=4), {"recommender_0": "random"})
    env = SkrlEnv(focal, "cpu")
    observations, _ = env.reset()
    assert list(observations) == ["recommender_1", "recommender_2", "recommender_3"]
    np.testing.assert_array_equal(observations["recommender_2"].numpy(), focal.batch.observations[:, 2])


def test_one_learner_is_the_single_agent() -> None:
    rows = recsys_env.single_agent_vector_env(
        "social-v1",
        COPIES,
        agent="recommender_2",
        background="content",
        num_agents=4,
        horizon=SHORT,
        autoreset_mode="SameStep",
    )
    focal = FocalBatch(batch("social-v1", num_agents=4), "content", ["recommender_2"])
    np.testing.assert_array_equal(rows.reset(seed=1)[0], focal.reset(seed=1)[0][:, 0])
    rng = np.random.default_rng(0)
    for _ in range(SHORT + 2):
        actions = actions_of(focal, rng)
        mine, theirs = rows.step(actions[:, 0]), focal.step(actions)
        np.testing.assert_array_equal(mine[0], theirs[0][:, 0])
        np.testing.assert_array_equal(mine[1], theirs[1][:, 0])
        np.testing.assert_array_equal(mine[4]["shown"], theirs[4]["shown"][:, 0])
