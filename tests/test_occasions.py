"""What users bought and had bought before, occasion by occasion; and the weights that follow from it."""

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("scipy")

from fitted_weights import in_place, on_top  # noqa: E402
from scipy.sparse import csr_matrix  # noqa: E402

from recsys_env.fitting import occasions as module  # noqa: E402
from recsys_env.fitting.occasions import blocks_of, occasions_of, returning_users  # noqa: E402
from recsys_env.fitting.prices import price_sensitivity  # noqa: E402
from recsys_env.fitting.weights import (  # noqa: E402
    Choices,
    Observed,
    _information,
    _log_likelihood,
)

NOW, HALF_LIFE = 10.0, 5.0


def lines(*rows: tuple[int, int, float]) -> "pd.DataFrame":
    """A tidy log of users, items and days."""
    return pd.DataFrame(rows, columns=["user", "item", "day"])


def test_occasions_know_what_was_bought_before_them() -> None:
    before = lines((0, 1, 5.0), (0, 1, 10.0 - 1e-9), (2, 0, 0.0), (1, 3, 2.0))
    after = lines((2, 0, 15.0), (2, 2, 10.0), (2, 0, 10.0), (0, 3, 12.0), (0, 3, 20.0), (0, 1, 20.0), (3, 1, 11.0))
    users = np.array([2, 0])  # in the order of a sample
    user, bought, known, habit = occasions_of(before, after, users, (4, 4), NOW, HALF_LIFE, 3)
    np.testing.assert_array_equal(user, [0, 0, 1, 1])  # user 2 at days 10 and 15, user 0 at days 12 and 20
    np.testing.assert_array_equal(bought.toarray(), [[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 1]])
    np.testing.assert_allclose(known.toarray(), [[1, 0, 0, 0], [2, 0, 1, 0], [0, 2, 0, 0], [0, 2, 0, 1]])
    half = 0.5 ** (np.array([[10, 99, 99, 99], [15, 99, 5, 99], [99, 7, 99, 99], [99, 15, 99, 8]]) / HALF_LIFE)
    more = 0.5 ** (np.array([[99, 99, 99, 99], [5, 99, 99, 99], [99, 2, 99, 99], [99, 10, 99, 99]]) / HALF_LIFE)
    expected = (half + more) * (known.toarray() > 0)
    np.testing.assert_allclose(habit.toarray(), expected, atol=1e-5)
    largest = occasions_of(before, after, users, (4, 4), NOW, HALF_LIFE, 1).habit.toarray()
    np.testing.assert_allclose(largest, np.where(expected == expected.max(axis=1, keepdims=True), expected, 0), 1e-5)


def test_a_sample_of_users_fills_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    before = lines(*((int(user), int(item), 1.0) for user, item in rng.integers(20, size=(400, 2))))
    after = lines(*((int(user), int(item), day) for user, item in rng.integers(20, size=(200, 2)) for day in (11, 12)))
    users, cells = returning_users(before, after, (20, 20), 4, 2.0, 12.0)
    assert sorted(users) == sorted(set(before["user"]) & set(after["user"]))
    monkeypatch.setattr(module, "LIKELIHOOD_CELLS", int(cells[:7].sum()))
    some, its_cells = returning_users(before, after, (20, 20), 4, 2.0, 12.0)
    np.testing.assert_array_equal(some, users[:7])
    np.testing.assert_array_equal(its_cells, cells[:7])
    occasions = occasions_of(before, after, users, (20, 20), NOW, HALF_LIFE, 3)
    stored = np.bincount(occasions.user, np.diff(occasions.known.indptr), len(users))
    assert (stored + 20 <= cells).all()


def test_a_log_without_a_past_says_what_is_missing() -> None:
    many = lines(*((user, user + item, 1.0) for user in range(20) for item in range(5)))
    one, others = many[many["user"] < 10], many[many["user"] >= 10]
    for before, after, days, said in (
        (many[:0], many, 2.0, r"spans 2\.0 days, so that nothing comes before the last weight_days = 2;"),
        (many[:3], many, 9.0, "has 3 items that were bought before the last .*, and dims = 4 dimensions"),
        (one, others, 9.0, "no user bought something both before the last weight_days = 2 of the log and in them"),
    ):
        with pytest.raises(ValueError, match=said):
            returning_users(before, after, (20, 25), 4, 2.0, days)


