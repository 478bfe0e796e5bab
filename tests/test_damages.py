"""Files from somebody else, or damaged ones: nothing in them is executed; each is read as it was, or refused in one
line that names it."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import examples
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import small_catalogue

import recsys_env.files
from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.config.catalogue import Catalogue
from recsys_env.config.scenarios import PACKAGE
from recsys_env.evaluation import evaluate, statistics
from recsys_env.evaluation.runs import Run, _play_and_store, _stored
from recsys_env.evaluation.stored import read_result
from recsys_env.evaluation.tables import reward_rows
from recsys_env.files import FileError, misfit, read_arrays, read_json, replacing, signed, value_among, write_arrays
from recsys_env.files import write_json as write
from recsys_env.policies import CHECKPOINT, make_policy

TASK = "duel-v1"
UNCLEAR = re.compile(r"zlib|pickl|KeyError|Traceback|codec|object at 0x|unpack|struct|BadZip|\n", re.IGNORECASE)


# ------------------------------------------------------------------------------------------------ the kinds of files


@dataclass
class Kind:
    """A file, what reads it, and whether it holds a digest, so that any other value is found."""

    file: Path
    read: Callable[[], Any]
    digest: bool = False


def catalogue(folder: Path) -> Kind:
    small_catalogue().save(folder / "small.npz")
    return Kind(folder / "small.npz", lambda: vars(Catalogue.load(folder / "small.npz")))


def acts(folder: Path, task: str = TASK) -> np.ndarray:
    """How a stored policy acts at the first page."""
    envs, policy = VectorEnv(recsys_env.TASKS[task], 2), make_policy(str(folder))
    policy.bind(envs, envs.possible_agents[0], 0)
    actions: np.ndarray = policy.act(envs.reset(seed=0)[0][:, 0])
    return actions


def networks(folder: Path) -> Path:
    """The folder of a policy that is made of plain layers."""
    torch = pytest.importorskip("torch")
    from recsys_env.trained.networks import save

    envs = VectorEnv(recsys_env.TASKS[TASK], 1)
    torch.manual_seed(0)
    sizes = envs.observation_space.shape[0], envs.action_space.n  # type: ignore[index, attr-defined]
    save(folder, envs, {agent: torch.nn.Sequential(torch.nn.Linear(*sizes)) for agent in envs.possible_agents})
    return folder


def ranker(folder: Path) -> Path:
    shutil.copytree(PACKAGE / "learned" / "ecommerce-v1" / "team", folder, dirs_exist_ok=True)
    return folder


def stored_run(folder: Path) -> Kind:
    run = Run("duel-v1,horizon=20", "content", 0, 2, 0, True)
    _play_and_store(run, folder)
    return Kind(run.path(folder), lambda: _stored(run, folder), digest=True)


def evaluation(folder: Path) -> Kind:
    examples.write_evaluation(folder)

    def read() -> Any:
        found = statistics.rescaled(read_result(folder / "evaluation.json"))
        return [reward_rows(task) for task in found["tasks"].values()]

    return Kind(folder / "evaluation.json", read)


KINDS: dict[str, Callable[[Path], Kind]] = {
    "catalogue": catalogue,
    "weights": lambda folder: Kind(networks(folder) / "policy.npz", lambda: acts(folder), digest=True),
    "card of weights": lambda folder: Kind(networks(folder) / CHECKPOINT, lambda: acts(folder)),
    "ranker": lambda folder: Kind(ranker(folder) / CHECKPOINT, lambda: acts(folder, "ecommerce-v1"), digest=True),
    "run": stored_run,
    "evaluation": evaluation,
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return KINDS[request.param](tmp_path_factory.mktemp("damaged"))


# ------------------------------------------------------------------------------------------------ damages


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.marker), "w")


def hostile(marker: Path) -> list[bytes]:
    """Files that execute code if they are unpickled: a pickle, and arrays of Python objects."""
    archive = io.BytesIO()
    names = ("facts", "item_vectors", "layer/a")
    np.savez(archive, **{name: np.array([Hostile(marker)], object) for name in names})  # type: ignore[arg-type]
    return [pickle.dumps(Hostile(marker)), archive.getvalue()]


def damaged(content: bytes, draw: Any) -> bytes:
    """The content with some bytes cut off, left out, or changed."""
    how = draw(st.sampled_from(["cut", "without", "zeros", "bit", "doubled", "empty"]))
    place = draw(st.integers(0, len(content) - 1))
    length = draw(st.integers(1, 1 + len(content) // 4))
    if how == "bit":
        bit = bytes([content[place] ^ 1 << draw(st.integers(0, 7))])
        return content[:place] + bit + content[place + 1 :]
    if how == "zeros":
        return content[:place] + bytes(len(content[place : place + length])) + content[place + length :]
    return {
        "cut": content[:place],
        "without": content[:place] + content[place + length :],
        "doubled": content + content,
        "empty": b"",
    }[how]


def with_other_values(content: bytes, draw: Any) -> bytes:
    """A well-formed file of the same kind that holds something else in one place."""
    if not content.startswith(b"PK"):
        return json.dumps(with_other_value(json.loads(content), draw)).encode()
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    if array.dtype.kind == "U" and not array.ndim:
        arrays[name] = np.array(json.dumps(with_other_value(json.loads(str(array)), draw)))
    else:
        changes = [array[None], array[:0], array.astype(object), array.astype("U"), None]
        if array.dtype.kind == "f":
            changes += [np.full_like(array, np.nan), np.full_like(array, np.finfo(array.dtype).max), -abs(array) - 1]
        elif array.dtype.kind == "i":
            changes += [array.astype(np.int64) + 10**6, array.astype(float)]
        arrays[name] = draw(st.sampled_from(range(len(changes))).map(changes.__getitem__))
        if arrays[name] is None:
            del arrays[name]
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def with_other_value(value: Any, draw: Any) -> Any:
    """A JSON value in which one part, at some depth, is another one."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        changed = value.copy()
        if isinstance(value, dict) and not draw(st.integers(0, 5)):
            del changed[key]
        else:
            changed[key] = with_other_value(value[key], draw)
        return changed
    return draw(st.sampled_from([None, "word", float("nan"), {}, [], -7, True]))


