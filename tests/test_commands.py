"""`python -m recsys_env`: what there is, in words; which command is called, and what it imports."""

from __future__ import annotations

import inspect
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baselines.__main__ import main as baselines_main
from recsys_env import TASKS, __version__, cli, listing, task_config, vector_env
from recsys_env.__main__ import COMMANDS, CORE, EXTRA, main, script
from recsys_env.config.fields import CANDIDATE_FEATURES, OBSERVATION
from recsys_env.config.settings import describe
from recsys_env.evaluation import METRICS
from recsys_env.listing import _classes, _learns
from recsys_env.policies import FAMILIES, POLICIES, TASK_POLICIES, conditional, creators, make_policy


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints, in one line."""
    main(words)
    return " ".join(capsys.readouterr().out.split())


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says when it ends with exit code 2: one line."""
    with pytest.raises(SystemExit, match=r"^2$"):
        main(words)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error.strip()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--help",)):
        usage = said(capsys, *words)
        assert all(f" {name} " in usage for name in COMMANDS)
    for name in CORE:
        with pytest.raises(SystemExit, match=r"^0$"):
            main([name, "--help"])
        assert f"python -m recsys_env {name} [-h]" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "seen"), [("recsys_env", "recsys_env: compiling\n"), ("recsys_env.fitting", "")])
def test_messages_are_printed_where_no_terminal_is(
    name: str, seen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first run whose output goes into a file says that it compiles. `fit` shows the messages of fits itself."""
    monkeypatch.setattr(listing, "tasks", lambda: logging.getLogger(name).info("compiling"))
    main(["tasks"])
    assert capsys.readouterr().err == seen
    logging.getLogger(name).info("compiling")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["tasks"], ["metrics"], ["--help"], ["tasks", "--help"]])
def test_whoever_stops_reading_sees_no_error(words: list[str]) -> None:
    """As `| head -1` does, which closes the pipe."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "recsys_env", *words], stdout=writes, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writes)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown command 'evalute' (did you mean 'evaluate'?); commands are tasks, desc" in refused(
        capsys, "evalute"
    )


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for call in (main, baselines_main):
        call(["--version"])
        assert capsys.readouterr().out == f"recsys_env {__version__}\n"


def test_lists_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    policies = [*POLICIES, *TASK_POLICIES, *(f"{name}:WHAT" for name in FAMILIES)]
    for command, names in (("tasks", TASKS), ("policies", policies), ("metrics", METRICS)):
        main([command])
        shown = re.findall(r"^  (\S+) ", capsys.readouterr().out, flags=re.MULTILINE)
        assert shown == list(names)


def test_a_metric_is_listed_with_its_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ctr Clicks per item shown. [clicks per impression, higher is better; Richardson" in said(capsys, "metrics")


def test_policies_are_listed_with_their_first_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "policies")
    drawn = "the picks of a slate are drawn without replacement."
    assert f"random Uniformly random actions among those that the mask allows; {drawn} blind Always" in shown
    assert "(Li et al. 2010). (learns while it serves) linear-thompson" in shown


def test_policies_of_equal_class_names_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "policies")
    for name, module in (("reciprocal", conditional), ("creators-reciprocal", creators)):
        about = " ".join((module.Reciprocal.__doc__ or "").partition("\n\n")[0].split())
        assert f"{name} {about}" in shown


@pytest.fixture(scope="module")
def classes() -> dict[str, Any]:
    return _classes()


@pytest.mark.parametrize(("name", "place"), (POLICIES | TASK_POLICIES).items())
def test_which_policies_learn_is_known_without_importing_them(name: str, place: str, classes: dict[str, Any]) -> None:
    try:
        policy = make_policy(name)
    except ImportError as error:
        pytest.skip(str(error))
    assert _learns(place, classes) == policy.learns


def test_a_task_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "--task", "journey-v1"])
    text = capsys.readouterr().out
    about, numbers = describe(TASKS["journey-v1"]).split("\n", 1)
    assert about.startswith("description = ")
    assert text.endswith(f"\nconfig\n{numbers}\n")
    words = " ".join(text.split())
    assert words.count("Stresses:") == 1  # the description is above, and only there
    for fact in (
        "journey-v1: Three agents own the entrance, item and cart page of a shop",
        "agents 3: entrance_0, item_0, cart_0 page rows, 4 slots for each agent",
        "action MultiDiscrete([20 20 20 20]): candidates",
        "observation Box(-1.0, 1.0, (257,), float32), observability partial",
        "reward differs between roles; sharing 1 role entrance owns the scene entrance; 0.02 per click",
        "episode 1000 ticks, then all agents are truncated; recommended discount 0.997",
    ):
        assert fact in words
    env = vector_env("journey-v1")
    for name, place in env.observation_fields.items():
        meaning = next(field.meaning for field in OBSERVATION if field.name == name)
        assert f" {name} [{place.start}:{place.stop}] {meaning} (in [" in words
    for name in env.candidate_features:
        meaning = next(field.meaning for field in CANDIDATE_FEATURES if field.name == name)
        assert f" {name} {meaning} (in [" in words


def test_a_task_may_have_fields_changed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "--task", "journey-v1,horizon=50,users.number=16"])
    changed = task_config("journey-v1", {"horizon": 50, "users": {"number": 16}})
    _, numbers = describe(changed).split("\n", 1)
    assert capsys.readouterr().out.endswith(f"\nconfig\n{numbers}\n")


