"""Every algorithm that trains here gains beyond noise, is loaded back, and trains in company; BenchMARL's where it is
installed."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("tyro")

import tyro

from baselines.__main__ import main
from baselines.algorithms import ALGORITHMS
from baselines.runs import SELF
from baselines.train import Train, command_of, options_of, run_of, train
from recsys_env import TASKS, WorldConfig
from recsys_env.cli import assignments
from recsys_env.config import replace
from recsys_env.evaluation import episode_returns
from recsys_env.files import read_arrays
from recsys_env.policies import make_policy
from recsys_env.tasks import _TASKS

pytestmark = pytest.mark.usefixtures("one_torch_thread")

QUICK: dict[str, dict[str, Any]] = {  # what learns the easy world within seconds
    "ippo": {"timesteps": 30_000, "num_envs": 64, "n_steps": 32, "batch_size": 512, "n_epochs": 4, "learning_rate": 3e-3},
    "ippo-separate": {"timesteps": 50_000, "num_envs": 64, "n_steps": 32, "learning_rate": 3e-3},
    "maskable-ppo": {"timesteps": 50_000, "num_envs": 64, "n_steps": 32, "batch_size": 512, "n_epochs": 4, "learning_rate": 3e-3},
    "recurrent-ppo": {"timesteps": 16_000, "num_envs": 32, "n_steps": 32, "batch_size": 256, "n_epochs": 3, "learning_rate": 3e-3, "width": 16},
    "transformer-ppo": {
        "timesteps": 16_000, "num_envs": 32, "n_steps": 32, "batch_size": 256, "n_epochs": 4, "learning_rate": 3e-3, "layers": 1, "width": 16, "history": 4,
    },
    # Untrained, seed 0 happens to rank by taste already.
    "item-ppo": {"timesteps": 40_000, "num_envs": 32, "n_steps": 60, "batch_size": 480, "n_epochs": 4, "learning_rate": 3e-3, "seed": 1},
}  # fmt: skip
TINY: dict[str, Any] = {"timesteps": 512, "num_envs": 4, "n_steps": 16, "batch_size": 32, "n_epochs": 1}


@pytest.fixture(autouse=True)
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks follow a taste that the profile shows without noise; a policy has to find out that it matters."""
    easy = {"horizon": 60, "slots": 1, "observation": {"profile_noise": 0.0}, "choice": {"beta_taste": 6.0, "v_0": 4.0}}
    monkeypatch.setitem(_TASKS, "easy-v0", replace(WorldConfig(), easy))


def trained(algorithm: str, out: Path, **settings: Any) -> dict[str, Any]:
    task = settings.pop("task", "easy-v0")
    return train(Train(algorithm, task, out=out, device="cpu", **{"references": (), "eval_episodes": 20, **settings}))


@pytest.mark.parametrize("algorithm", QUICK)
def test_it_gains_beyond_noise_and_is_loaded_back(algorithm: str, tmp_path: Path) -> None:
    result = trained(algorithm, tmp_path, eval_episodes=50, **QUICK[algorithm])
    assert result["gain"]["mean"] > 2 * result["gain"]["ci95"]
    config = replace(TASKS["easy-v0"], ALGORITHMS[algorithm].changes)
    again = episode_returns(
        config, {agent: make_policy(str(tmp_path)) for agent in config.agents}, 50, result["seeds"]["evaluation"]
    )
    assert result["after"]["mean"] == pytest.approx(again.mean())
    mixed = episode_returns(config, {"recommender_0": "random", "recommender_1": str(tmp_path)}, 50, 0)
    assert mixed[:, 1].mean() > 1.2 * mixed[:, 0].mean()
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert curve[-1]["agent_steps"] == result["training"]["agent_steps"] >= QUICK[algorithm]["timesteps"]
    assert curve[-1]["episode_reward"] > curve[0]["episode_reward"]


# ------------------------------------------------------------------------------------------------ company


