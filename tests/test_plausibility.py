"""Logs that are no purchases, or not once each, or not at prices: refused by name, or fitted with a stated doubt."""

import re

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("implicit")

from test_fitting import PRICE, planted_log  # noqa: E402

from recsys_env.fitting import FittedWorld, LogWarning, fit  # noqa: E402
from recsys_env.fitting.plausibility import (  # noqa: E402
    FEW,
    FEW_USERS,
    FEWEST,
    FEWEST_USERS,
    check_events,
    check_weight,
    doubts_about_columns,
    doubts_about_far_times,
    doubts_about_fractions,
    doubts_about_quantity,
)
from recsys_env.fitting.times import how_to_convert, read_times, refuse_two_zones, refuse_unread, times_in  # noqa: E402

OPTIONS = {"origin": "free_choice", "dims": 4, "habit_size": 8}


@pytest.fixture(scope="module")
def log():
    return planted_log()


def every_other(log, *values):
    return np.array(values)[np.arange(len(log)) % len(values)]


def with_price(log, row, price):
    return log.assign(sales_value=np.where(np.arange(len(log)) == row, price, log["sales_value"]))


REFUSED = {
    "events": (
        lambda log: log.assign(event=every_other(log, "purchase", "view", "addToCart")),
        r"column 'event' says that 4800 of 7200 rows are no purchases, the first is row 1 with 'view'; give fit the "
        "rows of purchases alone, or drop the column if every row is one",
    ),
    "clicks alone": (lambda log: log.assign(type="click"), "column 'type' says that 7200 of 7200 .* with 'click'"),
    "events as categories": (
        lambda log: log.assign(what=pd.Categorical(every_other(log, "Bought", "Page view", "pv"))),
        "column 'what' says that 4800 of 7200 rows .* row 1 with 'Page view'",
    ),
    "impressions": (
        lambda log: log.assign(clicked=every_other(log, 1, 0)),
        "column 'clicked' says that 3600 of 7200 rows are no purchases, the first is row 1 with '0'",
    ),
    "impressions as truth values": (
        lambda log: log.assign(is_purchase=every_other(log, True, True, False)),
        "column 'is_purchase' says that 2400 of 7200 .* row 2 with 'False'",
    ),
    "events that are a flag": (
        lambda log: log.assign(event=every_other(log, 1, 0)),
        "column 'event' says that 3600 of 7200 rows are no purchases, the first is row 1 with '0'",
    ),
    "no prices": (
        lambda log: log.assign(sales_value=0.0),
        "column 'sales_value' must be finite and > 0; 7200 of 7200 rows are not, the first is row 0 with 0.0, as in a "
        "log without prices: name no column for price",
    ),
    "every row three times": (
        lambda log: pd.concat([log] * 3),
        "14400 of 21600 rows repeat an earlier row in the columns 'household_id', .*'retail_disc', the first is row "
        r"7200: every row stands 3 times or more; purchases.drop_duplicates\(\) keeps one each",
    ),
    "one price of 1e30": (
        lambda log: with_price(log, 17, 1e30),
        r"column 'sales_value' must be from 1e-06 to 1e\+12; 1 of 7200 rows are affected, the first is row 17 "
        r"with 1e\+30",
    ),
    "one price of a million": (
        lambda log: with_price(log, 17, 1e6),
        "column 'sales_value' gives 1 of 7200 rows a price per unit that is more than 1,000 times above or below the "
        "median price of its product; the first is row 17 with 500000 instead of about",
    ),
    "products at absurd prices": (
        lambda log: log.assign(sales_value=np.where(log["product_id"] == 1003, 1e11, log["sales_value"])),
        "column 'sales_value' gives [0-9]+ of 7200 .* more than 1,000,000 times above or below the usual price of the "
        "products; the first is row [0-9]+ with 5e.10 instead of about",
    ),
    "prices over an absurd range": (
        lambda log: log.assign(sales_value=10.0 ** np.random.default_rng(0).uniform(-6, 12, len(log))),
        "column 'sales_value' gives [0-9]+ of 7200 rows a price per unit that is more than 1,000 times",
    ),
    "twenty rows": (
        lambda log: log.sample(20, random_state=0),
        r"^the log has 20 purchases of [0-9]+ users in column 'household_id'; a fit needs 50 purchases of 20 users ",
    ),
    "one user": (
        lambda log: log[log["household_id"] == 100],
        "the log has 120 purchases of 1 users in column 'household_id'; a fit needs 50 purchases",
    ),
    "one item": (
        lambda log: log.assign(product_id=1003),
        "dims = 4 dimensions .* and 1 items in column 'product_id': take a longer log$",
    ),
    "few users": (
        lambda log: log[log["household_id"] < 100 + FEWEST_USERS - 1],
        f"the log has 2280 purchases of 19 users in column 'household_id'; a fit needs {FEWEST} .* of {FEWEST_USERS}",
    ),
    "few users who bought lately": (
        lambda log: log[(log["household_id"] < 119) | (log["transaction_timestamp"] < "2024-03-20")],
        "weights of the utility would rest on [0-9]+ purchases of 19 users, .* weight_days = 28 .* needed are "
        f"{FEWEST} purchases of {FEWEST_USERS} users: set weight_days to 56$",
    ),
    "few users who bought before": (
        lambda log: log[(log["household_id"] < 119) | (log["transaction_timestamp"] > "2024-04-29 00:00")],
        "weights of the utility would rest on [0-9]+ purchases of 19 users, .* weight_days = 28 .* needed are "
        f"{FEWEST} purchases of {FEWEST_USERS} users: use a longer log$",
    ),
    "one purchase in 2033": (
        lambda log: log.assign(
            transaction_timestamp=log["transaction_timestamp"].where(log.index != 7, pd.Timestamp("2033-05-05"))
        ),
        "weights of the utility would rest on [0-9]+ purchases .* users: column 'transaction_timestamp': 1 of 7,200 "
        "times lie far from all others, the first is row 7 with '2033-05-05 00:00:00', while most are from "
        "'2024-01-0[0-9] 12:00:00' to '2024-04-2[0-9] 12:00:00'; correct them or leave these rows out",
    ),
    "discounts below zero": (
        lambda log: log.assign(retail_disc=-log["retail_disc"]),
        "'retail_disc' must be finite and >= 0; .* rows are below 0: write the amount taken off as a positive number",
    ),
    "empty after filtering": (
        lambda log: log.assign(product_id=log["product_id"].astype("category"))[log["sales_value"] < 0],
        "purchases is empty: it needs one row per purchase",
    ),
    "a missing id": (
        lambda log: log.assign(household_id=log["household_id"].where(np.arange(len(log)) != 5)),
        "column 'household_id' has 1 missing values; drop or fill those rows, the first is row 5",
    ),
    "empty ids": (
        lambda log: log.assign(product_id=log["product_id"].astype(str).where(log.index % 20 > 3, " ")),
        "column 'product_id' has 1440 missing values; drop or fill those rows, the first is row 0",
    ),
    "ids of several parts": (
        lambda log: log.assign(household_id=[(1, household) for household in log["household_id"]]),
        "column 'household_id' must hold one value as an id, .*: join the parts of an id to one text; 7200 of 7200 "
        r"rows are affected, the first is row 0 with \(1, 100\)",
    ),
    "several categories of an item": (
        lambda log: log.assign(product_category=[["milk", "tea"]] * len(log)),
        "column 'product_category' must hold one value as a label, .*: join the parts of a label to one text; 7200 of "
        r"7200 rows are affected, the first is row 0 with \['milk', 'tea'\]",
    ),
    "times of day": (
        lambda log: log.assign(
            transaction_timestamp=log["transaction_timestamp"].dt.strftime("%H:%M").where(log.index > 5, "2024-01-01")
        ),
        "column 'transaction_timestamp' holds times of day without a date in 7194 of 7200 rows, the first is row 6 "
        "with '12:00'; join each of them to its date",
    ),
    "ids of bytes": (
        lambda log: log.assign(product_id=[f"\u00fc{product}".encode() for product in log["product_id"]]),
        "column 'product_id' must hold integers or texts as ids, and not bytes: decode them, .*; 7200 of 7200 rows are "
        r"affected, the first is row 0 with b'.xc3",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_log_that_cannot_be_one_of_purchases_is_refused(log, name, monkeypatch):
    change, message = REFUSED[name]
    monkeypatch.setattr("recsys_env.fitting.estimate.taste_vectors", None)  # what takes long: all are refused before
    with pytest.raises(ValueError, match=message):
        fit(change(log), **OPTIONS)


DOUBTED = {
    "a third twice": (
        lambda log: pd.concat([log, log[log["household_id"] < 120]]),
        r"2400 of 9600 rows repeat an earlier row in the columns .*, the first is row 7200; if they are copies, "
        r"purchases.drop_duplicates\(\) keeps one each",
    ),
    "events by number": (
        lambda log: log.assign(behavior_type=every_other(log, 4, 1, 3)),
        "column 'behavior_type' has the values .'1', '3', '4'.; every row was taken for a purchase",
    ),
    "prices that never change": (
        lambda log: log.assign(sales_value=2 * PRICE[log["product_id"] - 1000], retail_disc=0.0),
        "column 'sales_value' hardly moves within a product, or hardly any product is bought several times in a week, "
        "so the log does not tell the weight of price: beta_price = 0",
    ),
    "the same price everywhere": (
        lambda log: log.assign(sales_value=1.0, retail_disc=0.0),
        "column 'sales_value' hardly moves within a product",
    ),
    "units that are not counted": (
        lambda log: log.assign(sales_value=log["sales_value"] * every_other(log, 1, 9, 2, 20, 5)),
        "column 'sales_value' gives prices per unit that typically differ from their product's median by a factor of",
    ),
    "prices per unit beside a quantity": (
        lambda log: log.assign(quantity=every_other(log, 1, 1, 2, 1, 3)),
        r"column 'sales_value': within a product, prices of rows hardly grow with column 'quantity' \(by its power "
        r"-?0\.[0-9]+\); a price must be that of the whole row",
    ),
    "discounts in percent": (
        lambda log: log.assign(retail_disc=every_other(log, 20.0, 15.0)),
        "column 'retail_disc': 7,200 of 7,200 discounts are larger than the price that is left, the first is row "
        r"0 with 20 taken off and [0-9.]+ left; a discount must be an amount of money, and no percentage",
    ),
    "one purchase in 2010": (
        lambda log: log.assign(
            transaction_timestamp=log["transaction_timestamp"].where(log.index != 7, pd.Timestamp("2010-05-05"))
        ),
        "column 'transaction_timestamp': 1 of 7,200 times lie far from all others, the first is row 7 with "
        "'2010-05-05 00:00:00', while most are from",
    ),
    "discounts as shares": (
        lambda log: log.assign(
            sales_value=10 * log["sales_value"], retail_disc=(log["retail_disc"] > 0) * every_other(log, 0.3, 0.2)
        ),
        "column 'retail_disc': all 2,782 discounts are below 1, and usually less than 10% of the price, the first is "
        r"row [0-9]+ with 0\.[23] taken off and [0-9.]+ left; a discount must be an amount of money, and no share",
    ),
    "one category": (
        lambda log: log.assign(product_category="food"),
        "column 'product_category' holds 'food' in all 7,200 rows: all items are of one topic, as without it",
    ),
    "ratings by another name": (
        lambda log: log.assign(**{"User Score": every_other(log, 0.5, 4.0, np.nan, 3.5)}),
        "column 'User Score' was not used: every row was taken for a choice of the item, however it was rated",
    ),
    "items with many categories": (
        lambda log: log.assign(product_category=every_other(log, *"abcdefg")),
        "[0-9]+ of 40 items have several topics, names, texts or domains: are the columns of users and items",
    ),
    "few users": (
        lambda log: log[log["household_id"] < 100 + FEW_USERS - 10],
        f"the weights of the utility rest on [0-9]+ purchases of 40 users: with fewer than {FEW} purchases or "
        f"{FEW_USERS} users they are uncertain",
    ),
    "percentages as ratings": (
        lambda log: log.assign(rating=np.arange(len(log)) % 101),
        "column 'rating' was not used: every row was taken for a choice of the item",
    ),
    "two currencies": (
        lambda log: log.assign(paid_in=every_other(log, "EUR", "EUR", "pln")),
        "column 'paid_in' names 2 currencies, EUR in 4,800 rows and PLN in 2,400; convert column 'sales_value'",
    ),
    "users without tastes": (
        lambda log: log.assign(household_id=np.random.default_rng(5).permutation(log["household_id"])),
        r"the weight of taste, -?[0-9.]+, is below 2 standard errors of [0-9.]+: the log does not show that users like",
    ),
    "ids that stand for missing ones": (
        lambda log: log.assign(product_id=log["product_id"].astype(str).where(log.index % 20 > 0, "NaN")),
        "column 'product_id': 360 rows have the item 'NaN', the first is row 0, and count as rows of one item",
    ),
    "ids of two types": (
        lambda log: log.assign(
            product_id=log["product_id"].where(log["product_id"] > 1010, "p" + log["product_id"].astype(str))
        ),
        "column 'product_id': [0-9]+ of [0-9]+ ids are texts, such as 'p10[0-9]+', and the others are not, such as 10",
    ),
    "ids in two spellings": (
        lambda log: log.assign(product_id=log["product_id"].astype(str) + every_other(log, "", "", "", ".0")),
        "column 'product_id': [0-9]+ ids come in several spellings, such as '[0-9.]+' and '[0-9.]+', which count as "
        "different items",
    ),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_a_log_that_is_probably_wrong_is_fitted_with_a_doubt(log, name, tmp_path):
    change, message = DOUBTED[name]
    with pytest.warns(LogWarning, match=message) as caught:
        world = fit(change(log), **OPTIONS)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    summary = world.summary()
    assert summary.index("Probably wrong with the log") < summary.index(world.log.doubts) < summary.index("From the")
    world.save(tmp_path / "world.npz")
    assert FittedWorld.load(tmp_path / "world.npz").summary() == summary


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rating", ("3,5", "4", "0,5")),
        ("Rating", ("1 star", "2 stars", "5 stars")),
        ("Sterne", ("1 Stern", "2 Sterne", "5 Sterne")),
        ("userStars", ("1/5", "2/5", "5 out of 5")),
        ("NOTE", (1.3, 2.0, 3.7)),
        ("avg_score", (0, 5, 10)),
    ],
)
def test_ratings_are_doubted_however_they_are_written(log, name, values):
    columns = {"user": "household_id", "item": "product_id"}
    (doubt,) = check_events(log.assign(**{name: every_other(log, *values)}), columns)
    assert doubt.startswith(f"column '{name}' was not used: every row was taken for a choice of the item, however")
    for other in (("late", "fragile", "gift"), ("2 left", "1 left", "3 left"), (300, 700, 500)):
        assert check_events(log.assign(**{name: every_other(log, *other)}), columns) == []


def test_ratings_are_no_prices(log):
    rated = log.assign(rating=np.random.default_rng(0).integers(1, 6, len(log)))
    (doubt,) = doubts_about_columns(rated, {"user": "household_id", "item": "product_id", "price": "rating"})
    assert doubt == (
        "column 'rating', which was taken for the price, seems to hold ratings; if it does, name no column for price"
    )


@pytest.mark.parametrize(
    ("name", "values", "first"),
    [
        (
            "is_returned",
            (0, 1),
            "3,600 of 7,200 rows are no purchases, or nothing that was liked, the first is row 1 with '1'",
        ),
        ("Refunded", (False, True, False), "2,400 of 7,200 rows .* row 1 with 'True'"),
        ("is_cancelled", (np.nan, 1.0), "3,600 of 7,200 rows .* row 1 with '1.0'"),
        ("liked", (1.0, 0.0), "3,600 of 7,200 rows .* row 1 with '0.0'"),
        ("label", (0, 1), "3,600 of 7,200 rows .* row 0 with '0'"),
        ("target", (1, 1, 0), "2,400 of 7,200 rows .* row 2 with '0'"),
        ("order_status", ("paid", "Failed", "pending"), "4,800 of 7,200 rows .* row 1 with 'Failed'"),
    ],
)
def test_columns_that_say_what_is_no_purchase_are_doubted(log, name, values, first):
    columns = {"user": "household_id", "item": "product_id"}
    (doubt,) = check_events(log.assign(**{name: every_other(log, *values)}), columns)
    assert re.match(f"column '{name}' was not used, which seems to say that {first}; every row was taken for", doubt)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", ("a", "b")),
        ("is_returned", (0,)),
        ("liked", (True,)),
        ("status", ("paid", "shipped")),
        ("state", "OC"),
    ],
)
def test_columns_that_say_that_all_are_purchases_are_no_doubts(log, name, values):
    table = log.assign(**{name: every_other(log, *values)})
    assert check_events(table, {"user": "household_id", "item": "product_id"}) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda log: log.iloc[::-1],  # time runs backwards
        lambda log: log.assign(household_id=log["household_id"] * 0.5, product_id=log["product_id"].astype(str)),
        lambda log: log.assign(household_id=pd.Timestamp("2000-01-01") + pd.to_timedelta(log["household_id"], "D")),
        lambda log: log.assign(product_id=pd.Categorical(log["product_id"], range(5000))),
        lambda log: log.assign(event="purchase", shelf=every_other(log, "left", "right"), clicked=1),
        lambda log: log.assign(click=log["sales_value"] % 0.5),
        lambda log: log.assign(
            credit_score=every_other(log, 300, 700, 500),
            operating_system=every_other(log, 0, 1, 2),
            overall_discount=every_other(log, 0, 1),
        ),
        lambda log: log.assign(sales_value=3 * log["sales_value"], retail_disc=3 * log["retail_disc"], quantity=3),
    ],
)
def test_a_log_that_is_written_in_another_way_is_fitted_alike(log, change):
    world, plain = fit(change(log), **OPTIONS), fit(log, **OPTIONS)
    assert not world.log.doubts
    assert world.choice.beta_taste == pytest.approx(plain.choice.beta_taste, abs=0.02)
    assert world.choice.beta_price == pytest.approx(plain.choice.beta_price, abs=1e-3)


