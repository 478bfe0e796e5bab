"""Files from somebody else, or damaged ones: nothing is executed; each is read as it was or refused in one line."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

import damages
import examples
import torch
from damages import FINE, Kind, tiny, try_all

import recsys_env.files
from baselines.__main__ import main as baselines_main
from baselines.options import Algorithm
from baselines.train import train
from recsys_env import TASKS, VectorEnv, WorldConfig, vector_env
from recsys_env.__main__ import main as recsys_env_main
from recsys_env.config.catalogue import Catalogue
from recsys_env.config.scenarios import PACKAGE
from recsys_env.config.tasks import _TASKS
from recsys_env.evaluation import evaluate, runs, statistics
from recsys_env.evaluation.stored import read_result, read_run
from recsys_env.files import (
    FileError,
    digest_of_arrays,
    misfit,
    read_arrays,
    read_json,
    replacing,
    signed,
    value_among,
    write_arrays,
    write_json,
)
from recsys_env.policies import CHECKPOINT, make_policy
from recsys_env.policies.linear import save_ranker
from recsys_env.trained.networks import save

ALGORITHMS = {"ippo": "ecommerce-v1", "ppo-torch": "duel-v1"}
POLICIES = (*ALGORITHMS, "networks")  # folders of trained policies
COMPILING = "compiling the game"  # what commands say where no earlier test has compiled it


def options_of(algorithm: str, out: Path, **more: Any) -> Algorithm:
    return tiny(algorithm, out, **{"task": ALGORITHMS[algorithm], **more})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {algorithm: tmp_path_factory.mktemp(algorithm) for algorithm in ALGORITHMS}
    for algorithm, folder in folders.items():
        train(options_of(algorithm, folder))
    return {**folders, "networks": damages.saved_networks(tmp_path_factory.mktemp("networks"))}


@pytest.fixture
def copies(trained: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Folders of trained policies that may be spoilt."""
    return {algorithm: Path(shutil.copytree(folder, tmp_path / algorithm)) for algorithm, folder in trained.items()}


