"""Checkpoints of learners that ship with the package: which seed, what is left out, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")

import examples
import trained_learners

from baselines import ship as module
from baselines.__main__ import main
from baselines.ship import ship
from recsys_env import replace, vector_env
from recsys_env.config.tasks import TASKS
from recsys_env.files import FileError, digest_of_arrays, read_arrays, read_json, write_json
from recsys_env.policies import CHECKPOINT, Team, make_policy, registry
from recsys_env.policies.shipped import CARD
from recsys_env.trained import page_policies
from recsys_env.trained.page_policies import page_network
from recsys_env.trained.pages import layout_of

FILES = {"policy.json", "policy.npz", CARD}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_learners.train_small(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained learners, of which a test may remove something."""
    trained_learners.small_learners(monkeypatch)
    return Path(shutil.copytree(trained, tmp_path / "here"))


def shipped(here: Path, **options: object) -> list[Path]:
    return ship(here / "policies", here / "learned", **options)  # type: ignore[arg-type]


def test_the_seed_of_the_median_reward_ships(here: Path) -> None:
    folders = shipped(here)
    assert folders == [here / "learned" / "duel-v1" / "table", here / "learned" / "social-v1" / "network"]
    for folder, name in zip(folders, ("table-duel-v1", "network-social-v1"), strict=True):
        assert {path.name for path in folder.iterdir()} == FILES
        runs = {seed: read_json(here / "policies" / f"{name}-{seed}" / "result.json")["after"] for seed in range(3)}
        card = read_json(folder / CARD)
        assert card["reward"] == runs[card["seed"]]
        assert sorted(run["mean"] for run in runs.values())[1] == card["reward"]["mean"]
        assert (card["learner"], card["task"], card["among"]) == (folder.name, folder.parent.name, [0, 1, 2])
        source = here / "policies" / f"{name}-{card['seed']}"
        arrays = read_arrays(folder / "policy.npz")
        assert card["policy"] == digest_of_arrays(arrays) == read_json(source / CHECKPOINT)["digest"]
        assert arrays.keys() == read_arrays(source / "policy.npz").keys()
        make_policy(folder)
    shutil.rmtree(here / "policies" / "table-duel-v1-0")
    (folder,) = shipped(here, only=("table",))
    assert read_json(folder / CARD)["among"] == [1, 2]


def test_what_is_too_large_is_left_out_and_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "MOST", 10_000)
    assert shipped(here) == [here / "learned" / "duel-v1" / "table"]
    assert "social-v1/network: left out, " in capsys.readouterr().out
    assert not (here / "learned" / "social-v1" / "network").exists()


def test_nothing_trained_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--runs", str(tmp_path / "nothing")], "holds no trained policy of these learners"),
        (["--only", "ipo"], "did you mean 'ippo'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["ship", *words])
        assert said in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ loading


def test_a_checkpoint_plays_by_its_name_and_on_its_task_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples.write_checkpoint(tmp_path / "learned")
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    name = "learned/duel-v1/q-table-0.99"
    variant = replace(TASKS["duel-v1"], {"reward": {"sharing": 1.0}, "horizon": 50})
    for task in ("duel-v1", variant):
        envs = vector_env(task, 2)
        envs.reset(seed=0)
        actions = envs.empty_actions()
        Team(envs, dict.fromkeys(envs.possible_agents, name), 0).act(envs.observations, actions)
        np.testing.assert_array_equal(actions.ravel(), [1, 1, 1, 1])  # in the first state
    policy = make_policy(name)
    assert policy.shipped is not None
    with pytest.raises(ValueError, match=r"q-table-0\.99 was trained on duel-v1; here the task is pricing-duel-v0"):
        policy.shipped.check_task(TASKS["pricing-duel-v0"])
    with pytest.raises(ValueError, match=r"q-table-0\.99 was trained with observations"):  # of another size
        policy.bind(vector_env("pricing-duel-v0", 1), "recommender_0", 0)
    with pytest.raises(ValueError, match="here the task is another one"):
        make_policy(name).bind(vector_env("duel-v1", 1, description="mine"), "recommender_0", 0)


@pytest.mark.parametrize("name", ["learned/coverage-v0/ppo-torch", "learned/coverage-v0/ippo"])
def test_another_world_has_other_items(name: str) -> None:
    """Of shipped policies, too; `cma-es` knows items by their features."""
    policy, envs = make_policy(name), vector_env("coverage-v0", 1, horizon=10)
    policy.bind(envs, envs.possible_agents[0], 0)
    with pytest.warns(
        UserWarning,
        match=r"knows items by their numbers, and was trained with world_seed = 0; here, with world_seed = 5, the same",
    ):
        policy.bind(vector_env("coverage-v0", 1, world_seed=5), envs.possible_agents[0], 0)
    ranker = make_policy("learned/coverage-v0/cma-es")
    ranker.bind(vector_env("coverage-v0", 1, world_seed=5), envs.possible_agents[0], 0)


def test_an_own_policy_knows_its_items(tmp_path: Path) -> None:
    envs = vector_env("coverage-v0", 1)
    page_policies.save(tmp_path, envs, {"shared": page_network(layout_of(envs), 4, 0, 0)})
    policy = make_policy(tmp_path)
    policy.bind(envs, envs.possible_agents[0], 0)
    with pytest.warns(UserWarning, match=r"was trained with world_seed = 0; here, with world_seed = 5"):
        policy.bind(vector_env("coverage-v0", 1, world_seed=5), envs.possible_agents[0], 0)
    picks = vector_env("social-v1", 1)  # candidates are no items, so that another world is nothing to warn of
    page_policies.save(tmp_path, picks, {"shared": page_network(layout_of(picks), 4, 0, 0)})
    make_policy(tmp_path).bind(vector_env("social-v1", 1, world_seed=5), picks.possible_agents[0], 0)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = examples.write_checkpoint(tmp_path)
    card = json.loads((folder / CARD).read_text())
    write_json(folder / CARD, {**card, "seed": 2})
    with pytest.raises(FileError, match=r"trained\.json was altered: its digest does not match its content"):
        make_policy(folder)
    write_json(folder / CARD, card)
    held = read_json(folder / CHECKPOINT)
    write_json(folder / CHECKPOINT, {**held, "digest": "0" * 64})
    with pytest.raises(FileError, match="is the card of another policy than"):
        make_policy(folder)