def test_blocks_hold_all_users_and_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_CELLS", 10)
    assert list(blocks_of(np.array([4, 5, 2, 30, 1, 9]))) == [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 6)]
    assert list(blocks_of(np.array([11]))) == [slice(0, 1)]


@pytest.mark.parametrize("what", ["alike", "last", "excluded"])
def test_the_likelihood_is_that_of_every_single_purchase(what: str) -> None:
    rng = np.random.default_rng(3)
    features, w = rng.normal(size=(3, 5, 12)), rng.normal(size=3)
    user = np.sort(rng.integers(5, size=20))
    known = csr_matrix((rng.random((20, 12)) < 0.3).astype(float))
    bought = csr_matrix(rng.poisson(0.4, (20, 12)).astype(float))
    utility = np.tensordot(w, features, 1)[user]
    block = Observed(features, user, bought)
    if what == "last":
        features[-1] = 0
        last = csr_matrix(known.multiply(rng.normal(size=known.shape)))
        block = Observed(features, user, bought, last=last)
        utility = np.tensordot(w, features, 1)[user] + w[-1] * last.toarray()
    if what == "excluded":
        bought = csr_matrix(bought.multiply(known.toarray() == 0))
        block = Observed(features, user, bought, excluded=known)
        utility = np.where(known.toarray() > 0, -np.inf, utility)
    log_share = utility - np.log(np.exp(utility).sum(axis=1, keepdims=True))
    value, slope = _log_likelihood(block, w)
    assert value == pytest.approx(sum(bought[k, j] * log_share[k, j] for k, j in zip(*bought.nonzero(), strict=True)))
    steps = 1e-5 * np.eye(3)
    around = [(_log_likelihood(block, w + step), _log_likelihood(block, w - step)) for step in steps]
    np.testing.assert_allclose(slope, [(up[0] - down[0]) / 2e-5 for up, down in around], rtol=1e-4)
    np.testing.assert_allclose(
        _information(block, w), [(down[1] - up[1]) / 2e-5 for up, down in around], rtol=1e-4, atol=1e-6
    )


def purchases(rng: np.random.Generator, utility: np.ndarray, habit: float, days: int) -> "pd.DataFrame":
    """One purchase a day of each user [U, M], with habits of all purchases before."""
    past, rows = np.zeros_like(utility), []
    for day in range(days):
        v = utility + habit * np.log1p(past)
        item = np.argmax(v + rng.gumbel(size=v.shape), axis=1)
        past *= 0.5 ** (1 / HALF_LIFE)
        past[np.arange(len(v)), item] += 0.5 ** (1 / HALF_LIFE)
        rows.append(pd.DataFrame({"user": np.arange(len(v)), "item": item, "day": float(day)}))
    return pd.concat(rows, ignore_index=True)


def test_a_product_that_users_buy_again_is_new_once() -> None:
    """Users who buy often within the days that are looked at must not make popularity and taste weigh more."""
    rng = np.random.default_rng(4)
    popularity, taste = np.tile(rng.normal(size=40), (400, 1)), rng.normal(size=(400, 40))
    log = purchases(rng, popularity + 2.0 * taste, 1.0, 30)
    before, after = log[log["day"] < NOW], log[log["day"] >= NOW]
    occasions = occasions_of(before, after, np.arange(400), popularity.shape, NOW, HALF_LIFE, 40)

    def weights(occasions: module.Occasions) -> np.ndarray:
        return on_top(Choices(np.stack([popularity, taste]), occasions))[0].weights

    np.testing.assert_allclose(weights(occasions), [1.0, 2.0, 1.0], rtol=0.08)
    first = np.searchsorted(occasions.user, occasions.user)  # as if all were known at the beginning alone
    frozen = occasions._replace(known=occasions.known[first], habit=occasions.habit[first])
    assert weights(frozen)[0] > 1.15


def planted_choices(rng: np.random.Generator, in_place: bool) -> Choices:
    """What 400 users of 30 items bought, with habit in the place of the liking, or on top of it."""
    liking = rng.normal(size=(400, 30))
    count = np.where(rng.random((400, 30)) < 0.3, rng.exponential(1.0, (400, 30)), 0.0)
    share = np.exp(1.2 * liking) + 0.7 * count if in_place else np.exp(1.2 * liking + 0.9 * np.log1p(count / 0.3))
    bought = csr_matrix([rng.multinomial(50, row / row.sum()) for row in share]).astype(float)
    past = csr_matrix(count)
    return Choices(liking[None], module.Occasions(np.arange(400), bought, past, past))