def test_one_user_with_very_many_rows_is_doubted():
    users = np.arange(100).repeat(10)
    columns = {"user": "who", "item": "what"}
    log = pd.DataFrame({"who": users, "what": users % 7})
    assert doubts_about_columns(log, columns) == []
    guests = log.assign(who=log["who"].where(log.index % 3 > 0, 1000))
    (doubt,) = doubts_about_columns(guests, columns)
    assert doubt.startswith("column 'who': 334 of 1,000 rows are of one user, 1000; leave them out if these are many")
    many = pd.DataFrame({"who": np.append(np.arange(1000).repeat(10), np.full(300, 1000)), "what": 1})
    (doubt,) = doubts_about_columns(many, columns)
    assert doubt.startswith("column 'who': 300 of 10,300 rows are of one user, 1000")


@pytest.mark.parametrize("word", ["N/A", "#N/A", "-1", "unknown", "Anonymous", "-", "?", "guest"])
@pytest.mark.parametrize("role", ["user", "item"])
def test_a_word_that_stands_for_missing_ids_is_doubted_however_rare_it_is(word, role):
    columns = {"user": "who", "item": "what"}
    log = pd.DataFrame({"who": np.arange(1000) % 100, "what": np.arange(1000) % 7}).astype(str)
    (doubt,) = doubts_about_columns(
        log.assign(**{columns[role]: log[columns[role]].where(log.index % 500 != 6, word)}), columns
    )
    assert doubt == (
        f"column '{columns[role]}': 2 rows have the {role} '{word}', the first is row 6, and count as rows of one "
        f"{role}; leave them out if their ids are missing"
    )


