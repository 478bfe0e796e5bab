"""The generator: SplitMix64 to the bit, uniform, and independent across copies, episodes, ticks, events and indices."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import plain_game
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys_env.kernels.machine import rng as kernels_rng
from recsys_env.kernels.machine.rng import check_events, copy_seeds, uniforms

AXES = ("copies", "episodes", "ticks", "events", "indices")
SPLITMIX64_1234567 = (
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)
PURPOSES = plain_game.TICKS, plain_game.PEOPLE, plain_game.PROMOTIONS, plain_game.COPIES
UNLIKELY = 1e-4  # p-values below this fail; all draws are fixed, so a passing test stays passing


def draw(copies, episodes, ticks, events, indices) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Draws at coordinates that broadcast against each other."""
    copies, episodes, ticks, events, indices = np.broadcast_arrays(copies, episodes, ticks, events, indices)
    out, shape = np.empty(copies.size), copies.shape
    flat = [np.ravel(axis).astype(np.int64) for axis in (episodes, ticks, events, indices)]
    seeds = np.ravel(copies).astype(np.uint64)
    counters = flat[2] * 2**32 + flat[3]
    order = np.argsort(counters, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(counters[order])) + 1):
        part = np.empty(len(rows))
        uniforms(seeds[rows], flat[0][rows], flat[1][rows], int(flat[2][rows[0]]), int(flat[3][rows[0]]), part)
        out[rows] = part
    return out.reshape(shape)


def origin(rng: np.random.Generator, size: int) -> list[np.ndarray]:
    """Coordinates such as occur in play."""
    return [rng.integers(0, high, size) for high in (2**63, 1000, 1000, 15, 500)]


def along(axis: str, repetitions: int = 16, length: int = 2048) -> np.ndarray:
    """[repetitions, length] draws: from each origin, `length` steps along one axis."""
    start = [coordinate[:, None] for coordinate in origin(np.random.default_rng(AXES.index(axis)), repetitions)]
    start[AXES.index(axis)] = start[AXES.index(axis)] + np.arange(length)
    return draw(*start)


def uniformity(values: np.ndarray, bins: int) -> float:
    """p-value of a chi-square test of values in [0, 1)."""
    return equal_counts(np.floor(values * bins), bins)


def pair_uniformity(x: np.ndarray, y: np.ndarray, bins: int = 16) -> float:
    """p-value of a chi-square test of the pairs (x, y) on the unit square."""
    return equal_counts(np.floor(x * bins) * bins + np.floor(y * bins), bins * bins)


def equal_counts(cells: np.ndarray, number: int) -> float:
    """p-value of a chi-square test that every cell is hit equally often."""
    return float(stats.chisquare(np.bincount(np.ravel(cells).astype(int), minlength=number)).pvalue)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """p-value of the correlation of two samples."""
    return float(stats.pearsonr(np.ravel(x), np.ravel(y)).pvalue)


def test_the_plain_generator_gives_the_published_outputs_of_splitmix64() -> None:
    assert tuple(plain_game.splitmix64(1234567, i) for i in range(5)) == SPLITMIX64_1234567


@settings(deadline=None, database=None, derandomize=True)
@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(-1, 2**31 - 1),
    st.integers(0, 15),
    st.integers(0, 2**32 - 1),
)
def test_the_kernels_generator_is_the_plain_one(seed: int, episode: int, tick: int, event: int, index: int) -> None:
    expected = plain_game.Draws(plain_game.child(plain_game.stream(seed, plain_game.TICKS), episode, tick)).uniform(
        event, index
    )
    assert draw(np.uint64(seed), episode, tick, event, index) == expected
    assert 0 <= expected < 1


def test_no_two_events_share_a_draw_and_none_has_been_renumbered() -> None:
    ids = {name: value for name, value in vars(kernels_rng).items() if name.isupper() and isinstance(value, int)}
    assert ids == {name: value for name, value in vars(plain_game.events).items() if name.isupper()}
    person = [value for name, value in ids.items() if name.startswith("PERSON_")]
    tick = [value for name, value in ids.items() if not name.startswith("PERSON_")]
    assert sorted(person) == list(range(6))
    assert sorted(tick) == list(range(20))


def test_two_events_with_the_same_number_are_refused() -> None:
    """Events of a tick and of a person have different keys, so that they may share numbers."""
    check_events({"CLICK": 0, "NOISE": 1, "PERSON_TOPIC": 0, "PERSON_WEIGHT": 1})
    with pytest.raises(TypeError, match="events CLICK and LIKE have the same number 0; give one a number of its own"):
        check_events({"CLICK": 0, "NOISE": 1, "LIKE": 0})
    with pytest.raises(TypeError, match="events PERSON_TOPIC and PERSON_ROW have the same number 0"):
        check_events({"PERSON_TOPIC": 0, "PERSON_ROW": 0})


@pytest.mark.parametrize("axis", AXES)
def test_draws_are_uniform_along_every_axis(axis: str) -> None:
    values = along(axis)
    assert uniformity(values, 256) > UNLIKELY
    assert stats.kstest(np.ravel(values), "uniform").pvalue > UNLIKELY
    assert uniformity(values * 2**45 % 1, 256) > UNLIKELY, "the lowest eight of 53 bits"


