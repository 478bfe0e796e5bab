"""Every algorithm that trains here gains beyond noise, is loaded back, and trains beside other policies; BenchMARL's
where it is installed."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("tyro")

from baselines.__main__ import main
from baselines.algorithms import ALGORITHMS, IPPO, QMIX, TorchPPO
from baselines.loop import TrainingLoop
from baselines.options import Algorithm, flag
from baselines.train import parse, train
from baselines.training import SELF, Point, begin
from recsys_env import TASKS, WorldConfig, vector_env
from recsys_env.api.team_sizes import RelativeLayout
from recsys_env.cli import config_of
from recsys_env.config.settings import replace
from recsys_env.config.tasks import _TASKS
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import episode_returns
from recsys_env.files import read_arrays
from recsys_env.policies import feedback, make_policy

# isort: split
import torch

_QUICK: dict[str, Any] = {
    "timesteps": 50_000,
    "num_envs": 64,
    "n_steps": 32,
    "batch_size": 512,
    "n_epochs": 4,
    "learning_rate": 3e-3,
}
QUICK: dict[str, dict[str, Any]] = {  # what learns the easy world within seconds
    "ippo": {**_QUICK, "timesteps": 30_000},
    "ppo-torch": {**_QUICK, "timesteps": 20_000, "n_steps": 60},
    "q-torch": {"timesteps": 20_000, "n_steps": 60, "learning_rate": 3e-3},
    "cma-es": {"timesteps": 20_000, "num_envs": 16},
}
ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "stable_baselines3", "sb3_contrib", "skrl", "benchmarl", "matplotlib", "pandas"}
TINY: dict[str, Any] = {"timesteps": 512, "num_envs": 4, "n_steps": 16, "batch_size": 32, "n_epochs": 1}
PRETRAINED: dict[str, Any] = {"pages": 400, "pretraining_steps": 2, "validate_every": 1, "group": 2}


def tiny(algorithm: str) -> dict[str, Any]:
    """The options of a short run that an algorithm has."""
    known = ALGORITHMS[algorithm]().hyperparameters()
    sizes = {**TINY, **(PRETRAINED if "size" in known else {})}
    return {name: value for name, value in sizes.items() if name in known}


@pytest.fixture(autouse=True)
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks follow a taste that the profile shows without noise; a policy has to find out that it matters. "short-v0"
    is for those who need not find out: its episodes are hardly longer than a rollout."""
    easy = {"horizon": 60, "slots": 1, "observation": {"profile_noise": 0.0}, "choice": {"beta_taste": 6.0, "v_0": 4.0}}
    monkeypatch.setitem(_TASKS, "easy-v0", replace(WorldConfig(), easy))
    monkeypatch.setitem(_TASKS, "short-v0", replace(WorldConfig(), {**easy, "horizon": 20}))


def trained(algorithm: str, out: Path, **settings: Any) -> dict[str, Any]:
    usual = {"task": "short-v0", "device": "cpu", "compare": (), "eval_episodes": 2}
    return train(ALGORITHMS[algorithm](out=out, **{**usual, **settings}))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", QUICK)
def test_it_gains_beyond_noise_and_is_loaded_back(algorithm: str, tmp_path: Path) -> None:
    result = trained(algorithm, tmp_path, task="easy-v0", eval_episodes=5, **QUICK[algorithm])
    assert result["gain"]["mean"] > 2 * result["gain"]["ci95"]
    config = TASKS["easy-v0"]
    again = episode_returns(
        config, {agent: make_policy(str(tmp_path)) for agent in config.agents}, 50, result["seeds"]["evaluation"]
    )
    assert result["after"]["mean"] == pytest.approx(again.mean())
    mixed = episode_returns(config, {"recommender_0": "random", "recommender_1": str(tmp_path)}, 50, 0)
    assert mixed[:, 1].mean() > 1.2 * mixed[:, 0].mean()
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert curve[-1]["agent_steps"] == result["training"]["agent_steps"] >= QUICK[algorithm]["timesteps"]
    assert curve[-1]["episode_reward"] > curve[0]["episode_reward"]


