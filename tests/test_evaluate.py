"""Evaluation from one command: which runs are played, what becomes of them, and what is said when a name is wrong."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tyro")
pytest.importorskip("rich")

from scipy import stats

import recsys_env
from recsys_env import WorldConfig, cli
from recsys_env.__main__ import main
from recsys_env.cli import config_of
from recsys_env.config.tasks import _TASKS, Suite
from recsys_env.evaluation import UNSEEN, episode_returns, evaluate, statistics, tables
from recsys_env.evaluation import runs as runs_module
from recsys_env.evaluation.report import show
from recsys_env.evaluation.runs import Run, play
from recsys_env.evaluation.statistics import summary
from recsys_env.evaluation.tables import grid
from recsys_env.policies import CHECKPOINT, LOADERS, Random, register_loader

TINY = WorldConfig(
    num_agents=2,
    slots=2,
    horizon=30,
    users={"number": 3, "population": "fixed"},
    candidates={"number": 6},
    items={"number": 20, "dims": 4, "topics": 4},
    choice={"v_0": 1.0},
    arrival={"r_0": 2.0},
)
SHORT: dict[str, Any] = {"episodes": 4, "seeds": 3}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_TASKS, "tiny-v0", TINY)
    monkeypatch.setattr(statistics, "REPETITIONS", 50)


def run(team: str, seed: int = 0, warmup: int = 1, metrics: bool = False) -> Run:
    return Run("tiny-v0", team, seed, 4, warmup, metrics)


# ------------------------------------------------------------------------------------------------ runs


def test_a_run_is_the_unseen_seed_for_every_policy() -> None:
    for policy in ("random", "content"):
        for seed in (0, 2):
            own = np.array(play(run(policy, seed))["individual_reward"])
            np.testing.assert_allclose(own, episode_returns(TINY, policy, 4, UNSEEN + seed), atol=1e-5)


def test_compiled_policies_play_in_one_call_where_nothing_else_is_measured() -> None:
    """So nobody can time their pages. What they earn is the same to the bit."""
    for policy, compiled in {"random": True, "content": True, "greedy": True, "linucb": False}.items():
        fast, measured = (play(run(policy, metrics=metrics)) for metrics in (False, True))
        assert fast["individual_reward"] == measured["individual_reward"]
        assert set(measured["costs"]) == {"ms"}
        assert set(fast["costs"]) == (set() if compiled else {"ms"})


def test_mixed_teams() -> None:
    own = np.array(play(run("recommender_1=greedy,recommender_0=random"))["individual_reward"])
    np.testing.assert_allclose(
        own, episode_returns(TINY, {"recommender_0": "random", "recommender_1": "greedy"}, 4, UNSEEN), atol=1e-5
    )
    with pytest.raises(
        ValueError,
        match=r"tiny-v0: team .* must name a policy for each of the agents recommender_0, recommender_1 once",
    ):
        run("recommender_0=random").members()
    with pytest.raises(ValueError, match="must name a policy"):
        run("recommender_0=random,recommender_0=greedy").members()


class Learner(Random):
    """Counts what it is told."""

    learns = True
    made: list[Learner]

    def bind(self, *args: Any) -> None:
        super().bind(*args)
        self.binds = getattr(self, "binds", 0) + 1
        self.told, self.resets, self.first = 0, 0, []
        Learner.made.append(self)

    def observe(self, feedback: Any) -> None:
        if self.told % TINY.horizon == 0:
            self.first.append(self.envs.arrays.copies["seed"][0])
        self.told += 1

    def reset(self, done: np.ndarray) -> None:
        assert done.all()
        self.resets += 1


@pytest.mark.parametrize("warmup", [0, 1, 2])
def test_a_learner_is_warmed_up_on_other_seeds_and_keeps_what_it_learned(
    warmup: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "made", [], raising=False)
    result = play(run(f"{__name__}:Learner", seed=3, warmup=warmup, metrics=True))
    assert (result["learns"], result["warmup"]) == (True, warmup)
    assert len(Learner.made) == 2
    for learner in Learner.made:
        assert learner.binds == 1
        assert learner.told == (warmup + 1) * TINY.horizon
        assert learner.first == [2 * UNSEEN + 3] * warmup + [UNSEEN + 3]
    # The visitors of the warm-up are the seen users of the measured episodes.
    assert (result["metrics"]["ctr_seen_users"][-1] is None) == (warmup == 0)


def test_a_task_with_changed_fields() -> None:
    changed = Run("tiny-v0,observability=full,users.number=2", "greedy", 0, 4, 1, False)
    assert changed.config == recsys_env.replace(TINY, {"observability": "full", "users": {"number": 2}})
    np.testing.assert_allclose(
        play(changed)["individual_reward"], episode_returns(changed.config, "greedy", 4, UNSEEN), atol=1e-5
    )


def test_others_are_not_warmed_up() -> None:
    one, two = play(run("content", warmup=0)), play(run("content", warmup=5))
    assert one["individual_reward"] == two["individual_reward"]
    assert two["warmup"] == 0
    assert (
        play(run("content", warmup=0, metrics=True))["individual_reward"]
        == play(run("content", warmup=1, metrics=True))["individual_reward"]
        == one["individual_reward"]
    )


def test_everybody_is_served_before_where_metrics_tell_the_known_from_the_unknown() -> None:
    """So that one policy's unknown people are not everybody, and another's the few who came late."""
    for team in ("content", "linucb"):
        met, unmet = (
            [
                play(run(team, warmup=warmup, metrics=True))["metrics"][f"ctr_{who}_users"][-1]
                for who in ("seen", "unseen")
            ]
            for warmup in (1, 0)
        )
        assert met[0] is not None
        assert unmet[0] is None
        assert met[1] != unmet[1]


def test_every_run_may_play_a_policy_trained_with_its_own_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = (
        "from recsys_env.policies import make_policy\n\n"
        "def load(folder):\n    return make_policy((folder / 'name').read_text())\n"
    )
    (tmp_path / "trained_by_me.py").write_text(factory)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(recsys_env.policies.registry, "LOADERS", dict(LOADERS))
    register_loader("mine", "trained_by_me:load")
    for seed, name in enumerate(("content", "greedy")):  # training with seed 0 found content, with seed 1 greedy
        folder = tmp_path / f"mine-tiny-v0-{seed}"
        folder.mkdir()
        (folder / CHECKPOINT).write_text(json.dumps({"loader": "mine"}))
        (folder / "name").write_text(name)
    monkeypatch.chdir(tmp_path)
    team = "mine-{task}-{seed}"
    assert play(run(team, 0))["individual_reward"] == play(run("content", 0))["individual_reward"]
    assert play(run(team, 1))["individual_reward"] == play(run("greedy", 1))["individual_reward"]
    with pytest.raises(ValueError, match="mine-tiny-v0-2"):
        play(run(team, 2))


# ------------------------------------------------------------------------------------------------ the command


@pytest.mark.slow
def test_evaluate_writes_one_file_per_run_and_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--policies", "content", "popularity", "--tasks", "tiny-v0", "duel-v1", "--episodes", "4", "--seeds", "3"]
    main(["evaluate", *wanted, "--out", str(tmp_path)])
    report = json.loads((tmp_path / "evaluation.json").read_text())
    task = report["tasks"]["tiny-v0"]
    assert set(task["teams"]) == {
        "random",
        "planner",
        "content",
        "popularity",
    }  # the ends of the scale are always played
    assert len(list(tmp_path.glob("tiny-v0/*/*.json"))) == 4 * 3
    assert (task["teams"]["random"]["score"], task["teams"]["planner"]["score"]) == (0, 100)
    assert list(task["teams"]) == sorted(task["teams"], key=lambda team: -task["teams"][team]["mean"])
    own = [np.mean(episode_returns(TINY, "content", 4, UNSEEN + seed)) for seed in range(3)]
    content = task["teams"]["content"]
    np.testing.assert_allclose(content["runs"], own, atol=1e-5)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(own), scale=stats.sem(own))
    assert content["ci95"] == pytest.approx((high - low) / 2, rel=1e-6)
    assert (
        content["metrics"]["ndcg"]["platform"]["mean"] > task["teams"]["random"]["metrics"]["ndcg"]["platform"]["mean"]
    )
    assert set(content["metrics"]["ndcg"]) == {"recommender_0", "recommender_1", "platform"}
    assert report["tasks"]["duel-v1"]["ends"] == ["equilibrium", "joint"]
    assert report["aggregate"] == {}  # they belong to no suite
    stored = json.loads((tmp_path / "tiny-v0" / "content" / "2.json").read_text())
    assert {"command", "commit", "versions", "processor", "individual_reward", "metrics", "seed"} <= set(stored)
    shown = capsys.readouterr().out
    assert "0 = random, 100 = planner" in shown
    assert "ndcg" in shown
    assert "IQM" not in shown


def test_a_suite_stands_for_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And has aggregates over them, of the policies that played all."""
    both = ("tiny-v0", "tiny-v0,users.number=4")
    for module in (cli, statistics, tables):
        monkeypatch.setattr(module, "SUITES", {"mine": Suite("Mine", "A suite of mine.", both)})
    wanted = ["--policies", "content", "--tasks", "mine", "tiny-v0", "--episodes", "2", "--seeds", "2"]
    main(["evaluate", *wanted, "--out", str(tmp_path)])
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert tuple(report["tasks"]) == both
    assert set(report["aggregate"]["mine"]["teams"]) == {"content", "random", "planner"}
    shown = capsys.readouterr().out
    assert "mine, 2 tasks: normalised scores" in shown
    assert "IQM" in shown
    changed = cli.tasks_of(["mine,horizon=20", "duel-v1"])
    assert changed == ["tiny-v0,horizon=20", "tiny-v0,users.number=4,horizon=20", "duel-v1"]
    with pytest.raises(ValueError, match="horizn"):
        cli.tasks_of(["mine,horizn=20"])