def same(a: Any, b: Any) -> bool:
    """Whether two nested values are the same to the bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)


def read_or_refused(kind: Kind, content: bytes) -> Any:
    """What is read of a file with this content; None if it is refused as it should be."""
    before = kind.file.read_bytes()
    kind.file.write_bytes(content)
    try:
        return kind.read()
    except ValueError as error:
        said = str(error)
        assert str(kind.file.parent) in said, said
        assert not UNCLEAR.search(said), said
        return None
    finally:
        kind.file.write_bytes(before)


QUICK = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@QUICK
@given(data=st.data())
def test_a_damaged_file_is_read_as_it_was_or_refused(kind: Kind, data: st.DataObject) -> None:
    found = read_or_refused(kind, damaged(kind.file.read_bytes(), data.draw))
    if kind.file.suffix == ".npz" or kind.digest:  # JSON without a digest may still be well-formed
        assert found is None or same(found, kind.read())


@QUICK
@given(data=st.data())
def test_a_file_with_other_values_is_read_or_refused(kind: Kind, data: st.DataObject) -> None:
    found = read_or_refused(kind, with_other_values(kind.file.read_bytes(), data.draw))
    assert not kind.digest or found is None or same(found, kind.read())


def test_no_file_executes_code(kind: Kind, tmp_path: Path) -> None:
    for content in hostile(tmp_path / "executed"):
        assert read_or_refused(kind, content) is None
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("loader", ["os:system", "hostile_module:make", ["os", "system"], None])
def test_a_policy_names_nothing_that_is_imported(loader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile_module.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    write(tmp_path / CHECKPOINT, {"loader": loader})
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        make_policy(str(tmp_path))


# ------------------------------------------------------------------------------------------------ reading and writing


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write(file, [1])
    with pytest.raises(TypeError):
        write(file, [object()])

    def interrupted() -> None:
        with replacing(file) as new:
            new.write_text("half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_json(file) == [1]
    assert list(tmp_path.iterdir()) == [file]
    write_arrays(file, {"a": np.zeros(3)}, value={"b": 1})
    arrays = read_arrays(file)
    assert value_among(file, arrays, "value", {"b": int}) == {"b": 1}
    assert arrays.keys() == {"a"}


def test_a_link_stays_and_leads_to_what_was_written(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    for value in (1, 2):  # of a link that leads nowhere, and of one to a file
        write(link, value)
        assert link.is_symlink()
        assert read_json(file) == value


def test_evaluation_keeps_no_run_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = WorldConfig(num_agents=2, slots=2, horizon=20, items={"number": 20}, users={"number": 3})
    monkeypatch.setitem(recsys_env.config.tasks._TASKS, "tiny-v0", tiny)
    monkeypatch.setattr(statistics, "REPETITIONS", 2)
    options: dict[str, Any] = {"episodes": 3, "seeds": 2, "metrics": False, "out": tmp_path}
    evaluate(("content",), ("tiny-v0",), **options)
    file = tmp_path / "tiny-v0" / "content" / "1.json"
    run = read_json(file)
    for said, changed in (
        ("was played with seed = 0, not 1", read_json(file.with_name("0.json"))),
        ("is damaged: it was altered", {**run, "individual_reward": run["individual_reward"][1:]}),
        ("was played when tiny-v0 had other settings", signed({**run, "config": "0"})),
        ("was played with team = 'greedy', not 'content'", signed({**run, "team": "greedy"})),
    ):
        write(file, changed)
        with pytest.raises(ValueError, match=f"^{re.escape(str(file))} {said}"):
            evaluate(("content",), ("tiny-v0",), resume=True, **options)


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        (1, float, None),
        (True, float, "it must be a finite number, not True"),
        (float("inf"), float, "it must be a finite number, not inf"),
        (True, int, "it must be a whole number, not True"),
        (None, (float, None), None),
        ("x", (float, None), "it must be a finite number, not 'x'"),
        ([1, "x"], [int], "[1] must be a whole number, not 'x'"),
        ({}, [int], "it must be a list"),
        ({"a": 1, "b": 2}, {"a": int}, None),
        ({}, {"a": int}, "it has no 'a'"),
        ({}, {"a?": int}, None),
        ({"x": {"a": [[0]]}}, {str: {"a": [[str]]}}, "x.a[0][0] must be a string, not 0"),
        ("anything", object, None),
    ],
)
def test_misfit(value: Any, form: Any, said: str | None) -> None:
    found = misfit(value, form)
    assert found is said is None or (found or "").startswith(said or "?")


def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recsys_env.files, "MOST_JSON", 1_000)
    monkeypatch.setattr(recsys_env.files, "MOST_BYTES", 10**6)
    file = tmp_path / "file"
    file.write_bytes(b"[" + b"1," * 1_000 + b"1]")
    with pytest.raises(FileError, match="file cannot be used: it has 2,003 bytes, 1,000 of JSON are allowed"):
        read_json(file)
    with file.open("wb") as opened:
        np.savez_compressed(opened, a=np.zeros(6 * 10**5, np.uint8), b=np.zeros(6 * 10**5, np.uint8))
    with pytest.raises(FileError, match="its arrays have 1,200,256 bytes, 1,000,000 are allowed"):
        read_arrays(file)


def test_a_catalogue_by_path_is_played(tmp_path: Path) -> None:
    small_catalogue().save(tmp_path / "shop.npz")
    envs = vector_env("ecommerce-v1", 1, catalogue=str(tmp_path / "shop.npz"), candidates={"number": 8}, slots=2)
    assert envs.catalogue == Catalogue.load(tmp_path / "shop.npz")