def test_an_integer_stands_for_missing_ids_if_it_alone_is_below_0():
    log = pd.DataFrame({"who": np.arange(1000) % 100 - 1, "what": 1})
    (doubt,) = doubts_about_columns(log, {"user": "who", "item": "what"})
    assert doubt.startswith("column 'who': 10 rows have the user -1, the first is row 0, and count as rows of one user")
    for shift in (1, -1):
        assert doubts_about_columns(log.assign(who=log["who"] + shift), {"user": "who", "item": "what"}) == []


def test_a_column_that_may_be_the_quantity_is_doubted():
    """Prices of rows, which grow with it, count as prices per unit if no role names it."""
    rng = np.random.default_rng(0)
    item, units = rng.integers(8, size=2000), rng.integers(1, 5, size=2000)
    table = pd.DataFrame({"item": item, "menge": units, "shelf": rng.integers(1, 5, size=2000)})
    columns = {"item": "item", "price": "paid", "quantity": None}
    of_rows, per_unit = (pd.DataFrame({"item": item, "units": 1.0, "list": (2.0 + item) * n}) for n in (units, 1))
    (doubt,) = doubts_about_quantity(table, columns, of_rows)
    assert doubt.startswith("column 'paid': within a product, prices grow with column 'menge' (by its power 1.00)")
    assert doubt.endswith("say so: quantity=menge")
    assert doubts_about_quantity(table, columns, per_unit) == []
    assert doubts_about_quantity(table, columns | {"quantity": "menge"}, of_rows) == []