def test_habit_in_place_of_liking_is_recovered() -> None:
    choices = planted_choices(np.random.default_rng(6), in_place=True)
    weights, errors, log_likelihood = in_place(choices)
    assert (errors > 0).all()
    assert (np.abs(weights - [1.2, 0.7]) < 3 * errors).all()
    assert (errors < [0.05, 0.05]).all()
    liking, (_, bought, _, habit) = choices.features[0], choices.occasions
    share = np.exp(weights[0] * liking) + weights[1] * habit.toarray()
    single = np.log(share / share.sum(axis=1, keepdims=True))
    assert log_likelihood == pytest.approx(float((bought.toarray() * single).sum() / bought.sum()), abs=1e-9)


@pytest.mark.parametrize("level", [-15.0, 15.0])
def test_the_level_of_the_liking_changes_only_the_unit_of_the_rate(level: float) -> None:
    """A choice among many items has a high level. Before, the search began where habits weigh nothing, and stayed."""
    choices = planted_choices(np.random.default_rng(6), in_place=True)
    shifted = in_place(choices._replace(features=choices.features + level))
    weights, _, log_likelihood = in_place(choices)
    assert shifted.log_likelihood == pytest.approx(log_likelihood, abs=1e-6)
    assert shifted.weights[0] == pytest.approx(weights[0], rel=1e-3)
    assert np.log(shifted.weights[1] / weights[1]) == pytest.approx(weights[0] * level, abs=0.05)


@pytest.mark.parametrize("planted", [True, False])
def test_how_habit_counts_is_told_from_purchases(planted: bool) -> None:
    for seed in range(3):
        choices = planted_choices(np.random.default_rng(seed), planted)
        replaced, (added, _) = in_place(choices), on_top(choices, (1.0, 0.3, 0.1, 0.03))
        assert (replaced.log_likelihood > added.log_likelihood) == planted


def test_errors_of_the_rate_are_those_of_repeated_logs() -> None:
    found = [in_place(planted_choices(np.random.default_rng(seed), in_place=True)) for seed in range(30)]
    weights, errors = (np.array([part[i] for part in found]) for i in range(2))
    np.testing.assert_allclose(weights.std(axis=0), errors.mean(axis=0), rtol=0.45)  # of 30, which is 13 % uncertain


def test_a_user_who_knows_all_items_teaches_nothing_of_new_ones() -> None:
    rng = np.random.default_rng(8)
    features = rng.normal(size=(2, 60, 10))
    share = np.exp(features.sum(axis=0))
    bought = csr_matrix([rng.multinomial(5, row / row.sum()) for row in share]).astype(float)
    known = rng.random((60, 10)) < 0.3
    known[7] = True
    past = csr_matrix(known.astype(float))
    occasions = module.Occasions(np.arange(60), bought, past, past)
    weights = on_top(Choices(features, occasions))[0].weights
    others = np.delete(np.arange(60), 7)
    part = module.Occasions(np.arange(59), bought[others], past[others], past[others])
    without = on_top(Choices(features[:, others], part))[0].weights
    np.testing.assert_allclose(weights, without, atol=0.05)
    assert not np.allclose(weights[:2], 1.0)


def test_users_who_are_alike_have_hardly_different_sensitivities() -> None:
    rng = np.random.default_rng(5)
    for purchases_each in (2, 12):
        user = np.repeat(np.arange(2000), purchases_each)
        log = pd.DataFrame({"user": user, "item": 0, "paid": np.exp(0.3 * rng.normal(size=len(user)))})
        rho = price_sensitivity(log, 2003, np.zeros(1, int), 1.5)
        assert np.log(rho).std() < 0.05
        assert len(rho) == 2003
        assert rho.mean() == pytest.approx(1)
    differ = log.assign(paid=log["paid"] * np.exp(0.2 * (user % 2)))
    rho = price_sensitivity(differ, 2003, np.zeros(1, int), 1.5)
    assert np.mean(rho[:2000:2]) > 1.2 > 0.8 > np.mean(rho[1:2000:2])
