"""Tasks as BenchMARL knows them, and its algorithms on the duel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("benchmarl")

import numpy as np
import torch
from benchmarl.experiment import Experiment
from benchmarl.models.mlp import MlpConfig
from torchrl.envs.utils import check_env_specs

from baselines.algorithms import ALGORITHMS
from baselines.benchmarl_learner import BenchMARLLearner, experiment_config
from baselines.train import train
from baselines.training import begin
from benchmarks.compat import DILEMMA, TASK
from benchmarks.compat.benchmarl import CONFIGS, make_experiment, own_rewards
from recsys_env import TASKS
from recsys_env.adapters.benchmarl import BenchMARLTask, CandidateScorerConfig
from recsys_env.adapters.scorer import CandidateScorer
from recsys_env.evaluation import episode_returns

pytestmark = [
    pytest.mark.filterwarnings("ignore:size_average and reduce args"),
    pytest.mark.filterwarnings("ignore:SyncDataCollector has been deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:No episode terminated this iteration"),
]


def prepare(tmp_path: Path, algorithm: str, task: str, *changes: str, **settings: Any) -> BenchMARLLearner:
    small: dict[str, Any] = {"device": "cpu", "num_envs": 4, "timesteps": 256, "out": tmp_path / "run", "set": changes}
    training = begin(ALGORITHMS[algorithm](task, **{**small, **settings}))
    training.clear_folder()
    return training.make_learner()  # type: ignore[return-value]


def small_experiment(tmp_path: Path, algorithm: str, task: BenchMARLTask) -> Experiment:
    return make_experiment(algorithm, task, 256, "cpu", 0, tmp_path, num_envs=4)


@pytest.mark.parametrize(("name", "by_role"), [*((name, False) for name in sorted(TASKS)), ("journey-v1", True)])
def test_environments_and_specs_of_every_task(name: str, by_role: bool) -> None:
    task = BenchMARLTask(name, {"slots": 1, "horizon": 2}, by_role=by_role)
    for continuous in (True, False):
        env = task.get_env_fun(2, continuous, seed=0, device="cpu")()
        check_env_specs(env, break_when_any_done="both")
        assert task.max_steps(env) == 2
        assert list(task.group_map(env)) == ([role.name for role in TASKS[name].roles] if by_role else ["agents"])
        assert [agent for agents in task.group_map(env).values() for agent in agents] == env.envs.possible_agents
        for group, agents in task.group_map(env).items():
            own = task.observation_spec(env)[group]
            assert list(own.keys()) == ["observation"]
            assert own["observation"].shape == (len(agents), *env.envs.observation_space.shape)
            shape = (len(agents), *env.envs.action_space.shape)
            assert task.action_spec(env)[group, "action"].shape == shape
        assert task.state_spec(env)["state"].shape == env.envs.state_space.shape
        assert task.action_mask_spec(env) is None


def test_fields_of_the_config_can_be_changed() -> None:
    task = BenchMARLTask("journey-v1", {"users": {"number": 3}, "slots": 1, "mask_actions": True})
    assert task.world.users.number == 3
    env = task.get_env_fun(2, False, 0, "cpu")()
    assert set(task.action_mask_spec(env).keys()) == {"agents"}
    assert task.supports_discrete_actions()
    assert not task.supports_continuous_actions()
    with pytest.raises(TypeError, match="did you mean 'horizon'"):
        BenchMARLTask("duel-v1", {"max_cycles": 3})


def test_slates_are_queries_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a slate of 5; set slots=1"):
        prepare(tmp_path, "qmix", "ecommerce-v1")
    assert prepare(tmp_path, "mappo", "ecommerce-v1").experiment.continuous_actions
    assert not prepare(tmp_path, "mappo", "ecommerce-v1", "slots=1").experiment.continuous_actions
    assert small_experiment(tmp_path, "maddpg", BenchMARLTask("duel-v1")).continuous_actions


@pytest.mark.parametrize("task", ["ecommerce-v1", "journey-v1"])
@pytest.mark.parametrize("algorithm", CONFIGS)
def test_every_algorithm_runs(tmp_path: Path, algorithm: str, task: str) -> None:
    """With central states, several groups, and masks where the actions are picks."""
    picks = {} if algorithm == "maddpg" else {"slots": 1, "mask_actions": True}
    known = BenchMARLTask(task, {"horizon": 20, **picks}, by_role=algorithm == "ippo-roles")
    experiment = small_experiment(tmp_path, algorithm, known)
    before = [p.clone() for p in experiment.policy.parameters()]
    experiment.run()
    assert experiment.total_frames >= 256 // known.world.num_agents
    assert any(not torch.equal(p, old) for p, old in zip(experiment.policy.parameters(), before, strict=True))
    assert own_rewards(experiment, 3, 7).isfinite().all()


@pytest.mark.parametrize("algorithm", ["ippo-roles", "qmix", "mappo"])
def test_the_packaged_scorer_trains(tmp_path: Path, algorithm: str) -> None:
    """As the policy of PPO, and as the values of QMIX; critics are other networks."""
    by_role = algorithm == "ippo-roles"
    known = BenchMARLTask("journey-v1", {"horizon": 20, "slots": 1, "mask_actions": True}, by_role=by_role)
    config, critic = experiment_config(True, 4, 256 // 3, "cpu", tmp_path), MlpConfig.get_from_yaml()
    experiment = Experiment(
        task=known,
        algorithm_config=CONFIGS[algorithm].get_from_yaml(),
        model_config=CandidateScorerConfig(known.layout, width=8),
        critic_model_config=critic,
        seed=0,
        config=config,
    )
    before = [p.clone() for p in experiment.policy.parameters()]
    assert any(isinstance(module, CandidateScorer) for module in experiment.policy.modules())
    experiment.run()
    assert any(not torch.equal(p, old) for p, old in zip(experiment.policy.parameters(), before, strict=True))
    with pytest.raises(ValueError, match=r"the model is to return 1 numbers, but it scores \d+ candidates"):
        Experiment(
            task=known,
            algorithm_config=CONFIGS["mappo"].get_from_yaml(),
            model_config=CandidateScorerConfig(known.layout),
            critic_model_config=CandidateScorerConfig(known.layout),
            seed=0,
            config=config,
        )


@pytest.mark.parametrize("task", ["ecommerce-v1", "journey-v1"])
@pytest.mark.parametrize("algorithm", ["mappo", "qmix"])
def test_a_policy_is_stored(tmp_path: Path, algorithm: str, task: str) -> None:
    """The stored networks play as BenchMARL's policy does."""
    learner = prepare(tmp_path, algorithm, task, "horizon=20", "slots=1", "mask_actions=True")
    experiment, before = learner.experiment, [p.clone() for p in learner.experiment.policy.parameters()]
    points: list[Any] = []
    learner.learn(256, points.append)
    assert learner.agent_steps >= 256
    assert [point["agent_steps"] for point in points][-1] == learner.agent_steps
    assert any(not torch.equal(p, old) for p, old in zip(experiment.policy.parameters(), before, strict=True))
    learner.save(learner.training.out)
    stored = episode_returns(
        learner.training.config, dict.fromkeys(learner.training.learners, str(tmp_path / "run")), 3, 7
    )
    np.testing.assert_allclose(stored.sum(1), own_rewards(experiment, 3, 7), rtol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "task", "timesteps", "enough", "changes"),
    [("mappo", "ecommerce-v1", 400_000, 4, ()), ("qmix", TASK, 160_000, 350, DILEMMA)],  # as above
)
def test_training_raises_the_reward(
    tmp_path: Path, algorithm: str, task: str, timesteps: int, enough: float, changes: tuple[str, ...]
) -> None:
    """Over the first evaluation beyond noise, from a seed whose untrained network does not play well by chance."""
    settings: dict[str, Any] = {
        "sharing": 1.0,
        "gamma": 0.9,
        "reward_scale": 10.0,
        "device": "cpu",
        "eval_episodes": 3,
    }
    settings |= {"seed": 1, "set": changes, "timesteps": timesteps, "compare": ("random",), "out": tmp_path}
    result = train(ALGORITHMS[algorithm](task, **settings))
    assert result["after"]["mean"] > enough > result["before"]["mean"]
    assert result["gain"]["mean"] > 5 * result["gain"]["ci95"]