def test_resume_plays_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(("content",), ("tiny-v0",), metrics=False, out=tmp_path, **SHORT)
    (tmp_path / "tiny-v0" / "content" / "1.json").unlink()
    again = []
    monkeypatch.setattr(runs_module, "play", lambda missing: again.append(missing) or play(missing))
    found = evaluate(("content",), ("tiny-v0",), metrics=False, out=tmp_path, resume=True, **SHORT)
    assert [(missing.team, missing.seed) for missing in again] == [("content", 1)]
    assert found == json.loads((tmp_path / "evaluation.json").read_text())
    assert found == first
    with pytest.raises(ValueError, match="was played with episodes = 4, not 5; give another --out"):
        evaluate(("content",), ("tiny-v0",), metrics=False, out=tmp_path, resume=True, episodes=5, seeds=3)
    with pytest.raises(ValueError, match="was played without metrics; give --no-metrics"):
        evaluate(("content",), ("tiny-v0",), out=tmp_path, resume=True, **SHORT)
    assert len(again) == 1
    evaluate(("content",), ("tiny-v0",), metrics=False, out=tmp_path, **SHORT)
    assert len(again) == 1 + 3 * 3  # without --resume all anew


def test_tables_show_the_metrics_that_were_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(evaluate(("content",), ("tiny-v0",), metrics=False, out=tmp_path, **SHORT))
    shown = capsys.readouterr().out
    assert "content" in shown
    assert "ndcg" not in shown
    assert "cost of a page" not in shown