def test_one_learns_in_mixed_company(tmp_path: Path) -> None:
    """One RL agent beside content and popularity: it alone is trained and scored, and a trained one is company in
    turn."""
    team = {"task": "easy-v0", "set": ("num_agents=3",)}
    company = ("recommender_1=content", "popularity")
    first = trained(
        "ippo",
        tmp_path / "first",
        company=company,
        learners=("recommender_0",),
        references=("random",),
        **team,
        **QUICK["ippo"],
    )
    assert first["learners"] == ["recommender_0"]
    assert first["company"] == {"recommender_1": "content", "recommender_2": "popularity"}
    assert first["gain"]["mean"] > 2 * first["gain"]["ci95"]
    assert first["table"]["trained"]["score"] > 50
    second = trained(
        "ippo-separate",
        tmp_path / "second",
        company=(str(tmp_path / "first"),),
        **team,
        **{**QUICK["ippo-separate"], "timesteps": 8192},
    )
    assert second["learners"] == ["recommender_0"]
    assert second["company"] == dict.fromkeys(("recommender_1", "recommender_2"), str(tmp_path / "first"))


@pytest.mark.parametrize("algorithm", ["maskable-ppo", "recurrent-ppo", "transformer-ppo", "item-ppo"])
def test_company_of_others_keeps_their_memory(algorithm: str, tmp_path: Path) -> None:
    """Trained policies that remember play as opponents in a batch of another size, and alike whenever they are asked
    again."""
    trained(algorithm, tmp_path, task="ecommerce-v0", set=("horizon=20",), **TINY)
    config = replace(TASKS["ecommerce-v0"], {"horizon": 40})
    team = {"recommender_0": str(tmp_path), "recommender_1": "content"}
    np.testing.assert_array_equal(episode_returns(config, team, 5, 0), episode_returns(config, team, 5, 0))


def test_self_play_meets_a_growing_pool(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"company": (SELF,), "snapshot_every": 2, **TINY}
    first = trained("ippo", tmp_path, **settings)
    assert first["learners"] == ["recommender_0"]
    assert first["company"] == {"recommender_1": SELF}
    pool = sorted(path.name for path in (tmp_path / "pool").iterdir())
    assert pool == [f"{steps:012d}" for steps in (0, 128, 256, 384, 512)]
    again = trained("ippo", tmp_path / "again", **settings)
    assert again["after"] == first["after"]
    shutil.copytree(
        tmp_path / "pool" / pool[-1], tmp_path / "pool" / f"{576:012d}"
    )  # of a run that was stopped after its last checkpoint
    trained("ippo", tmp_path, **{**settings, "timesteps": 640}, resume=True)
    assert sorted(path.name for path in (tmp_path / "pool").iterdir()) == [*pool, f"{640:012d}"]
    trained("ippo", tmp_path, **{**settings, "timesteps": 64})  # another run in the same folder begins its own pool
    assert len(list((tmp_path / "pool").iterdir())) == 1


def test_past_selves_share_the_copies(tmp_path: Path) -> None:
    """Each copy meets one checkpoint, drawn by the seed; all that are drawn are met."""
    from baselines.self_play import AT_ONCE, PastSelf
    from recsys_env import vector_env

    trained("ippo", tmp_path, company=(SELF,), snapshot_every=1, **{**TINY, "learning_rate": 0.1})
    envs = vector_env("easy-v0", 64)
    past = PastSelf(tmp_path / "pool")
    past.bind(envs, "recommender_1", 3)
    envs.reset(seed=0)
    actions = past.act(envs.observations[:, 1])
    assert len(past.selves) == AT_ONCE
    single = np.stack([policy.act(envs.observations[:, 1]) for policy in past.selves])
    assert (single == actions).any(0).all()
    assert all((single[i] != actions).any() for i in range(AT_ONCE))
    past.bind(envs, "recommender_1", 3)
    np.testing.assert_array_equal(past.act(envs.observations[:, 1]), actions)


@pytest.mark.parametrize("algorithm", ["ippo-separate", "recurrent-ppo", "transformer-ppo", "item-ppo"])
def test_it_goes_on(algorithm: str, tmp_path: Path) -> None:
    sizes = {name: value for name, value in TINY.items() if name in ALGORITHMS[algorithm].options}
    first = trained(algorithm, tmp_path, **sizes)
    second = trained(algorithm, tmp_path, **{**sizes, "timesteps": 768}, resume=True)
    assert (first["training"]["agent_steps"], second["training"]["agent_steps"]) == (512, 768)
    assert second["before"] == first["before"]
    assert [point["agent_steps"] for point in json.loads((tmp_path / "curve.json").read_text())] == [
        128,
        256,
        384,
        512,
        640,
        768,
    ]