def test_quantities_that_seem_to_be_prices_are_doubted():
    table = pd.DataFrame({"paid": [1, 2, 3, 1], "number": [2.99, 1.5, 4.0, 2.99]})
    columns = {"price": "paid", "quantity": "number"}
    (doubt,) = doubts_about_fractions(table, columns)
    assert doubt == (
        "column 'number': 3 of 4 quantities are no whole numbers, the first is row 0 with 2.99, and all prices in "
        "column 'paid' are; are the columns of price and quantity interchanged?"
    )
    assert doubts_about_fractions(table, {"price": "number", "quantity": "paid"}) == []
    weighed = pd.DataFrame({"paid": range(100, 200), "number": np.arange(100) / 8})  # at prices without cents
    for other in (columns | {"quantity": None}, columns):
        assert doubts_about_fractions(weighed, other) == []


def test_dates_whose_day_may_come_first_are_doubted():
    columns = {"user": "who", "item": "what", "time": "when"}
    log = pd.DataFrame({"who": [1, 2], "what": [1, 2], "when": ["03/04/2025", "12/01/2025"]})
    (doubt,) = doubts_about_columns(log, columns)
    assert doubt.startswith("column 'when': dates such as '03/04/2025' are read with the month first")
    (doubt,) = doubts_about_columns(log.assign(when=["03.04.25", "12.01.25"]), columns)
    assert "'03.04.25' are read with the month first" in doubt
    for clear in (["03/04/2025", "13/01/2025"], ["2025-03-04", "2025-12-01"], pd.to_datetime(log["when"])):
        assert doubts_about_columns(log.assign(when=clear), columns) == []