@pytest.mark.usefixtures("registries")
def test_a_metric_in_the_module_of_a_policy_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "measuring.py").write_text(
        "from recsys_env.evaluation.metrics import metric, total\nfrom recsys_env.policies import Random as Mine\n\n"
        "@metric('purchases', 'higher', 'me')\ndef sold(log):\n    'Items bought.'\n    return total(log.purchases)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    report = evaluate(("measuring:Mine",), ("tiny-v0",), out=tmp_path / "out", **SHORT)
    teams = report["tasks"]["tiny-v0"]["teams"]
    assert teams["measuring:Mine"]["metrics"]["sold"]["platform"]["mean"] == 0  # nothing is for sale in this task
    assert "sold" in teams["random"]["metrics"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["evalute"], "unknown command 'evalute' (did you mean 'evaluate'?)"),
        (["evaluate", "--policies", "greedi"], "unknown policy 'greedi' (did you mean 'greedy'?)"),
        (["evaluate", "--tasks", "duel-v1,slot=2"], "WorldConfig has no field 'slot' (did you mean 'slots'?)"),
        (["evaluate", "--tasks", "duel-v0"], "unknown task 'duel-v0' (did you mean 'duel-v1'?)"),
        (["evaluate", "--tasks", "mine-v0"], "; a task that my_file.py registers is my_file:my-task-v0"),
        (["tournament", "--policies", "contents"], "unknown policy 'contents' (did you mean 'content'?)"),
        (
            ["tournament", "--policies", "recommender_0=random,recommender_1=greedy"],
            "is a team; a tournament is played by single policies",
        ),
        (["evaluate", "--seeds", "0"], "--seeds = 0 must be at least 1"),
        (["tournament", "--episodes", "0"], "--episodes = 0 must be at least 1"),
        (["evaluate", "--policies", "recommender_0=random"], "must name a policy for each of the agents"),
        (["evaluate", "--warmup", "-1"], "--warmup = -1 must be at least 0"),
        (["evaluate", "--policies"], "--policies names nothing"),
        (["tournament", "--tasks"], "--tasks names nothing"),
        (
            ["tournament", "--tasks", "duel-v1,num_agents=1"],
            "duel-v1,num_agents=1 has one agent, which has nobody to play against",
        ),
        (
            ["evaluate", "--tasks", "duel-v1,users=3,users.number=4"],
            "users.number=4 changes a field of users, which is 3 already",
        ),
        (["evaluate", "--policies", "random", "--out", "/dev/null/there"], "Not a directory: '/dev/null/there'"),
        (["evaluate", "--policies", ":Mine"], "unknown policy ':Mine'"),
        (
            ["evaluate", "--policies", "my_file.py:Mine"],
            "my_file.py in this folder or on PYTHONPATH is my_file:MyPolicy",
        ),
    ],
)
def test_a_wrong_name_is_one_line(
    argv: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_policy_s_file_may_register_the_task_it_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registries: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_shop.py").write_text(
        "import recsys_env\nfrom recsys_env.policies import Random\n\n"
        "recsys_env.register_task('my-shop-v0', recsys_env.task_config('duel-v1', {'horizon': 20}))\n\n"
        "class Mine(Random):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    main(["evaluate", "--policies", "my_shop:Mine", "--tasks", "my-shop-v0", "--episodes", "2", "--seeds", "2"])
    assert "my_shop:Mine" in capsys.readouterr().out
    main(["tournament", "--policies", "my_shop:Mine", "random", "--tasks", "my-shop-v0", "--episodes", "2"])
    assert "my_shop:Mine" in capsys.readouterr().out


def test_a_task_of_ones_own_is_found_by_the_module_that_registers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registries: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_hall.py").write_text(
        "import recsys_env\n"
        "recsys_env.register_task('my-hall-v0', recsys_env.task_config('duel-v1', {'horizon': 20}))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    solve = [["solve", "--task"]] if importlib.util.find_spec("nashpy") else []  # of the extra "exact"
    for command in (["describe", "--task"], *solve, ["evaluate", "--episodes", "2", "--seeds", "2", "--tasks"]):
        main([*command, "my_hall:my-hall-v0"])
        assert "my-hall-v0" in capsys.readouterr().out
    assert recsys_env.parallel_env("my_hall:my-hall-v0").config.horizon == 20
    with pytest.raises(ValueError, match=r"there is no module 'my_hal' .* is my_file:my-task-v0"):
        recsys_env.parallel_env("my_hal:my-hall-v0")
    with pytest.raises(ValueError, match=r"unknown task 'my-hal-v0' \(did you mean 'my-hall-v0'"):
        recsys_env.parallel_env("my_hall:my-hal-v0")


def test_tasks_and_policies_are_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="tasks = 'duel-v1' must be a list of names"):
        evaluate(policies=("random",), tasks="duel-v1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"tasks = .* must be a list of names"):
        evaluate(policies=("random",), tasks=(recsys_env.TASKS["duel-v1"],))  # type: ignore[arg-type]


def test_evaluate_says_what_takes_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = type("PPO", (), {"__module__": "stable_baselines3.ppo.ppo"})()
    names, objects = "must be a list of names, folders or module:factory", r"episode_returns\(task, policy, ...\) takes"
    for given, hint in (
        (Random(), ""),
        (model, r"; a trained model becomes a policy by recsys_env.adapters.sb3.SB3Policy\(model\)"),
        (len, r"; if it makes a policy, .* the method act of a subclass of recsys_env.policies.Policy"),
    ):
        for policies in (["random", given], given):
            with pytest.raises(ValueError, match=rf"policies = .* {names}{hint}; recsys_env.evaluation.{objects} obj"):
                evaluate(policies)


def test_a_policy_that_does_not_play_the_task_is_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of another task, say."""
    (tmp_path / "refusing.py").write_text(
        "from recsys_env.policies import Random\n\n"
        "class Mine(Random):\n    def bind(self, *args):\n        raise ValueError('trained with other observations')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"^policy 'refusing:Mine' as recommender_0, recommender_1 of tiny-v0: trained with other"
    ):
        evaluate(("random", "refusing:Mine"), ("tiny-v0",), **SHORT)
    assert not (tmp_path / "runs").exists()


def test_a_team_of_long_names_has_a_folder_of_its_own(tmp_path: Path) -> None:
    teams = [f"recommender_0={'runs/' * 60}a,recommender_1={'runs/' * 60}{end}" for end in "ab"]
    one, two = (Run("tiny-v0", team, 0, 1, 0, False).path(tmp_path) for team in teams)
    assert one != two
    one.parent.mkdir(parents=True)


@pytest.mark.parametrize(
    ("one", "other"), [("runs/a", "runs_a"), ("a:b", "a b"), ("population:content+greedy", "population:content_greedy")]
)
def test_different_teams_never_share_a_file(one: str, other: str) -> None:
    assert runs_module.file_name(one) != runs_module.file_name(other)


def test_equal_runs_are_played_once_and_reported_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = []

    def play(run: runs_module.Run) -> dict[str, Any]:
        played.append(run)
        return {"individual_reward": [[len(played)]], "commit": "", "team": run.team}

    monkeypatch.setattr(runs_module, "play", play)
    runs = [runs_module.Run("duel-v1", team, 0, 1, 0, False) for team in ("greedy", "blind", "greedy", "content")]
    found = runs_module.play_all(runs, tmp_path, resume=False)
    assert [result["team"] for result in found] == ["greedy", "blind", "greedy", "content"]
    assert len(played) == 3


def test_every_run_lies_two_folders_deep(tmp_path: Path) -> None:
    """Where it is found again, whatever the policy's and the task's names."""
    for task, team in (("tiny-v0", "."), ("tiny-v0", ".."), ("tiny-v0,catalogue=/a/b.npz", "runs/mine")):
        path = Run(task, team, 0, 1, 0, False).path(tmp_path)
        assert path.resolve() == path
        assert len(path.relative_to(tmp_path).parts) == 3


def test_a_folder_may_have_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lr=0.1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert set(Run("duel-v1", "lr=0.1", 0, 1, 0, False).members().values()) == {"lr=0.1"}


def test_tables_show_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    grid("a [b] c", ["policy [x]", "what it is"], [["mine", 'pip install "recsys_env[recommenders]"']])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("a [b] c", "policy [x]", "recsys_env[recommenders]"))


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "rich" else object())
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate"])
    assert capsys.readouterr().err == 'error: this needs rich: pip install "recsys_env[evaluate]"\n'


MINE = (
    "import numpy as np\nfrom recsys_env.policies import Policy\n\n"
    "class Mine(Policy):\n    def act(self, observations, mask=None):\n        return "
)


def test_a_policy_that_fails_later_is_named_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiring.py").write_text(
        MINE + "np.tile([6, 6] if self.envs.tick[0] > 2 else [0, 1], (len(observations), 1))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    said = r"^tiring:Mine on tiny-v0, run 0: action of recommender_0 in copy 0 is \[6, 6\]"
    with pytest.raises(ValueError, match=said):
        evaluate(("tiring:Mine",), ("tiny-v0",), out=tmp_path / "out", **SHORT)


@pytest.mark.parametrize(
    ("acts", "said"),
    [
        (
            "np.zeros((len(observations), 3), int)",
            "policy 'wrongly:Mine' as recommender_0 acted with int64[1, 3], expected int64[1, 2]",
        ),
        (
            "np.full((len(observations), 2), np.nan)",
            "policy 'wrongly:Mine' as recommender_0 acted with float64[1, 2], expected int64[1, 2]",
        ),
        ("None", "policy 'wrongly:Mine' as recommender_0 acted with object[], expected int64[1, 2]"),
        (
            "np.full((len(observations), 2), 6)",
            "policy 'wrongly:Mine' as recommender_0, recommender_1 of tiny-v0: action of recommender_0 in copy 0 is",
        ),
        (
            "1 / 0",
            "policy 'wrongly:Mine' as recommender_0, recommender_1 of tiny-v0: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_policy_that_acts_wrongly_is_named_before_anything_is_played(
    acts: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrongly.py").write_text(MINE + acts + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wrongly", raising=False)
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--policies", "wrongly:Mine", "--tasks", "tiny-v0", "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"error: {said}")
    assert ("Traceback" in error) == ("1 / 0" in acts)  # a mistake in somebody's code is shown where it is
    assert not (tmp_path / "out").exists()


def test_runs_of_another_version_of_a_policy_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "changing.py").write_text("from recsys_env.policies import Greedy as Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {"out": tmp_path / "out", "metrics": False, **SHORT}
    evaluate(("changing:Mine",), ("tiny-v0",), **settings)
    evaluate(("changing:Mine",), ("tiny-v0",), resume=True, **settings)
    (tmp_path / "changing.py").write_text("from recsys_env.policies import Random as Mine\n")
    said = r"0\.json was played by another version of changing:Mine; give another --out, or leave out --resume"
    with pytest.raises(ValueError, match=said):
        evaluate(("changing:Mine",), ("tiny-v0",), resume=True, **settings)
    # into the same folder, where two runs of the other version stay
    evaluate(("changing:Mine",), ("tiny-v0",), **{**settings, "seeds": 1})
    with pytest.raises(ValueError, match="changing:Mine changed between these runs"):
        summary(list(runs_module.load(tmp_path / "out")))


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        cli.run(interrupted, "recsys_env evaluate", [])
    assert capsys.readouterr().err.strip().startswith("stopped; the same command with --resume goes on")


def test_scenarios_name_their_own_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--scenarios", "duel-v1/greedy", "--policies", "content", "--out", str(tmp_path)]
    for option in (["--tasks", "duel-v1"], ["--catalogues", "unseen"]):
        with pytest.raises(SystemExit, match=r"^2$"):
            main([*words, *option])
        assert f"{option[0]} does not go with --scenarios" in capsys.readouterr().err


def test_each_run_may_have_a_world_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "tiny-v0,catalogues=unseen"
    words = ["--policies", "content", "--tasks", "tiny-v0", "--catalogues", "unseen", "--episodes", "2", "--seeds", "3"]
    main(["evaluate", *words, "--no-metrics", "--out", str(tmp_path)])
    assert name in capsys.readouterr().out
    report = json.loads((tmp_path / "evaluation.json").read_text())
    runs = Run(name, "content", 2, 2, 1, False), Run(name, "content", 18, 2, 1, False)
    assert [run.config.world_seed for run in runs] == [18, 18]
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["evaluate", "--policies", "content", "--tasks", name, "--seeds", "17", "--episodes", "1"])
    with pytest.raises(
        ValueError, match="catalogues = 'unseen' needs a task with synthetic worlds, and grocery-v1 has"
    ):
        config_of("grocery-v1,catalogues=unseen")
    assert config_of("tiny-v0,catalogues=train", 17).world_seed == 1
    alone = evaluate(("content",), ("tiny-v0,world_seed=18",), 2, 3, metrics=False, out=tmp_path / "alone")
    rows = [next(iter(each["tasks"].values()))["teams"]["content"]["runs"] for each in (report, alone)]
    assert rows[0][2] == rows[1][2]
    assert rows[0][0] != rows[1][0]
    for wrong, said in (
        ("catalogues=[1]", "is not allowed; choose one of train, unseen"),
        ("catalogues=new", "catalogues = 'new' is not allowed; choose one of train, unseen"),
        ("catalogues=train,world_seed=3", "both choose a world"),
    ):
        with pytest.raises(ValueError, match=said):
            config_of(f"tiny-v0,{wrong}")