# ------------------------------------------------------------------------------------------------ beside others


@pytest.mark.slow
def test_one_learns_beside_different_policies(tmp_path: Path) -> None:
    """One RL agent beside content and popularity: it alone is trained and scored, and a trained one plays beside the
    next."""
    team = {"task": "easy-v0", "set": ("num_agents=3",)}
    others = ("recommender_1=content", "popularity")
    first = trained(
        "ippo",
        tmp_path / "first",
        background=others,
        learners=("recommender_0",),
        compare=("random",),
        **team,
        **QUICK["ippo"],
    )
    assert first["learners"] == ["recommender_0"]
    assert first["background"] == {"recommender_1": "content", "recommender_2": "popularity"}
    assert first["gain"]["mean"] > 2 * first["gain"]["ci95"]
    assert first["table"]["trained"]["score"] > 50
    second = trained(
        "ppo-torch",
        tmp_path / "second",
        background=(str(tmp_path / "first"),),
        **team,
        **{**QUICK["ppo-torch"], "timesteps": 8192},
    )
    assert second["learners"] == ["recommender_0"]
    assert second["background"] == dict.fromkeys(("recommender_1", "recommender_2"), str(tmp_path / "first"))


@pytest.mark.parametrize(
    "algorithm", ["ppo-torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ippo", "q-torch"))]
)
def test_self_play_meets_a_growing_pool(algorithm: str, tmp_path: Path) -> None:
    sizes = tiny(algorithm)
    settings: dict[str, Any] = {"background": (SELF,), "snapshot_every": 2, **sizes}
    first = trained(algorithm, tmp_path, **settings)
    assert first["learners"] == ["recommender_0"]
    assert first["background"] == {"recommender_1": SELF}
    pool = sorted(path.name for path in (tmp_path / "pool").iterdir())
    assert pool == [f"{steps:012d}" for steps in (0, 128, 256, 384, 512)]
    again = trained(algorithm, tmp_path / "again", **settings)
    assert again["after"] == first["after"]
    shutil.copytree(
        tmp_path / "pool" / pool[-1], tmp_path / "pool" / f"{576:012d}"
    )  # of a run that was stopped after its last checkpoint
    trained(algorithm, tmp_path, **{**settings, "timesteps": 640}, resume=True)
    assert sorted(path.name for path in (tmp_path / "pool").iterdir()) == [*pool, f"{640:012d}"]
    trained(algorithm, tmp_path, **{**settings, "timesteps": 64})  # another run in the same folder begins its own pool
    assert len(list((tmp_path / "pool").iterdir())) == 1


@pytest.mark.parametrize("algorithm", ["ppo-torch", "q-torch"])
def test_a_policy_of_any_team_size(algorithm: str, tmp_path: Path) -> None:
    """It plays each agent by what that agent sees relative to itself, in teams of another size, too."""
    sizes = tiny(algorithm)
    trained(algorithm, tmp_path, task="social-v1", set=("horizon=20",), max_agents=4, **sizes)
    for agents in (2, 3, 4):
        envs = vector_env("social-v1", 8, num_agents=agents)
        observations, _ = envs.reset(seed=0)
        seen = RelativeLayout(envs, 4).read(observations)
        for n, agent in enumerate(envs.possible_agents):
            policy: Any = make_policy(tmp_path)
            policy.bind(envs, agent, 0)
            page = policy.network.read(torch.from_numpy(seen[:, n]))
            scores, _ = policy.network(page)
            np.testing.assert_array_equal(policy.act(observations[:, n]), scores.argmax(1))
    with pytest.raises(ValueError, match="plays up to 4 agents; here are 5"):
        make_policy(tmp_path).bind(vector_env("social-v1", 1, num_agents=5), "recommender_0", 0)
    with pytest.raises(ValueError, match="max-agents = 10 is less than the 20 agents"):
        ALGORITHMS[algorithm](task="creators-v0", max_agents=10).world()  # type: ignore[call-arg]


