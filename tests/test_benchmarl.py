"""Tasks as BenchMARL knows them, and its algorithms on the duel."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("benchmarl")

import torch
from torchrl.envs.utils import check_env_specs

from baselines import benchmarl as baseline
from recsys_env import TASKS
from recsys_env.adapters.benchmarl import BenchMARLTask

pytestmark = [
    pytest.mark.filterwarnings("ignore:size_average and reduce args"),
    pytest.mark.filterwarnings("ignore:SyncDataCollector has been deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:No episode terminated this iteration"),
]


def prepare(tmp_path: Path, *argv: str):  # type: ignore[no-untyped-def]
    return baseline.prepare(baseline.parse([*argv, "--device", "cpu", "--num-envs", "4", "--frames", "128", "--out", str(tmp_path / "run")]))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_environments_and_specs_of_every_task(name: str) -> None:
    task = BenchMARLTask(name, {"slots": 1, "horizon": 2})
    for continuous in (True, False):
        env = task.get_env_fun(2, continuous, seed=0, device="cpu")()
        check_env_specs(env, break_when_any_done="both")
        assert task.max_steps(env) == 2
        assert list(task.group_map(env)) == [role.name for role in TASKS[name].roles]
        for role, agents in task.group_map(env).items():
            own = task.observation_spec(env)[role]
            assert list(own.keys()) == ["observation"]
            assert own["observation"].shape == (len(agents), *env.envs.observation_space.shape)
            shape = (len(agents), *env.envs.action_space.shape)
            assert task.action_spec(env)[role, "action"].shape == shape
        assert task.state_spec(env)["state"].shape == env.envs.state_space.shape
        assert task.action_mask_spec(env) is None


def test_fields_of_the_config_can_be_changed() -> None:
    task = BenchMARLTask("journey-v0", {"users": {"number": 3}, "slots": 1, "mask_actions": True})
    assert task.world.users.number == 3
    env = task.get_env_fun(2, False, 0, "cpu")()
    assert set(task.action_mask_spec(env).keys()) == {"entrance", "item", "cart"}
    assert task.supports_discrete_actions()
    assert not task.supports_continuous_actions()
    with pytest.raises(TypeError, match="did you mean 'horizon'"):
        BenchMARLTask("duel-v0", {"max_cycles": 3})


def test_command_line_assignments() -> None:
    said = baseline.changes(["users.number=16", "users.habit=purchase", "mask_actions=True", "reward.sharing=-1.0"])
    assert said == {"users": {"number": 16, "habit": "purchase"}, "mask_actions": True, "reward": {"sharing": -1.0}}


def test_slates_are_queries_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a slate of 5; set slots=1"):
        prepare(tmp_path, "--algorithm", "qmix", "--task", "ecommerce-v0")
    assert prepare(tmp_path, "--algorithm", "mappo", "--task", "ecommerce-v0").continuous_actions
    assert not prepare(tmp_path, "--algorithm", "mappo", "--task", "ecommerce-v0", "--set", "slots=1").continuous_actions
    assert prepare(tmp_path, "--algorithm", "maddpg", "--task", "duel-v0").continuous_actions


@pytest.mark.parametrize("task", ["ecommerce-v0", "journey-v0"])
@pytest.mark.parametrize("algorithm", sorted(baseline.ALGORITHMS))
def test_every_algorithm_runs(tmp_path: Path, algorithm: str, task: str) -> None:
    """With central states, several groups, and masks where the actions are picks."""
    picks = () if algorithm == "maddpg" else ("--set", "slots=1", "--set", "mask_actions=True")
    experiment = prepare(tmp_path, "--algorithm", algorithm, "--task", task, "--set", "horizon=20", *picks)
    before = [p.clone() for p in experiment.policy.parameters()]
    experiment.run()
    assert experiment.total_frames >= 128
    assert any(not torch.equal(p, old) for p, old in zip(experiment.policy.parameters(), before, strict=True))
    assert baseline.episode_rewards(experiment, 3, 0, trained=True).shape == (3,)


def test_training_raises_the_reward(tmp_path: Path) -> None:
    """From random play (285 per agent and episode) beyond what is quick to learn, that the hook sells (290), to planning (384)."""
    result = baseline.main(
        ["--algorithm", "vdn", "--task", "duel-v0", "--set", "reward.sharing=1.0", "--frames", "80000", "--learning-rate", "1e-3", "--device", "cpu",
         "--eval-episodes", "10", "--out", str(tmp_path / "run")]
    )  # fmt: skip
    assert result["random"][0] < 300
    assert result["trained"][0] > 350
    assert result["gain"][0] > 5 * result["gain"][1]
    assert (tmp_path / "run" / "result.json").exists()