# ------------------------------------------------------------------------------------------------ hostile files


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.marker), "w")


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """What a hostile file would make; it must not be there at the end."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def hostile(kind: str, marker: Path) -> bytes:
    file, threat = io.BytesIO(), Hostile(marker)
    if kind == "pickle":
        pickle.dump(threat, file)
    elif kind == "torch":
        torch.save({"recommender_0": threat}, file)
    else:
        np.savez(
            file,
            facts=np.array(json.dumps({})),
            progress=np.array(json.dumps({})),
            item_vectors=np.array([threat], object),
        )
    return file.getvalue()


HOSTILE = ("pickle", "torch", "objects")


def refused(folder: Path, *said: str) -> None:
    """In one line, by the library and by every command."""
    with pytest.raises(ValueError) as error:
        make_policy(str(folder))
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in (str(folder), *said)), str(error.value)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("loader", ["networks", "sb3"])
def test_a_policy_is_not_unpickled(loader: str, kind: str, tmp_path: Path, marker: Path) -> None:
    write_json(tmp_path / CHECKPOINT, {"loader": loader})
    for name in ("policy.npz", "actors.pt", "network.pt"):
        (tmp_path / name).write_bytes(hostile(kind, marker))
    refused(
        tmp_path, "policy.npz", {"objects": "Python objects", "torch": "is no array", "pickle": "is no .npz file"}[kind]
    )


@pytest.mark.parametrize(
    "content",
    [
        {"factory": "os:system"},
        {"factory": "recsys_env.trained.networks:NetworkPolicy"},
        {"loader": "os:system"},
        {"loader": "hostile_module:make"},
        {"loader": ["os", "system"]},
        {"loader": None},
        {"loader": "networks\n"},
        ["loader"],
        {},
    ],
)
def test_a_policy_names_nothing_that_is_imported(
    content: Any, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("os.system", lambda *args: marker.touch())
    folder = tmp_path / "policy"
    folder.mkdir()
    write_json(folder / CHECKPOINT, content)
    (folder / "actors.pt").write_bytes(hostile("torch", marker))
    refused(folder, CHECKPOINT)


def digested(folder: Path) -> None:
    """What lies there is taken for what was written."""
    digest = digest_of_arrays(read_arrays(folder / "policy.npz"))
    write_json(folder / CHECKPOINT, {**read_json(folder / CHECKPOINT), "digest": digest})


HUGE = {"layer": "Linear", "in_features": 10**12, "out_features": 10**6}


def test_a_network_is_one_of_ours(copies: dict[str, Path], marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.system", lambda *args: marker.touch())
    for algorithm, change, said in (
        (
            "ippo",
            lambda facts: facts | {"network": "os:system"},
            "holds a network 'os:system'; networks are mlp, slate",
        ),
        (
            "ippo",
            lambda facts: facts | {"layout": {**facts["layout"], "activation_fn": 3}},
            "its settings and sizes do not match",
        ),
        ("ippo", lambda facts: facts | {"sees": 10**12}, "its settings and sizes do not match"),
        (
            "ippo",
            lambda facts: facts | {"layout": {**facts["layout"], "parts": {"candidates": [-7, 20, 8]}}},
            "its settings and sizes do not match",
        ),
        (
            "ippo",
            lambda facts: facts | {"acts": {"space": "Discrete", "sizes": []}},
            "its settings and sizes do not match",
        ),
        (
            "networks",
            lambda facts: facts | {"networks": {"recommender_0": [{"layer": "Module"}]}},
            "{'layer': 'Module'} is no layer",
        ),
        (
            "networks",
            lambda facts: {**facts, "networks": {agent: [HUGE] for agent in facts["networks"]}},
            "none of its weights",
        ),
        ("networks", lambda facts: facts | {"networks": {}}, "which nothing here has"),
    ):
        file = copies[algorithm] / "policy.npz"
        content = file.read_bytes()
        weights = read_arrays(file)
        facts = value_among(file, weights, "facts", dict)
        write_arrays(file, weights, facts=change(facts))
        digested(copies[algorithm])
        refused(copies[algorithm], said)
        file.write_bytes(content)
        digested(copies[algorithm])
        make_policy(copies[algorithm])


def test_a_network_of_other_sizes_than_it_was_trained_for_is_refused(copies: dict[str, Path]) -> None:
    envs = VectorEnv(TASKS["duel-v1"], 1)
    file = copies["networks"] / "policy.npz"
    weights = read_arrays(file)
    facts = value_among(file, weights, "facts", dict)
    for layer in ({"layer": "Linear", "in_features": 3, "out_features": 3}, {"layer": "Tanh"}):
        sizes = (
            {"weight": np.ones((3, 3), np.float32), "bias": np.ones(3, np.float32)}
            if layer["layer"] == "Linear"
            else {}
        )
        write_arrays(
            file,
            {f"recommender_0/0.{name}": array for name, array in sizes.items()},
            facts={**facts, "networks": {"recommender_0": [layer]}},
        )
        digested(copies["networks"])
        with pytest.raises(ValueError, match="has a network whose sizes do not match its observations and actions"):
            make_policy(copies["networks"]).bind(envs, "recommender_0", 0)


def test_commands_say_it_in_one_line(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    for content in ('{"factory": "os:system"}', '{"loader": "networks"}', '{"loader": "sb3"}', '{"lo', ""):
        (tmp_path / "theirs" / CHECKPOINT).write_text(content)
        (tmp_path / "theirs" / "policy.npz").write_bytes(hostile("torch", marker))
        for main, command in (
            (recsys_env_main, ["evaluate", "--policies", "theirs", "--tasks", "duel-v1"]),
            (recsys_env_main, ["tournament", "--policies", "theirs", "--tasks", "duel-v1"]),
            (baselines_main, ["train", "ippo", "--task", "duel-v1", "--background", "recommender_1=theirs"]),
        ):
            with pytest.raises(SystemExit, match="2"):
                main(command)
            (error,) = (line for line in capsys.readouterr().err.splitlines() if COMPILING not in line)
            assert error.startswith("error: theirs/policy.")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_catalogue_is_not_unpickled(kind: str, tmp_path: Path, marker: Path) -> None:
    (tmp_path / "theirs.npz").write_bytes(hostile(kind, marker))
    with pytest.raises(ValueError, match=r"theirs\.npz") as error:
        vector_env("ecommerce-v1", 1, catalogue=str(tmp_path / "theirs.npz"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resumed_run_unpickles_nothing(kind: str, algorithm: str, copies: dict[str, Path], marker: Path) -> None:
    for name in ("model.zip", "reward_scale.pkl", "agents.pt"):  # as the libraries keep them
        (copies[algorithm] / name).write_bytes(hostile(kind, marker))
    (copies[algorithm] / "checkpoint.npz").write_bytes(hostile(kind, marker))
    with pytest.raises(ValueError, match=r"checkpoint\.npz") as error:
        train(options_of(algorithm, copies[algorithm], resume=True))
    assert "\n" not in str(error.value)


def test_results_are_not_unpickled(tmp_path: Path, marker: Path) -> None:
    for name in ("evaluation", "tournament"):
        file = tmp_path / f"{name}.json"
        file.write_bytes(hostile("pickle", marker))
        with pytest.raises(FileError, match=f"^{file} is not JSON") as error:
            read_result(file)
        assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------ damaged files


def check(kind: Kind, others: list[bytes], number: int = 15) -> None:
    found = try_all(kind, others, number)
    assert {what: names for what, names in found.items() if what not in FINE} == {}
    assert len(found["refused"]) > 5


def test_damaged_catalogues(tmp_path: Path) -> None:
    check(damages.catalogue(tmp_path), [b"PK", b"{}"], 45)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_damaged_policies_and_checkpoints(algorithm: str, copies: dict[str, Path]) -> None:
    runs = [copies[trained] for trained in ALGORITHMS]
    others = [(folder / name).read_bytes() for folder in runs for name in ("policy.npz", "config.json")]
    for kind in damages.of_run(options_of(algorithm, copies[algorithm])):
        check(kind, others)


def test_damaged_networks(copies: dict[str, Path]) -> None:
    others = [(folder / "policy.npz").read_bytes() for folder in copies.values()]
    for kind in damages.of_policy(copies["networks"], TASKS["duel-v1"]):
        check(kind, others)


def test_damaged_runs(tmp_path: Path) -> None:
    check(damages.stored_run(tmp_path), [b"PK", b"{}"], 45)


def test_damaged_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "REPETITIONS", 2)
    for kind in (*damages.results(tmp_path), damages.training(tmp_path), damages.robust(tmp_path / "robustness")):
        check(kind, [b"PK", b"{}"])


def test_damaged_checkpoints(tmp_path: Path) -> None:
    for kind in damages.checkpoint(examples.write_checkpoint(tmp_path)):
        check(kind, [b"PK", b"{}"], 30)


def test_a_catalogue_is_checked_array_by_array() -> None:
    small = damages.small_catalogue()
    for name, changed, said in (
        ("item_price", small.item_price.astype(str), "Catalogue.item_price must hold floats, not <U32"),
        (
            "item_topic",
            small.item_topic.astype(float),
            "Catalogue.item_topic must hold signed whole numbers, not float64",
        ),
        ("item_name", np.arange(12), "Catalogue.item_name must hold text, not int64"),
        ("habit_count", -small.habit_count, "Catalogue.habit_count must be 0 or more, smallest is -"),
    ):
        with pytest.raises(ValueError) as error:
            dataclasses.replace(small, **{name: changed})
        assert str(error.value).startswith(said)


# ------------------------------------------------------------------------------------------------ resuming


def test_a_resumed_run_needs_what_it_was_begun_with(copies: dict[str, Path]) -> None:
    folder = copies["ippo"]
    config = (folder / "config.json").read_text()
    again = options_of("ippo", folder, resume=True, timesteps=256)

    def refuses(said: str, options: Algorithm = again) -> None:
        with pytest.raises(ValueError, match=said):
            train(options)

    for content, said in (
        ("", r"config\.json is empty"),
        ("{}", r"config\.json holds no settings of a run: it has no 'algorithm'"),
        ("[", "is not JSON"),
    ):
        (folder / "config.json").write_text(content)
        refuses(said)
    (folder / "config.json").write_text(json.dumps({**json.loads(config), "seed": 5}))
    refuses(r"config\.json is not what .*checkpoint\.npz was begun with: one of them is of another run")
    (folder / "config.json").unlink()
    refuses(r"config\.json is missing")
    (folder / "config.json").write_text(config)
    refuses("was begun with learning_rate = 0.003, not 0.5", dataclasses.replace(again, learning_rate=0.5))
    refuses("was begun with other episodes; give --eval-episodes 2 again", dataclasses.replace(again, eval_episodes=3))
    (folder / "curve.json").write_text("damaged")  # which is for people: what is resumed from holds it too
    assert train(again)["training"]["agent_steps"] == 256
    assert [point["agent_steps"] for point in json.loads((folder / "curve.json").read_text())] == [64, 128, 192, 256]
    shutil.copy(copies["ppo-torch"] / "checkpoint.npz", folder)
    refuses("one of them is of another run")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resumed_run_goes_on_from_the_same_state(
    algorithm: str, copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks, optimisers and running means, to the bit."""
    stored = read_arrays(copies[algorithm] / "checkpoint.npz")
    del stored["progress"]
    assert any(re.search("optimi[sz]er/", name) for name in stored)
    for kind in damages.of_run(options_of(algorithm, copies[algorithm])):
        if kind.file.name == "checkpoint.npz":
            state = kind.read()
            assert state["steps"] == 128
            assert all(damages.equal(state[name], array) for name, array in stored.items())