@pytest.mark.parametrize(
    ("texts", "first", "last"),
    [
        (["2024-03-01T18:48:00", "2024-03-01T18:48:00.250000"], "2024-03-01 18:48:00", "2024-03-01 18:48:00.25"),
        (["2024-03-01", "2024-03-01T18:48:00"], "2024-03-01", "2024-03-01 18:48"),
        (["01.03.2024 10:00", "13.03.2024 20:49"], "2024-03-01 10:00", "2024-03-13 20:49"),
        (["13/03/2024", "01/03/2024"], "2024-03-13", "2024-03-01"),
        (["2024-03-01T18:48:00Z", "2024-03-01T18:48:00+05:30"], "2024-03-01 18:48", "2024-03-01 13:18"),
    ],
)
def test_all_times_are_read_in_one_way(texts, first, last):
    found = read_times(pd.Series(texts))
    assert [time.tz_localize(None) for time in found] == [pd.Timestamp(first), pd.Timestamp(last)]


def _refuse_unread(column):
    refuse_unread(column, read_times(column))


def test_times_that_are_not_written_alike_are_refused():
    for refuse, texts, message in (
        (
            _refuse_unread,
            ["2024-03-01 18:48", "13.03.2024 20:49"],
            "1 of 2 rows .* row 1 with '13.03.2024 20:49', while row 0",
        ),
        (
            refuse_two_zones,
            ["2024-03-01T18:48:00Z", "2024-03-02T18:48:00"],
            "a time zone in 1 of 2 rows, such as row 0",
        ),
    ):
        column = pd.Series(texts, name="when")
        with pytest.raises(ValueError, match=f"column 'when' .*{message}.* write all times alike"):
            refuse(column)
    for alike in (["13-03-2024", "13-03-2024 10:00"], ["2024-03-01T10:00Z", "2024-03-01T10:00:01.5+0530"]):
        refuse_two_zones(pd.Series(alike))  # a year at the end is no zone
    for numbers, unit in (([17e17, 18e17], "unit='ns'"), ([45000.5, 45001.0], "origin='1899-12-30'"), ([5, 6], "'s'")):
        assert unit in how_to_convert(pd.Series(numbers))