def test_past_selves_share_the_copies(tmp_path: Path) -> None:
    """Each copy meets one checkpoint, drawn by the seed; all that are drawn are met."""
    from baselines.self_play import AT_ONCE, PastSelf

    trained("ippo", tmp_path, background=(SELF,), snapshot_every=1, **{**TINY, "learning_rate": 0.1})
    envs = vector_env("short-v0", 64)
    past = PastSelf(tmp_path / "pool", ("recommender_0",))
    past.bind(envs, "recommender_1", 3)
    envs.reset(seed=0)
    actions = past.act(envs.observations[:, 1])
    assert len(past.members) == AT_ONCE
    as_learner = envs.observations[:, 1].copy()  # in whose seat the checkpoints were trained
    ids = envs.observation_fields["agent_id"]
    as_learner[:, ids] = envs.observations[:, 0, ids]
    assert (as_learner != envs.observations[:, 1]).any()
    single = np.stack([policy.act(as_learner) for policy in past.members])
    assert (single == actions).any(0).all()
    assert all((single[i] != actions).any() for i in range(AT_ONCE))
    past.bind(envs, "recommender_1", 3)
    np.testing.assert_array_equal(past.act(envs.observations[:, 1]), actions)


def test_past_selves_are_drawn_anew_when_an_episode_ends(tmp_path: Path) -> None:
    """Some remember what they have seen in an episode, and a page that they have not seen is none of theirs."""
    from baselines.self_play import PastSelf

    trained("ppo-torch", tmp_path, background=(SELF,), snapshot_every=1, **TINY, memory=4)
    envs = vector_env("short-v0", 4)
    past = PastSelf(tmp_path / "pool", ("recommender_0",))
    past.bind(envs, "recommender_1", 3)
    envs.reset(seed=0)
    members = past.members
    past.act(envs.observations[:, 1])
    past.pool_has_grown()
    assert past.members is members
    past.reset(np.array([True, False, False, False]))
    assert past.members is members
    past.reset(np.ones(4, bool))
    assert past.members is not members
    told = feedback(envs.step(envs.empty_actions())[4], 1)
    past.observe(told)  # of a page that these did not see
    policy: Any = past.members[0]
    policy.act(envs.observations[:, 1])
    told = feedback(envs.step(envs.empty_actions())[4], 1)
    policy.observe({**told, "visitor": np.full(4, -1)})  # served by another policy
    assert (policy._memory._who == -1).all()
    policy.act(envs.observations[:, 1])
    policy.observe(feedback(envs.step(envs.empty_actions())[4], 1))
    assert (policy._memory._who >= 0).any()


# ------------------------------------------------------------------------------------------------ killed and resumed

GO_ON = [name for name, kind in ALGORITHMS.items() if kind.resumes]


