"""What is refused in one line, where no test of a module's own says so: odd values, paths, tables, texts and models."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damages import small_catalogue
from worlds import SMALL

import recsys_env
from recsys_env import exact, fitting, language, policies
from recsys_env.checks import as_numbers, check_count, shown
from recsys_env.config.catalogue import Catalogue
from recsys_env.evaluation import runs
from recsys_env.files import check_writable, checked_path, replacing, write_arrays, write_json

# ------------------------------------------------------------------------------------------------ odd values


class Silent:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("nothing is said")

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise KeyError("no array")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_cannot_be_shown_is_named_by_its_kind() -> None:
    for value, kind in ((Silent(), "Silent"), (nested(100_000), "list"), (10**5000, "int")):
        assert shown(value) == f"<{kind} that cannot be shown>"
    with pytest.raises(TypeError, match=r"^n = <Silent that cannot be shown> must be an integer$"):
        check_count("n", Silent(), 0, 1)


def test_a_value_that_fails_as_an_array_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^x = <Silent that cannot be shown> must be one array of finite numbers$"):
        as_numbers("x", Silent())
    envs = recsys_env.vector_env(SMALL, 1)
    envs.reset(seed=0)
    for call in (lambda: envs.step(Silent()), lambda: envs.checked_action(0, Silent())):
        with pytest.raises(ValueError, match="<Silent that cannot be shown>"):
            call()


def test_the_mask_of_an_array_is_not_dropped() -> None:
    hidden = np.ma.masked_array(np.zeros(2, int), [True, False])
    with pytest.raises(ValueError, match=r"^x = masked_array.* must be one array of whole numbers$"):
        as_numbers("x", hidden, "iu")
    envs = recsys_env.vector_env(SMALL, 1)
    envs.reset(seed=0)
    for call in (
        lambda: envs.step(np.ma.masked_array(envs.empty_actions(), True)),
        lambda: envs.checked_action(0, hidden),
    ):
        with pytest.raises(ValueError, match=r"masked_array"):
            call()
    parallel = recsys_env.parallel_env(SMALL)
    parallel.reset(seed=0)
    with pytest.raises(ValueError, match=r"^action of recommender_1 is masked_array"):
        parallel.step({"recommender_0": np.zeros(2, int), "recommender_1": hidden})


def test_what_is_nested_deeper_than_infos_is_refused() -> None:
    assert recsys_env.plain(nested(20)) == nested(20)
    with pytest.raises(ValueError, match=r"^value = .* is nested too deep$"):
        recsys_env.plain(nested(5000))


# ------------------------------------------------------------------------------------------------ catalogues


@pytest.mark.parametrize(
    "again",
    [
        lambda made: made,
        copy.copy,
        copy.deepcopy,
        lambda made: pickle.loads(pickle.dumps(made)),
        lambda made: replace(made, source="again"),
        lambda made: Catalogue(**vars(made)),
    ],
    ids=["made", "copied", "deeply copied", "pickled", "replaced", "made of its arrays"],
)
def test_a_catalogue_cannot_be_written_to(again: Callable[[Catalogue], Catalogue]) -> None:
    made = small_catalogue()
    found = again(made)
    assert replace(found, source=made.source) == made
    for name, array in found.arrays().items():
        with pytest.raises(ValueError, match="read-only"):
            array[:] = array[::-1]
        assert array.dtype == getattr(made, name).dtype


def test_a_catalogue_holds_copies_of_its_arrays() -> None:
    given = {name: array.copy() for name, array in small_catalogue().arrays().items()}
    made = Catalogue(**given)  # type: ignore[arg-type]
    price = float(made.item_price[0])
    given["item_price"][0] = -1.0
    assert made.item_price[0] == price
    with pytest.raises(TypeError, match=r"^Catalogue.item_price = masked_array.* must be an array without a mask$"):
        replace(made, item_price=np.ma.masked_array(made.item_price, True))


def test_a_loaded_catalogue_cannot_be_written_to(tmp_path: Path) -> None:
    small_catalogue().save(tmp_path / "shop.npz")
    for catalogue in (Catalogue.load(tmp_path / "shop.npz"), Catalogue.load("grocery")):
        assert not any(array.flags.writeable for array in catalogue.arrays().values())


# ------------------------------------------------------------------------------------------------ files


WRITERS: dict[str, Callable[[Path], Any]] = {
    "look": check_writable,
    "json": lambda path: write_json(path, {}),
    "arrays": lambda path: write_arrays(path, {}),
    "catalogue": lambda path: small_catalogue().save(path.rename(f"{path}.npz")),
}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_pipe_stays(writer: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"pipe(\.npz)? is a device, a pipe or a socket, not a file$"):
        WRITERS[writer](pipe)
    (left,) = tmp_path.iterdir()
    assert stat.S_ISFIFO(left.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no devices")
def test_a_device_is_no_file() -> None:
    with pytest.raises(OSError, match=r"^/dev/zero is a device"):
        check_writable(Path("/dev/zero"))


def test_a_link_stays_and_leads_to_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "link", tmp_path / "there" / "file"
    link.symlink_to(file)
    for value in (1, 2):  # of a link that leads nowhere, and of one to a file
        check_writable(link)
        write_json(link, value)
        assert link.is_symlink()
        assert file.read_text() == f"{value}\n"
    assert {path.name for path in tmp_path.rglob("*")} == {"link", "there", "file"}
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"), replacing(tmp_path / "there"):
        pass


def test_long_names_are_written_or_refused_before_the_work(tmp_path: Path) -> None:
    write_json(tmp_path / ("x" * 255), 1)
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
    for call in (check_writable, lambda path: write_json(path, 1)):
        with pytest.raises(OSError, match=r"xxx cannot be written: File name too long$"):
            call(tmp_path / ("x" * 300))


def test_what_is_no_letter_of_a_path_is_refused() -> None:
    for call in (fitting.FittedWorld.load, lambda path: checked_path("path", path)):
        with pytest.raises(
            ValueError,
            match=r"^path = 'a\\ud800' must be a path; it contains '\\ud800', which names of files cannot hold$",
        ):
            call("a\ud800")
    assert checked_path("path", os.fsdecode(b"\xff")) == Path(os.fsdecode(b"\xff"))


@pytest.mark.parametrize("out", [3, None, ["x"]])
def test_results_go_into_a_folder(out: Any) -> None:
    with pytest.raises(TypeError, match=r"^out = .* must be a path$"):
        runs.play_all([], out, False)


@pytest.mark.parametrize("word", ["os:system", "math:pi", "recsys_env:vector_env", "sys:exit", "builtins:breakpoint.x"])
def test_what_makes_no_policy_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=rf"^policy '{word}'|^policy 'builtins:breakpoint.x': module") as caught:
        policies.make_policy(word)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ tables


def table(**changes: Any) -> exact.MarkovGame:
    return replace(exact.textbook_example(), **changes)


@pytest.mark.parametrize("choices", [[[0], [0]], [[1], [0]], [[-1], [0]], [[0], [2**62]], [[0, 0], [1, 1]]])
def test_choices_are_all_combinations(choices: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"^MarkovGame: choices = .* must be all combinations of one number"):
        table(choices=np.array(choices))
    assert table(choices=np.array([[0], [1]])).engine_actions(np.array([1, 0])).tolist() == [1, 0]


def test_tables_are_of_numbers_that_can_be_solved() -> None:
    game = exact.textbook_example()
    for name in ("transitions", "rewards"):
        given = getattr(game, name)
        with pytest.raises(TypeError, match=rf"^MarkovGame: {name} of dtype float16 must be of float32 or float64$"):
            table(**{name: given.astype(np.float16)})
        with pytest.raises(TypeError, match=rf"^MarkovGame: {name} = masked_array"):
            table(**{name: np.ma.masked_array(given, True)})
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(TypeError, match=r"^MarkovGame: initial of dtype"):
            table(initial=game.initial.astype(np.longdouble))
    with pytest.raises(TypeError, match=r"^policy = .* must be actions below 2"):
        game.checked_policy(np.ma.masked_array([0, 1, 0], [True, False, False]))


def test_games_that_are_too_large_are_refused_at_once() -> None:
    pytest.importorskip("nashpy")
    for size in (12, 300):
        with pytest.raises(ValueError, match=rf"^payoffs of {size} x {size} actions are too many"):
            exact.mixed_equilibria(np.zeros((2, size, size)))
    with pytest.raises(ValueError, match=r"^payoffs of 300 x 300 actions make a linear program of \d+ entries"):
        exact.correlated_equilibrium(np.zeros((2, 300, 300)))


def test_the_vertices_of_a_square_are_four() -> None:
    from recsys_env.exact.solve import _most_vertices

    assert [_most_vertices(dims, more) for dims, more in ((1, 1), (2, 1), (2, 2), (3, 1), (3, 3), (4, 2))] == [
        *(2, 3, 4, 4, 8, 9)
    ]


def test_a_zero_sum_game_names_its_rewards() -> None:
    rewards = np.full((2, 1, 1), 1e200)
    rewards[1] *= -1
    game = exact.MarkovGame(("s",), ("a", "b"), ("x",), np.ones((1, 1, 1)), rewards, rewards, np.ones(1))
    with pytest.raises(ValueError, match=r"^game.rewards reach 1e\+200; allowed are numbers from -1e\+12 to 1e\+12$"):
        exact.zero_sum_value(game, 0.9)


def test_nothing_follows_the_end_of_an_episode() -> None:
    env = recsys_env.parallel_env(SMALL, horizon=1)
    joint = dict.fromkeys(env.possible_agents, np.zeros(2, int))
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        exact.counterfactual(env, joint, joint, 1, 2)
    env.reset(seed=0)
    env.step(joint)
    with pytest.raises(RuntimeError, match=r"the episode is over"):
        exact.counterfactual(env, joint, joint, 1, 2)


# ------------------------------------------------------------------------------------------------ texts


def reader() -> tuple[Any, np.ndarray]:
    envs = recsys_env.vector_env(SMALL, 2)
    made = language.Reader()
    made.bind(envs, "recommender_0", 0)
    return made, envs.reset(seed=0)[0][:, 0]


def test_pages_are_read_of_all_copies() -> None:
    made, observations = reader()
    for given, told in (
        (observations * np.nan, "^observations = .* must be finite numbers$"),
        (None, "^observations = None .*must be finite numbers$"),
        (observations[:1], r"^observations of shape \(1, \d+\), expected \(2, \d+\)"),
        (observations[:, :-1], r"^observations of shape \(2, \d+\), expected \(2, \d+\)"),
        (observations[0], r"^observations of shape \(\d+,\), expected \(2, \d+\)"),
    ):
        with pytest.raises((ValueError, TypeError), match=told):
            made.read(given)
    assert len(made.read(observations)) == 2


def test_pages_are_read_before_answers_are_written() -> None:
    made, observations = reader()
    with pytest.raises(RuntimeError, match=r"^call read\(observations\) before write\(answers\)$"):
        made.write([])
    unreset = language.Reader()
    unreset.bind(recsys_env.vector_env(SMALL, 2), "recommender_0", 0)
    with pytest.raises(RuntimeError, match=r"reset\(\)"):
        unreset.read(observations)


class Rating(language.LanguageModel):
    """Rates titles as it is told to, and does not call the `__init__` of what it is made of."""

    name, rates = "rating", True

    def __init__(self, found: Callable[[int], Any], usual: Callable[[int], Any] = np.zeros) -> None:
        self.found, self.usual = found, usual

    def log_likelihoods(self, context: str, options: Sequence[str]) -> Any:
        return self.found(len(options))

    def prior(self, context: str, options: Sequence[str]) -> Any:
        return self.usual(len(options))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (lambda count: np.full(count, np.nan), "must be finite numbers"),
        (lambda count: np.full(count, -np.inf), "must be finite numbers"),
        (lambda count: np.zeros(count, complex), "must be finite numbers"),
        (lambda count: None, "must be finite numbers"),
        (lambda count: np.zeros(1), r"has shape \(1,\), expected \(\d+,\)"),
        (lambda count: np.zeros((count, 2)), r"has shape \(\d+, 2\), expected \(\d+,\)"),
    ],
    ids=["NaN", "infinite", "complex", "None", "short", "flat"],
)
def test_a_model_rates_every_title(found: Callable[[int], Any], told: str) -> None:
    for method, model in (("log_likelihoods", Rating(found)), ("prior", Rating(np.zeros, found))):
        policy, envs = language.LanguagePolicy(model), recsys_env.vector_env(SMALL, 2)
        policy.bind(envs, "recommender_0", 0)
        observations, _ = envs.reset(seed=0)
        with pytest.raises((ValueError, TypeError), match=rf"^{method}\(\) of the model 'rating' = .*{told}"):
            policy.act(observations[:, 0])


def test_a_model_counts_without_an_init_of_its_own() -> None:
    policy, envs = language.LanguagePolicy(Rating(lambda count: [0.0] * count)), recsys_env.vector_env(SMALL, 2)
    policy.bind(envs, "recommender_0", 0)
    assert policy.act(envs.reset(seed=0)[0][:, 0]).shape == (2, 2)
    assert policy.model.usage.calls == 0


def test_a_text_is_of_letters() -> None:
    with pytest.raises(
        ValueError, match=r"^texts\[1\] = 'b\\ud800' must be a string of characters; '\\ud800' is none$"
    ):
        language.encode(["a", "b\ud800"], "hashing")