def test_times_far_from_all_others_are_doubted():
    rng = np.random.default_rng(0)
    even = rng.uniform(0, 100, 1000)
    growing = 700 - np.minimum(rng.exponential(100, 1000), 700)
    for times in (even, growing, np.zeros(1000), even[:10], np.append(even, 125.0)):
        assert doubts_about_far_times(pd.Series(times, name="when"), times, shortest=30) == []
    for wrong in ([-300.0], [300.0], [-300.0, 300.0], [-1000.0, -300.0], [-1e5, 1e4, 3e4]):
        times = np.insert(even, 4, wrong)
        (doubt,) = doubts_about_far_times(pd.Series(times, name="when"), times, shortest=30)
        assert doubt.startswith(f"column 'when': {len(wrong)} of {len(times):,} times lie far from all others, the fir")
        assert f"row 4 with '{wrong[0]}', while" in doubt


@pytest.mark.parametrize("text", ["10:22:31", "9:05", "10:22:31.5+02:00", "T10:22Z", "10 am", "Mon 10:22 PM"])
def test_a_time_of_day_needs_a_date(text):
    with pytest.raises(ValueError, match="'when' holds times of day without a date in 1 of 2 rows, the first is row 1"):
        times_in(pd.Series(["2024-03-01 10:22", text], name="when"), "times")
    for dated in ("2024-03-01T10:22+02:00", "1 March 2024, 10 am", "20240301 10:22", "2024-03-01"):
        assert times_in(pd.Series([dated], name="when"), "times").dt.year.tolist() == [2024]