def test_every_file_of_a_run_is_moved_to_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = set()

    def recorded(path: Path) -> Any:
        written.add(path)
        return replacing(path)

    monkeypatch.setattr(recsys_env.files, "replacing", recorded)
    monkeypatch.setattr(statistics, "REPETITIONS", 2)
    monkeypatch.setitem(
        _TASKS, "tiny-v0", WorldConfig(num_agents=2, slots=2, horizon=20, items={"number": 20}, users={"number": 3})
    )
    train(options_of("ippo", tmp_path / "run", task="tiny-v0"))
    evaluate(("content",), ("tiny-v0",), episodes=2, seeds=2, metrics=False, out=tmp_path / "evaluation")
    there = {
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix != ".png" and "tensorboard" not in str(path)
    }
    assert there == written
    assert {path.name for path in there} >= {
        "policy.json",
        "policy.npz",
        "config.json",
        "curve.json",
        "checkpoint.npz",
        "result.json",
        "1.json",
    }


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_json(file, [1])
    with pytest.raises(TypeError):
        write_json(file, [object()])

    def interrupted() -> None:
        with replacing(file) as new:
            new.write_text("half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(TypeError):
        write_arrays(file, {"a": np.zeros(3)}, value=object())
    assert read_json(file) == [1]
    assert list(tmp_path.iterdir()) == [file]
    write_arrays(file, {"a": np.zeros(3)}, value={"b": 1})
    arrays = read_arrays(file)
    assert value_among(file, arrays, "value", {"b": int}) == {"b": 1}
    assert arrays.keys() == {"a"}


def test_evaluation_keeps_no_run_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        _TASKS, "tiny-v0", WorldConfig(num_agents=2, slots=2, horizon=20, items={"number": 20}, users={"number": 3})
    )
    monkeypatch.setattr(statistics, "REPETITIONS", 2)
    settings: dict[str, Any] = {"episodes": 3, "seeds": 2, "metrics": False, "out": tmp_path}
    evaluate(("content",), ("tiny-v0",), **settings)
    file = tmp_path / "tiny-v0" / "content" / "1.json"
    run = read_run(file)

    def refuses(said: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        write_json(file, change(run))
        with pytest.raises(ValueError) as error:
            evaluate(("content",), ("tiny-v0",), resume=True, **settings)
        assert str(error.value).startswith(f"{file} {said}")
        assert "\n" not in str(error.value)

    refuses("was played with seed = 0, not 1", lambda run: read_run(file.with_name("0.json")))
    refuses(
        "holds no run: individual_reward[0][1] must be a finite number, not nan",
        lambda run: signed({**run, "individual_reward": [[0.0, float("nan")], *run["individual_reward"][1:]]}),
    )
    refuses(
        "does not hold the reward of each of 2 agents in each of 3 episodes",
        lambda run: signed({**run, "individual_reward": run["individual_reward"][1:]}),
    )
    refuses(
        "is damaged: it was altered after it was written",
        lambda run: {**run, "individual_reward": run["individual_reward"][1:]},
    )
    refuses(
        "is damaged: it was altered after it was written",
        lambda run: {**run, "individual_reward": [[0.5, 0.5], *run["individual_reward"][1:]]},
    )
    refuses("was played when tiny-v0 had other settings", lambda run: signed({**run, "config": "0"}))
    refuses("was played with team = 'greedy', not 'content'", lambda run: signed({**run, "team": "greedy"}))
    refuses(
        "holds no run: it has no 'digest'", lambda run: {name: value for name, value in run.items() if name != "digest"}
    )
    write_json(file, run)
    monkeypatch.setattr(runs, "play", lambda run: pytest.fail("all runs are there"))
    evaluate(("content",), ("tiny-v0",), resume=True, **settings)


# ------------------------------------------------------------------------------------------------ the reader


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        (1, float, None),
        (1.5, float, None),
        (True, float, "it must be a finite number, not True"),
        (float("inf"), float, "it must be a finite number, not inf"),
        (1, int, None),
        (True, int, "it must be a whole number, not True"),
        (2**70, int, "it must be a whole number"),
        (True, bool, None),
        (None, (float, None), None),
        ("x", (float, None), "it must be a finite number, not 'x'"),
        (None, None, None),
        (3, None, "it must be null, not 3"),
        ([1, 2], [int], None),
        ([1, "x"], [int], "[1] must be a whole number, not 'x'"),
        ({}, [int], "it must be a list"),
        ({"a": 1, "b": 2}, {"a": int}, None),
        ({}, {"a": int}, "it has no 'a'"),
        ({}, {"a?": int}, None),
        ({"a": ""}, {"a?": int}, "a must be a whole number"),
        ({"x": {"a": [[0]]}}, {str: {"a": [[str]]}}, "x.a[0][0] must be a string, not 0"),
        ([], {str: int}, "it must be an object, not []"),
        ("anything", object, None),
    ],
)
def test_misfit(value: Any, form: Any, said: str | None) -> None:
    found = misfit(value, form)
    assert found is said is None or (found or "").startswith(said or "?")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for content, said in (
        (b"", "is empty"),
        (b"{", "is not JSON: Expecting property name"),
        (b"\xff\xfe", "is not JSON: byte 0 is not valid UTF-8"),
        (b"[" * 10**5, "is not JSON: maximum recursion depth exceeded"),
        (b"3", "holds no list of ours: it must be a list, not 3"),
    ):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(FileError) as error:
            read_json(tmp_path / "file", [int], "list of ours")
        assert str(error.value).startswith(f"{tmp_path / 'file'} {said}")
    with pytest.raises(FileError, match="nowhere is missing"):
        read_json(tmp_path / "nowhere")
    with pytest.raises(FileError, match="cannot be read: Is a directory"):
        read_arrays(tmp_path)
    (tmp_path / "file").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(FileError, match=r"is no \.npz file, or one that was cut short"):
        read_arrays(tmp_path / "file")