@pytest.mark.parametrize("axis", AXES)
def test_neighbours_along_every_axis_are_independent(axis: str) -> None:
    values = along(axis)
    for lag in (1, 2, 3, 5, 8, 13):
        assert correlation(values[:, :-lag], values[:, lag:]) > UNLIKELY, f"lag {lag}"
        assert pair_uniformity(values[:, :-lag], values[:, lag:]) > UNLIKELY, f"lag {lag}"
    triples = np.floor(values[:, :2046].reshape(-1, 3) * 6) @ [36, 6, 1]
    assert equal_counts(triples, 216) > UNLIKELY


@pytest.mark.parametrize("axis", AXES)
def test_streams_from_different_origins_are_independent(axis: str) -> None:
    values = along(axis)
    p_values = [correlation(values[i], values[k]) for i, k in combinations(range(len(values)), 2)]
    assert stats.kstest(p_values, "uniform").pvalue > UNLIKELY
    assert min(p_values) > UNLIKELY / len(p_values)


@pytest.mark.parametrize(("one", "other"), list(combinations(AXES, 2)))
@pytest.mark.parametrize("direction", [1, -1])
def test_moving_on_two_axes_at_once_gives_an_independent_draw(one: str, other: str, direction: int) -> None:
    """No step on one axis is undone by, or equal to, a step on another one."""
    start = origin(np.random.default_rng(7), 8192)
    start[AXES.index(other)] += 1  # room for a step back
    first, second, both = ([axis.copy() for axis in start] for _ in range(3))
    second[AXES.index(one)] += 1
    both[AXES.index(one)] += 1
    both[AXES.index(other)] += direction
    x = draw(*first)
    for moved in (second, both):
        y = draw(*moved)
        assert correlation(x, y) > UNLIKELY
        assert pair_uniformity(x, y, 8) > UNLIKELY
        assert uniformity((x + y) % 1, 64) > UNLIKELY
        assert uniformity((x - y) % 1, 64) > UNLIKELY


def test_no_two_places_of_a_grid_share_a_draw() -> None:
    grid = draw(*np.ogrid[0:16, 0:8, -1:15, 0:15, 0:8])
    assert np.unique(grid).size == grid.size
    assert uniformity(grid, 256) > UNLIKELY


# Differences of two seeds that an arithmetic of seeds, episodes, copies and ticks could undo.
OFFSETS = np.unique(
    np.array(
        [
            sign * constant * i
            for constant in (1, 2**32, plain_game.GOLDEN, *PURPOSES)
            for i in range(1, 9)
            for sign in (1, -1)
        ],
        object,
    )
    % 2**64
).astype(np.uint64)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**63 - 1, plain_game.GOLDEN])
def test_no_difference_of_seeds_is_undone_by_an_episode_a_tick_or_an_event(seed: int) -> None:
    first = np.uint64(seed)
    seeds = np.unique(np.concatenate((first[None], first + OFFSETS, first ^ OFFSETS)))
    values = draw(seeds[:, None, None, None, None], *np.ogrid[0:4, -1:3, 0:4, 0:2])
    assert len(seeds) > 100
    assert np.unique(values).size == values.size


def test_no_copy_of_a_batch_has_the_seed_of_another_batchs_copy() -> None:
    seeds = np.unique(
        np.concatenate([np.uint64(s) + OFFSETS for s in (0, 1, 2**63)] + [np.uint64(s) ^ OFFSETS for s in (0, 9)])
    )
    table = np.stack([copy_seeds(int(seed), np.arange(9)) for seed in seeds])
    assert np.unique(table).size == table.size
    np.testing.assert_array_equal(table[:, 0], seeds)
    assert table[0].tolist() == [plain_game.copy_seed(int(seeds[0]), b) for b in range(9)]


def test_no_person_is_met_under_another_seed_and_episode() -> None:
    """Keys of people in the plain game, which the kernels' people equal on random worlds."""
    keys = [
        plain_game.child(plain_game.stream(int(seed), purpose), episode, u, incarnation)
        for seed in np.concatenate((np.zeros(1, np.uint64), OFFSETS[:40]))
        for purpose in (plain_game.PEOPLE, plain_game.TICKS)
        for episode in range(3)
        for u in range(3)
        for incarnation in range(3)
    ]
    assert len(set(keys)) == len(keys)


def test_every_bit_of_the_seed_matters() -> None:
    """Avalanche: flipping one bit flips each of the 53 bits of a draw in half of the cases."""
    rng = np.random.default_rng(3)
    seeds = rng.integers(0, 2**64, 4096, np.uint64)

    def drawn_bits(keys: np.ndarray) -> np.ndarray:
        return (
            (draw(keys, 0, 0, 0, 0) * 2**53).astype(np.uint64)[:, None] >> np.arange(53, dtype=np.uint64)
        ) & np.uint64(1)

    before = drawn_bits(seeds)
    for bit in range(64):
        flipped = (before ^ drawn_bits(seeds ^ np.uint64(1 << bit))).mean(0)
        assert np.abs(flipped - 0.5).max() < 5.5 / np.sqrt(4 * len(seeds)), f"bit {bit}"