def test_lists_in_a_column_without_a_role_are_no_currencies():
    log = pd.DataFrame({"who": range(40), "what": range(40), "paid": 1.0, "tags": [["EUR"], ["USD"]] * 20})
    assert doubts_about_columns(log, {"user": "who", "item": "what", "price": "paid"}) == []


def test_what_is_no_time_is_counted() -> None:
    days = pd.Series(["2024-01-01", {"day": 1}, "2024-01-02", [1, 2]], name="when")
    with pytest.raises(
        ValueError, match=r"'when' must hold times; 2 of 4 rows hold something else, .* row 1 with .'day"
    ):
        times_in(days, "times")


def test_the_day_is_not_looked_for_where_the_year_comes_first():
    found = read_times(pd.Series(["2024-01-01", "2024-02-01", "2024-13-01"]))
    assert found.isna().tolist() == [False, False, True]
    assert found[1].month == 2


def test_what_is_no_time_in_any_way_is_missing():
    assert read_times(pd.Series(["2024-03-01", "soon", None])).isna().tolist() == [False, True, True]


def test_a_quantity_without_prices_is_no_doubt_about_prices(log):
    columns = {"price": None, "discount": None}
    with pytest.warns(LogWarning) as caught:
        fit(log.assign(quantity=every_other(log, 1, 1, 2, 1, 3)), columns=columns, **OPTIONS)
    assert [str(warning.message)[:30] for warning in caught] == ["no column of prices is named: "]


def test_a_weight_that_no_world_allows_is_refused():
    """Such as that of an outcome that always follows; before, it was cut to the largest that is allowed."""
    assert check_weight("choice.v_0", -49.5) == -49.5
    for wrong in (50.5, -1e9, np.nan):
        with pytest.raises(ValueError, match=r"the log does not tell choice\.v_0: it is estimated as .*-50 to 50"):
            check_weight("choice.v_0", wrong)
    assert check_weight("the rate of habit", 246.0, 0.0, 1e6) == 246.0
    with pytest.raises(
        ValueError, match=r"the rate of habit: it is estimated as 2e\+06, and a world allows 0 to 1e\+06"
    ):
        check_weight("the rate of habit", 2e6, 0.0, 1e6)


def test_labels_that_are_joined_are_doubted() -> None:
    genres = pd.DataFrame({"user": range(40), "item": range(40), "genres": ["Action|Comedy", "Drama|War"] * 20})
    doubts = doubts_about_columns(genres, {"user": "user", "item": "item", "category": "genres"})
    assert [doubt for doubt in doubts if "several labels joined by '|', such as 'Action|Comedy'" in doubt]
    single = genres.assign(genres=["Action", "Arts; crafts", "War", "Drama"] * 10)
    assert not doubts_about_columns(single, {"user": "user", "item": "item", "category": "genres"})