def test_an_array_that_tells_fewer_elements_than_it_has_is_damaged(tmp_path: Path) -> None:
    """Its checksum fails, although what would be read is whole."""
    write_arrays(tmp_path / "file", {"a": np.arange(20)})
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content.replace(b"(20,)", b"(10,)"))
    with pytest.raises(FileError, match="'a' is damaged"):
        read_arrays(tmp_path / "file")


def test_networks_of_every_layer_are_stored(tmp_path: Path) -> None:
    """Also one whose last layer was cut down after it was made, as BenchMARL's actors of queries are."""
    envs = vector_env("streaming-v1", 2, horizon=20, action="query")
    observations, _ = envs.reset(seed=0)
    dims = envs.action_space.shape[0]  # type: ignore[index]
    last = torch.nn.Linear(8, 2 * dims)
    last.weight, last.bias = (
        torch.nn.Parameter(last.weight[:dims].detach()),
        torch.nn.Parameter(last.bias[:dims].detach()),
    )
    layers = [
        torch.nn.Linear(observations.shape[2], 8),
        torch.nn.LayerNorm(8),
        torch.nn.ReLU(),
        last,
        torch.nn.Tanh(),
        torch.nn.Hardtanh(),
    ]
    net = torch.nn.Sequential(*layers)
    save(tmp_path, envs, dict.fromkeys(envs.possible_agents, net))
    state = torch.random.get_rng_state()
    policy = make_policy(tmp_path)
    assert torch.equal(state, torch.random.get_rng_state())  # who loads a policy while training draws nothing
    policy.bind(envs, envs.possible_agents[1], 0)
    seen = np.ascontiguousarray(observations[:, 1])
    np.testing.assert_array_equal(policy.act(seen), net(torch.from_numpy(seen)).detach().numpy())