@pytest.mark.parametrize("algorithm", GO_ON)
def test_a_run_that_was_stopped_goes_on(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its last checkpoint; before the first one there is nothing to go on from."""
    if algorithm.startswith("generative"):
        pytest.importorskip("sklearn")
    options = {**tiny(algorithm), "task": "ecommerce-v1", "set": ("horizon=20",), "evaluations": 4}

    def stop_after(rollouts: int) -> None:
        end = TrainingLoop._rollout_ended

        def stopped(loop: TrainingLoop, point: Point) -> None:
            if len(loop.curve) == rollouts:
                raise KeyboardInterrupt
            end(loop, point)

        with monkeypatch.context() as patch:
            patch.setattr(TrainingLoop, "_rollout_ended", stopped)
            with pytest.raises(KeyboardInterrupt):
                trained(algorithm, tmp_path, **options)

    stop_after(0)
    with pytest.raises(ValueError, match=r"nothing to resume: .* holds no checkpoint\.npz"):
        trained(algorithm, tmp_path, **options, resume=True)
    stop_after(2)
    assert not (tmp_path / "result.json").exists()
    begun = json.loads((tmp_path / "curve.json").read_text())
    result = trained(algorithm, tmp_path, **options, resume=True)
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert begun
    assert curve[: len(begun)] == begun
    steps = [point["agent_steps"] for point in curve]
    assert steps == sorted(set(steps))
    assert steps[-1] == result["training"]["agent_steps"] >= 512
    assert len(result["evaluations"]) == 4
    finished = trained(algorithm, tmp_path, **options, resume=True)
    assert finished["after"] == result["after"]
    with pytest.raises(ValueError, match="was begun with seed = 0, not 1"):
        trained(algorithm, tmp_path, **options, resume=True, seed=1)
    with pytest.raises(ValueError, match="begun with other episodes; give --eval-episodes 2 again"):
        trained(algorithm, tmp_path, **{**options, "eval_episodes": 5}, resume=True)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in GO_ON])
def test_what_cannot_resume_says_so(algorithm: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{algorithm} cannot resume"):
        begin(ALGORITHMS[algorithm]("duel-v1", out=tmp_path, resume=True))


# ------------------------------------------------------------------------------------------------ evaluations


@pytest.mark.parametrize(
    ("algorithm", "sharing"), [("ippo", 1.0), ("ppo-torch", 1.0), ("ppo-torch", 0.0), ("q-torch", 1.0)]
)
def test_evaluations_choose_the_policy_and_disturb_nothing(algorithm: str, sharing: float, tmp_path: Path) -> None:
    """Where all are paid the same, the best one is kept, elsewhere the last."""
    sizes = tiny(algorithm)
    sizes |= {"learning_rate": 0.05, "timesteps": 768, "sharing": sharing}
    once, often = (trained(algorithm, tmp_path / str(n), evaluations=n, **sizes) for n in (1, 3))
    assert [point["agent_steps"] for point in once["evaluations"]] == [768]
    assert [point["agent_steps"] for point in often["evaluations"]] == [256, 512, 768]
    curves = [json.loads((tmp_path / str(n) / "curve.json").read_text()) for n in (1, 3)]
    assert curves[0] == curves[1]
    assert once["last"] == often["last"]
    seconds = [point["seconds"] for point in often["evaluations"]]
    assert seconds == sorted(seconds)
    means = [np.mean(point["individual_reward"]) for point in often["evaluations"]]
    best = often["evaluations"][int(np.argmax(means)) if sharing else -1]
    assert often["kept"] == ("best" if sharing else "last")
    assert often["kept_agent_steps"] == best["agent_steps"]
    kept, config = tmp_path / "3" / "evaluated" / f"{best['agent_steps']:012d}", TASKS["short-v0"]
    assert {name: array.tolist() for name, array in read_arrays(kept / "policy.npz").items()} == {
        name: array.tolist() for name, array in read_arrays(tmp_path / "3" / "policy.npz").items()
    }
    np.testing.assert_allclose(
        episode_returns(config, str(kept), 2, often["seeds"]["choice"]).mean(1), best["individual_reward"]
    )
    absolute = episode_returns(config, str(tmp_path / "3"), 20, often["seeds"]["evaluation"]).mean(1)
    np.testing.assert_allclose(absolute, often["absolute"])
    assert len({*often["seeds"].values()}) == 3


# ------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timesteps": 0}, "--timesteps = 0 must be at least 1"),
        ({"gamma": 1.5}, "--gamma = 1.5 must be between 0 and 1"),
        ({"seed": UNSEEN}, f"--seed = {UNSEEN} must be between 0 and {UNSEEN - 1}"),
        ({"learners": ("recommender_0",)}, "recommender_1 neither learns nor has a policy"),
        ({"compare": ("gredy",)}, "unknown policy 'gredy'"),
        ({"task": "easy-v1"}, "unknown task 'easy-v1'"),
        ({"background": ("recomender_1=content",)}, r"unknown agent 'recomender_1' \(did you mean 'recommender_1'"),
        ({"background": ("content", "random")}, "names content and random for all that are left"),
        ({"background": ("recommender_0=content", "recommender_1=random")}, "nobody learns"),
        ({"background": ("recommender_1=runs/mine",), "out": Path("runs/mine")}, "the folder that this run writes to"),
        ({"background": ("recommender_1=content,recommender_1=random",)}, "names recommender_1 twice"),
        ({"background": ("content",), "learners": ("recommender_0", "recommender_1")}, "has no agent to play"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        train(IPPO(**{"task": "easy-v0", "out": tmp_path / "run", **TINY, **settings}))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ipo", r"unknown algorithm 'ipo' \(did you mean 'ippo'\?\); algorithms are ppo-torch, "),
        ("vdn --task duel-v1", "unknown algorithm 'vdn'; train it as q-torch --mixer vdn"),
        ("ippo --layers 3", "ippo takes no --layers; it takes --task, .*--timesteps, --num-envs"),
        ("ippo --task easy-v0 extra", "ippo takes no extra; it takes"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", *words.split()])
    assert re.fullmatch(f"error: {said}.*\n", capsys.readouterr().err)


def test_help_lists_algorithms_and_the_options_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and kind.about() in said for name, kind in ALGORITHMS.items())
    with pytest.raises(SystemExit, match="0"):
        main(["train", "ippo", "--help"])
    said = capsys.readouterr().out
    assert all(flag(name) in said for name in vars(IPPO()))
    assert not any(flag(name) in said for name in ("minibatches", "layers", "reward_scale"))


def told(program: str) -> list[str]:
    """The lines that a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.splitlines()


COMMANDS = {  # and how they end
    "--help": 0,
    "train --help": 0,
    "train ippo --help": 0,
    "train qmix --help": 0,
    "reference --help": 0,
    "train ipo": 2,
    "train ippo --layers 3": 2,
    "train ippo --timesteps abc": 2,
    "train ippo --task nope": 2,
    "train ippo --n-epochs 0": 2,
    "train ippo --device gpu": 2,
    "train ippo --background contend": 2,
    "train ippo --compare gredy": 2,
    "train ippo --resume --out no_such_folder": 2,
    "reference --only ipo": 2,
}


def test_a_command_answers_without_what_it_does_not_need() -> None:
    """Heavy libraries take seconds to import. One process runs all commands: what one imports, the next have too."""
    program = """
import sys
from baselines.__main__ import main
for words in {words}:
    stopped = 0
    try:
        main(words.split())
    except SystemExit as stop:
        stopped = stop.code
    print("\\nended", words, stopped, sorted({heavy} & sys.modules.keys()))
"""
    lines = told(program.format(words=list(COMMANDS), heavy=HEAVY))
    ended = [line for line in lines if line.startswith("ended ")]
    assert ended == [f"ended {words} {code} []" for words, code in COMMANDS.items()]


@pytest.mark.slow
def test_the_command_ends_in_use(tmp_path: Path) -> None:
    """It says what is where and what the names mean, and the commands that it prints run as they stand."""
    words = [
        "--task",
        "duel-v1",
        "--set",
        "horizon=20",
        "--out",
        str(tmp_path),
        "--device",
        "cpu",
        "--compare",
        "random",
    ]
    words += ["--eval-episodes", "2", *(word for name, value in TINY.items() for word in (flag(name), str(value)))]
    command = [sys.executable, "-m", "baselines", "train", "ippo", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert f"recsys_env: training ippo on duel-v1 for 512 agent-steps, in the folder {tmp_path}\n" in done.stderr
    assert f"The policy and all results are in {tmp_path}.\n" in done.stdout
    assert f"Learning curve: {tmp_path / 'learning_curve.png'}; reward of each evaluation: " in done.stdout
    for kind, arguments in (("Watch", ["--ticks", "3"]), ("Compare", ["--episodes", "2", "--seeds", "2"])):
        (said,) = re.findall(rf"{kind} it: +python (-m recsys_env .*)", done.stdout)
        if kind == "Compare" and importlib.util.find_spec("rich") is None:
            assert said.endswith('# first: pip install -e ".[evaluate]"')
            continue
        shown = shlex.split(said)
        assert "duel-v1,horizon=20" in shown
        out = [] if kind == "Watch" else ["--out", str(tmp_path / "evaluation"), "--no-metrics"]
        subprocess.run([sys.executable, *shown, *arguments, *out], check=True, capture_output=True, cwd=ROOT)
    assert (tmp_path / "episode.html").exists()
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["command"].startswith("python -m baselines train ippo --task duel-v1 --set horizon=20 ")
    assert result["settings"] == parse(["ippo", *words]).settings()


@pytest.mark.slow
def test_a_trained_policy_plays_without_the_learners(tmp_path: Path) -> None:
    """Where the package alone is installed."""
    trained("ppo-torch", tmp_path / "pages", **TINY)
    trained("ippo", tmp_path / "sb3", **TINY)
    program = f"""
import sys
sys.modules["baselines"] = None
from recsys_env import WorldConfig, replace
from recsys_env.evaluation import episode_returns
config = replace(WorldConfig(), {{"horizon": 20, "slots": 1}})
for name in ("pages", "sb3"):
    print(episode_returns(config, f"{tmp_path}/{{name}}", 2, 0).shape)
"""
    assert told(program) == ["(2, 2)", "(2, 2)"]


def test_tasks_and_teams_are_named_as_by_other_commands() -> None:
    """A task with its changed fields behind commas, and a mixed team as one word."""
    one = begin(
        parse(
            ["ppo-torch", "--task", "news-v1,horizon=20", "--background", "recommender_1=content,recommender_2=random"]
        )
    )
    other = begin(
        parse(["ppo-torch", "--task=news-v1", "--set=horizon=20", "--background", "recommender_1=content", "random"])
    )
    assert one.config == other.config == config_of("news-v1,horizon=20")
    assert one.background == other.background == {"recommender_1": "content", "recommender_2": "random"}


def test_the_task_in_words_is_what_was_played() -> None:
    for algorithm in (
        TorchPPO("duel-v1", set=("horizon=20",), observability="full"),
        ALGORITHMS["mappo"]("ecommerce-v1"),
        IPPO("journey-v1"),
    ):
        assert config_of(algorithm.task_in_words()) == algorithm.world()


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError,
        match=r'qmix needs benchmarl: pip install "recsys_env\[benchmarl\]" in a virtual environment of its own',
    ):
        trained("qmix", tmp_path)
    with pytest.raises(ImportError, match=r'generative needs torch: pip install "recsys_env\[generative\]"'):
        trained("generative", tmp_path)


def test_a_policy_refuses_what_it_was_not_trained_for(tmp_path: Path) -> None:
    trained("ippo", tmp_path, **TINY)
    with pytest.raises(ValueError, match="was trained with observations of"):
        episode_returns(replace(TASKS["short-v0"], {"observability": "full"}), str(tmp_path), 2, 0)
    with pytest.raises(ValueError, match=r"was trained with actions Discrete\(20\); here they are"):
        episode_returns(replace(TASKS["short-v0"], {"slots": 2}), str(tmp_path), 2, 0)


@pytest.mark.parametrize(
    "algorithm",
    [
        IPPO(),
        TorchPPO("duel-v1", ("recommender_1=content",), set=("users.number=16", "page=rows"), compare=()),
        TorchPPO("duel-v1", seed=3, out=Path("runs/a b"), centralised=True, learning_rate=1e-4),
        QMIX(by_role=True),
    ],
)
def test_a_recorded_command_makes_the_same_settings(algorithm: Algorithm) -> None:
    command = shlex.split(algorithm.command())
    assert command[:4] == ["python", "-m", "baselines", "train"]
    assert parse(command[4:]) == dataclasses.replace(algorithm, out=None)