def test_the_reward_of_a_task_is_that_of_its_roles(capsys: pytest.CaptureFixture[str]) -> None:
    role = {"name": "seller", "rewards": {"click": 0.1, "diversity": 2.0}}
    main(["describe", "--task", f"ecommerce-v1,reward.sharing=1,roles=({role},)"])
    words = " ".join(capsys.readouterr().out.split())
    assert "agents 2: seller_0, seller_1 " in words
    assert " reward 0.1 per click, 2 per diversity; sharing 1 " in words


def test_a_task_with_a_catalogue_says_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "--task", "grocery-v1"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(
        "the catalogue 'grocery' has 2434 users with up to 64 habits each, 2000 items, 32 dims, 35 topics; "
        "it comes from: 84.51 Complete Journey"
    )


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("journey", "unknown task 'journey' (did you mean 'journey-v1'?)"),
        ("duel-v1,horizn=3", "did you mean 'horizon'"),
        ("grocery-v1,users.number=3", "users.number = 3 would be ignored, since the catalogue gives it"),
        ("duel-v1,users=3", "users = 3 must be a UserConfig or a dict of its fields"),
    ],
)
def test_a_wrong_task_is_one_line(task: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(capsys, "describe", "--task", task)


@pytest.mark.parametrize("name", COMMANDS)
def test_tasks_and_policies_are_named_alike_on_all_commands(name: str) -> None:
    module, _, function = COMMANDS[name][0].partition(":")
    call = getattr(pytest.importorskip(module, exc_type=ImportError), function)
    options = inspect.signature(call, eval_str=True).parameters
    if {"evaluation", "experiment"} & options.keys():  # a dataclass with the options as fields
        (one,) = options.values()
        options = inspect.signature(one.annotation).parameters
    positional = {word for word, option in options.items() if option.default is inspect.Parameter.empty}
    assert positional <= {"log"}
    assert {"task", "tasks", "policies"} & options.keys() or name in ("tasks", "policies", "metrics", "fit", "report")


@pytest.mark.parametrize("name", ["describe", "watch", "solve", "ab"])
def test_a_task_without_its_option_is_told_how_tasks_are_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name in EXTRA:
        pytest.importorskip("tyro")
    assert refused(capsys, name, "duel-v1") == (
        "error: 'duel-v1' is not an option; name tasks by --task or --tasks, and policies by --policies: see --help"
    )


@pytest.mark.parametrize(
    ("options", "words", "read"),
    [
        ({"task", "out"}, ["--tasks", "duel-v1", "--out", "x"], ["--task", "duel-v1", "--out", "x"]),
        ({"task"}, ["--tasks=duel-v1"], ["--task=duel-v1"]),
        ({"task"}, ["--task", "duel-v1", "--taskset", "--tasks-of"], ["--task", "duel-v1", "--taskset", "--tasks-of"]),
        ({"tasks"}, ["--task", "duel-v1"], ["--tasks", "duel-v1"]),
        ({"policies"}, ["--task", "duel-v1"], ["--task", "duel-v1"]),
        ({"policies"}, ["--policy=content", "random"], ["--policies=content", "random"]),
    ],
)
def test_one_and_several_are_one_option(options: set[str], words: list[str], read: list[str]) -> None:
    assert cli.usual_options(options, words) == read


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("describe", "--tasks"),
        ("watch", "--tasks"),
        ("evaluate", "--task"),
        ("tournament", "--task"),
        ("ab", "--tasks"),
    ],
)
def test_every_command_takes_both_spellings(name: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name in EXTRA:
        pytest.importorskip("tyro")
    assert refused(capsys, name, option, "duell-v1").startswith(
        "error: unknown task 'duell-v1' (did you mean 'duel-v1'"
    )


@pytest.mark.parametrize("commands", [CORE, EXTRA], ids=["core", "extra"])
def test_a_command_answers_without_what_it_does_not_need(commands: Any) -> None:
    """Heavy libraries take seconds to import. One process runs all: what one imports, the next have too."""
    unneeded = {"torch", "pandas", "matplotlib", "pyspiel", "scipy.stats", "ray"}
    if commands is EXTRA:
        pytest.importorskip("tyro")
    else:
        unneeded |= {"tyro", "rich"}
    given = {"tasks": [], "policies": [], "metrics": [], "describe": ["--task", "duel-v1"]}
    words = [[name, *given.get(name, ["--help"])] for name in commands]
    code = f"""
import sys
from recsys_env.__main__ import main
for words in {words}:
    stopped = None
    try:
        main(words)
    except SystemExit as stop:
        stopped = stop.code
    print("\\nended", words[0], stopped or 0, sorted({unneeded} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended = [line for line in done.stdout.splitlines() if line.startswith("ended ")]
    assert ended == [f"ended {name} 0 []" for name in commands]


def test_the_script_finds_modules_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `python -m` does, so that my_file:MyPolicy is found."""
    (tmp_path / "of_this_folder.py").write_text("class Mine: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(sys, "argv", ["recsys-env", "tasks"])
    script()
    assert "duel-v1" in capsys.readouterr().out
    import of_this_folder

    assert Path(of_this_folder.__file__).parent == tmp_path