def test_other_layers_are_not_stored(tmp_path: Path) -> None:
    envs = VectorEnv(TASKS["duel-v1"], 1)
    with pytest.raises(
        ValueError, match="a layer of Dropout cannot be stored; layers are Linear, LayerNorm, Tanh, ReLU, Hardtanh"
    ):
        save(tmp_path, envs, {"recommender_0": torch.nn.Sequential(torch.nn.Dropout())})
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ sizes and digests


def bomb(path: Path, **arrays: np.ndarray) -> None:
    """A small file that unpacks to what these arrays are."""
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    assert path.stat().st_size < 4e6


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of every array that is read."""
    sizes: list[int] = []
    read = np.lib.format.read_array

    def counted(*args: Any, **kwargs: Any) -> np.ndarray:
        array = read(*args, **kwargs)
        sizes.append(array.nbytes)
        return array

    monkeypatch.setattr(np.lib.format, "read_array", counted)
    return sizes


LARGE = np.zeros(10**8, np.uint8)


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_of_other_sizes_are_not_unpacked(policy: str, copies: dict[str, Path], unpacked: list[int]) -> None:
    file = copies[policy] / "policy.npz"
    stored = read_arrays(file)
    name = next(name for name in stored if name != "facts")
    for changed in ({**stored, name: LARGE}, {**stored, "surprise/a": LARGE}):
        bomb(file, **changed)
        unpacked.clear()
        refused(copies[policy], "policy.npz")
        assert sum(unpacked) < 1e6


def test_a_catalogue_of_no_sizes_is_not_unpacked(tmp_path: Path, unpacked: list[int]) -> None:
    arrays = read_arrays(Path(recsys_env.files.__file__).parent / "catalogues" / "grocery.npz")
    file = tmp_path / "theirs.npz"
    texts = np.full(len(arrays["item_name"]), "a", "U20000")
    for changed in ({"user_activity": LARGE}, {"item_vectors": LARGE[:, None]}, {"item_text": texts}, {"a": LARGE}):
        bomb(file, **{**arrays, **changed})
        unpacked.clear()
        with pytest.raises(FileError, match=r"theirs\.npz holds no catalogue: ") as error:
            Catalogue.load(file)
        assert next(iter(changed)) in str(error.value) or "others" in str(error.value)
        assert not unpacked


def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpacked: list[int]) -> None:
    monkeypatch.setattr(recsys_env.files, "MOST_JSON", 1_000)
    monkeypatch.setattr(recsys_env.files, "MOST_BYTES", 10**6)
    file = tmp_path / "file"
    file.write_bytes(b"[" + b"1," * 1_000 + b"1]")
    with pytest.raises(FileError, match=r"file cannot be used: it has 2,003 bytes, 1,000 of JSON are allowed"):
        read_json(file)
    with file.open("wb") as opened:
        np.savez_compressed(opened, a=LARGE[: 6 * 10**5], b=LARGE[: 6 * 10**5])
    with pytest.raises(FileError, match=r"its arrays have 1,200,256 bytes, 1,000,000 are allowed"):
        read_arrays(file)
    write_arrays(file, {}, value="x" * 1_000)
    with pytest.raises(FileError, match="holds no value"):
        recsys_env.files.read_value(file, "value", str)
    assert not unpacked


def test_sizes_that_a_file_only_claims_are_not_believed(tmp_path: Path) -> None:
    """What its directory says of an array is not what its header says, or the array is there twice."""
    file = tmp_path / "file.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9,)})
    for names, said in ((("a.npy",), "'a' is damaged"), (("a.npy", "a.npy"), "'a' is there twice")):
        whole = io.BytesIO()
        np.save(whole, np.zeros(3))
        with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two parts with one name
            for name in names:
                archive.writestr(name, whole.getvalue() if len(names) > 1 else header.getvalue() + bytes(24))
        with pytest.raises(FileError, match=said):
            read_arrays(file)


@pytest.mark.parametrize("name", ["file.npz", "file.json"])
def test_a_lack_of_memory_is_no_damage(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise MemoryError

    file = tmp_path / name
    if name.endswith("npz"):
        write_arrays(file, {"a": np.zeros(3)})
        monkeypatch.setattr(np.lib.format, "read_array", fails)
    else:
        write_json(file, [1])
        monkeypatch.setattr("json.loads", fails)
    with pytest.raises(MemoryError, match=rf"{name} cannot be used: there is not enough memory for "):
        (read_arrays if name.endswith("npz") else read_json)(file)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_with_other_weights_is_refused(policy: str, copies: dict[str, Path]) -> None:
    """Of the right sizes, in a file that is whole."""
    file = copies[policy] / "policy.npz"
    stored = read_arrays(file)
    name = next(name for name, array in stored.items() if array.dtype == np.float32 and array.size)
    stored[name] = stored[name] + np.float32(1e-3)
    np.savez(file, **stored)  # type: ignore[arg-type]
    refused(copies[policy], "policy.npz was altered")


SHIPPED = [
    path.parent
    for path in sorted((PACKAGE / "learned").glob(f"*/*/{CHECKPOINT}"))
    if read_json(path)["loader"] == "ranker"
]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_policy_that_comes_along_has_its_digest(folder: Path, tmp_path: Path) -> None:
    """The file is the one that `save_ranker` writes; with another number in it, it is refused."""
    make_policy(str(folder))
    held = read_json(folder / CHECKPOINT)
    weights = {role: np.array(rows) for role, rows in held["weights"].items()}
    save_ranker(tmp_path, tuple(held["names"]), weights, tuple(held["states"]))
    assert (tmp_path / CHECKPOINT).read_bytes() == (folder / CHECKPOINT).read_bytes()
    next(iter(held["weights"].values()))[0][0] += 0.001
    write_json(tmp_path / CHECKPOINT, held)
    refused(tmp_path, f"{CHECKPOINT} was altered")