@pytest.mark.parametrize("algorithm", ["ippo", "ippo-separate"])
def test_a_run_stopped_before_its_first_checkpoint_is_not_the_one_before_it(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {name: value for name, value in TINY.items() if name in ALGORITHMS[algorithm].options}
    trained(algorithm, tmp_path, **sizes)

    def stopped(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("baselines.train._learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(algorithm, tmp_path, **sizes)
    assert not (tmp_path / "result.json").exists()
    with pytest.raises(ValueError, match=r"nothing to resume: .* holds no checkpoint\.npz"):
        trained(algorithm, tmp_path, **sizes, resume=True)


def test_policies_of_their_own_are_told_apart(tmp_path: Path) -> None:
    """In `journey-v0` every role has its own network."""
    sizes = {name: value for name, value in TINY.items() if name in ALGORITHMS["ippo-separate"].options}
    trained("ippo-separate", tmp_path, task="journey-v0", set=("horizon=20",), **sizes)
    weights = read_arrays(tmp_path / "policy.npz")
    assert {name.partition("/")[0] for name in weights} == {"entrance_0", "item_0", "cart_0", "facts"}
    assert not np.array_equal(weights["item_0/0.weight"], weights["cart_0/0.weight"])


# ------------------------------------------------------------------------------------------------ errors


def test_wrong_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(message: str, algorithm: str = "ippo", error: type[Exception] = ValueError, **settings: Any) -> None:
        with pytest.raises(error, match=message):
            trained(algorithm, tmp_path, **settings)

    refused(r"unknown algorithm 'ipo' \(did you mean 'ippo'\?\); algorithms are ippo, ", "ipo")
    refused(
        r"item-ppo picks candidates and sends no messages; here action = 'items', messages = 0",
        "item-ppo",
        task="duel-v0",
    )
    refused("ippo takes no --layers; it takes --timesteps, --num-envs", layers=3)
    refused("--timesteps = 0 must be at least 1", timesteps=0)
    refused("--gamma = 1.5 must be between 0 and 1", gamma=1.5)
    refused("--learning-rate = -1.0 must be at least 0", learning_rate=-1.0)
    refused("--batch-size = 1 must be at least 2", batch_size=1)
    refused("--heads = 3 must divide --width = 32", "transformer-ppo", heads=3)
    refused("--threads = 0 must be at least 1", threads=0)
    refused("--eval-episodes = 1 must be at least 2", eval_episodes=1)
    refused("maskable-ppo needs mask_actions=True, not False", "maskable-ppo", set=("mask_actions=False",))
    refused("recommender_1 neither learns nor has a policy", learners=("recommender_0",))
    refused("unknown policy 'gredy'", references=("gredy",), **TINY)
    assert not list(tmp_path.iterdir())
    refused("unknown task 'easy-v1'", task="easy-v1")
    refused("unknown policy 'contend'", company=("contend",), **TINY)
    refused(r"'recomender_1' is not one of .* \(did you mean 'recommender_1'", company=("recomender_1=content",))
    refused("names content and random for all other agents", company=("content", "random"))
    refused("the folder that this run writes to", company=(f"recommender_1={tmp_path}",))
    refused(
        "--company names recommender_1 twice: content and random",
        company=("recommender_1=content", "recommender_1=random"),
    )
    refused("--company content plays for nobody", company=("content",), learners=("recommender_0", "recommender_1"))
    refused("nobody learns", company=("recommender_0=content", "recommender_1=random"))
    refused(
        "ippo-separate does not play its past self; algorithms that do are ippo, ", "ippo-separate", company=(SELF,)
    )
    refused("did you mean 'horizon'", error=TypeError, set=("horizn=3",))
    with pytest.raises(SystemExit, match="2"):
        main(["train", "ipo"])
    assert "error: unknown algorithm 'ipo'" in capsys.readouterr().err


def test_an_option_of_zero_is_taken() -> None:
    assert options_of(Train("ippo-separate", "easy-v0", ent_coef=0.0), ALGORITHMS["ippo-separate"])["ent_coef"] == 0
    assert options_of(Train("ippo-separate", "easy-v0"), ALGORITHMS["ippo-separate"])["ent_coef"] > 0


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError,
        match=r'vdn needs benchmarl: pip install "recsys_env\[benchmarl\]" in a virtual environment of its own',
    ):
        trained("vdn", tmp_path)
    with pytest.raises(ImportError, match=r'ippo-separate needs skrl: pip install "recsys_env\[train,skrl\]"'):
        trained("ippo-separate", tmp_path)


def test_a_policy_refuses_what_it_was_not_trained_for(tmp_path: Path) -> None:
    trained("ippo", tmp_path, **TINY)
    with pytest.raises(ValueError, match="was trained with observations Box"):
        episode_returns(replace(TASKS["easy-v0"], {"observability": "full"}), str(tmp_path), 2, 0)
    with pytest.raises(ValueError, match=r"was trained with actions Discrete\(20\); here they are"):
        episode_returns(replace(TASKS["easy-v0"], {"slots": 2}), str(tmp_path), 2, 0)


def test_items_by_number_are_those_of_one_catalogue(tmp_path: Path) -> None:
    trained("item-ppo", tmp_path, **TINY)
    episode_returns(replace(TASKS["easy-v0"], {"choice": {"v_0": 2.0}}), str(tmp_path), 2, 0)
    for change in ({"world_seed": 5}, {"items": {"number": 100}}):
        with pytest.raises(ValueError, match=r"knows 200 items by number; the \d00 items here are others"):
            episode_returns(replace(TASKS["easy-v0"], change), str(tmp_path), 2, 0)


def test_gpu_flags_are_ignored_aloud_on_a_cpu(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="--amp and --compile need a GPU and are ignored"):
        trained("transformer-ppo", tmp_path, amp=True, **TINY)


def test_commands_of_the_readme_are_understood() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    commands = [
        said for said in re.findall(r"python -m baselines\.train ([a-z][^`#\n]*)", readme) if "TASK" not in said
    ]
    assert len(commands) >= 6
    for command in commands:
        settings = tyro.cli(Train, args=command.split())
        run = run_of(settings, ALGORITHMS[settings.algorithm])
        assert run.learners
        assert len(run.company) >= len(settings.company)


def test_a_recorded_command_makes_the_same_settings() -> None:
    several = {"set": ("users.number=16", "page=rows"), "references": (), "company": ("recommender_1=content",)}
    for settings in (
        Train("ippo"),
        Train("transformer-ppo", "duel-v0", seed=3, amp=True, learning_rate=1e-4, out=Path("runs/a b"), **several),
    ):  # type: ignore[arg-type]
        command = shlex.split(command_of(settings))
        assert command[:3] == ["python", "-m", "baselines.train"]
        assert tyro.cli(Train, args=command[3:]) == dataclasses.replace(settings, out=None)


def test_the_task_is_what_the_algorithm_plays() -> None:
    def config(algorithm: str, task: str = "ecommerce-v0", **settings: Any) -> WorldConfig:
        return run_of(Train(algorithm, task, **settings), ALGORITHMS[algorithm]).config

    assert config("ippo") == TASKS["ecommerce-v0"]
    assert config("maskable-ppo").mask_actions
    assert (config("mappo").action, config("mappo", "duel-v0").action, config("maddpg", "duel-v0").action) == (
        "query",
        "items",
        "query",
    )
    changed = config("ippo", sharing=1.0, observability="full", set=("reward.click=0.5",))
    assert (changed.reward.sharing, changed.reward.click, changed.observability) == (1.0, 0.5, "full")


def test_assignments() -> None:
    said = assignments(["users.number=16", "users.habit=purchase", "mask_actions=True", "reward.sharing=-1.0"])
    assert said == {"users": {"number": 16, "habit": "purchase"}, "mask_actions": True, "reward": {"sharing": -1.0}}
