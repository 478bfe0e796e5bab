"""What logs may be fitted: every role of `schema.ROLES` with every kind of damage, and the doubts about the rest."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("implicit")

from recsys_env.fitting import COLUMNS, LogWarning, fit  # noqa: E402
from recsys_env.fitting.log_file import as_table  # noqa: E402
from recsys_env.fitting.page_log import PAGE_COLUMNS, PAGE_ROLES, read_pages  # noqa: E402
from recsys_env.fitting.schema import ROLES  # noqa: E402
from recsys_env.fitting.table import MOST_KINDS, OTHER, tidy  # noqa: E402

ROWS, ITEMS, USERS, SLOTS = 1200, 30, 60, 3


def purchases() -> Any:
    rng = np.random.default_rng(0)
    item = rng.integers(ITEMS, size=ROWS)
    table = {
        "user": rng.integers(USERS, size=ROWS),
        "item": item,
        "time": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(90 * 24, size=ROWS)), "h"),
        "price": np.where(rng.random(ROWS) < 0.3, 0.7, 1.0) * (1 + item % 5),
        "quantity": rng.integers(1, 3, size=ROWS),
        "discount": 0.1,
        "category": item % 4,
        "name": [f"item {j}" for j in item],
        "text": "",
        "domain": "shop",
    }
    return pd.DataFrame(table)


def pages() -> Any:
    rng = np.random.default_rng(1)
    page = np.repeat(np.arange(ROWS // SLOTS), SLOTS)
    item = np.concatenate([rng.permutation(ITEMS)[:SLOTS] for _ in range(ROWS // SLOTS)])
    table = {
        "user": page % USERS,
        "item": item,
        "time": 100 + page,
        "event": np.where(rng.random(ROWS) < 0.3, "click", "none"),
        "page": page,
        "position": np.tile(np.arange(1, SLOTS + 1), ROWS // SLOTS),
        "propensity": 1 / ITEMS,
        "price": 1.0 + item % 5,
        "discount": 0.0,
        "quantity": 1,
        "session": page // 4,
        "category": item % 4,
        "text": "",
        "agent": "a",
        "popularity": item + 1,
    }
    return pd.DataFrame(table)


LOGS = {"purchases": (purchases, tidy, COLUMNS), "pages": (pages, read_pages, PAGE_COLUMNS)}
BAD: dict[str, tuple[Any, ...]] = {  # values that a column of this kind must not hold
    "id": (None, " "),
    "time": ("soon", None),
    "event": ("hover", 7),
    "number": (-2.0, float("nan"), float("inf"), 1e300, "cheap"),
}
CASES = [(log, role, bad) for log in LOGS for role in LOGS[log][0]() for bad in BAD.get(ROLES[role].kind, ())]
CASES = [case for case in CASES if case[:2] != ("pages", "quantity") or case[2] == case[2]]  # a missing one is 1


def named(log: str) -> dict[str, str]:
    """Each role in the column of its own name."""
    return {role: role for role in LOGS[log][0]()}


def with_value(table: Any, column: str, value: Any, row: int = 7) -> Any:
    other = table.astype({column: object})
    other.loc[row, column] = value
    return other


@pytest.mark.parametrize("log", LOGS)
def test_a_good_log_is_read(log: str) -> None:
    table, read, _ = LOGS[log]
    before = table()
    found = read(before, named(log))
    assert not [doubt for doubt in found.doubts if "column" in doubt]
    pd.testing.assert_frame_equal(before, table())


def test_every_role_is_tested() -> None:
    assert {role for log in LOGS for role in named(log)} == ROLES.keys() - {"candidates", "vector"}
    assert set(COLUMNS) | set(PAGE_ROLES) | {"vector"} == ROLES.keys()


@pytest.mark.parametrize(("log", "role", "bad"), CASES)
def test_a_bad_value_is_named_with_its_column_and_row(log: str, role: str, bad: Any) -> None:
    table, read, _ = LOGS[log]
    with pytest.raises(ValueError, match=rf"column '{role}' (must|holds) .*") as caught:
        read(with_value(table(), role, bad), named(log))
    if role != "event":
        assert "1 of 1200 rows are affected, the first is row 7 with " in str(caught.value)


@pytest.mark.parametrize("log", LOGS)
def test_roles_that_lack_are_named(log: str) -> None:
    table, read, defaults = LOGS[log]
    roles = named(log)
    for role in ("user", "item"):
        with pytest.raises(ValueError, match=f"has no column '{role}' for the role {role}; it has the columns "):
            read(table().drop(columns=role), roles)
        with pytest.raises(ValueError, match=f"no column '{role}' for the role {role}"):
            read(table(), {**roles, role: None})
        with pytest.raises(ValueError, match=rf"column '{role}' holds 1 in all 1,200 rows"):
            read(table().assign(**{role: 1}), roles)
    with pytest.raises(ValueError, match=r"no column 'prize' \(did you mean 'price'\?\) for the role price"):
        read(table(), {**roles, "price": "prize"})
    with pytest.raises(ValueError, match=r"columns has no role 'prise' \(did you mean 'price'\?\); roles are user"):
        read(table(), {"prise": "price"})
    with pytest.raises(TypeError, match=r"the role price = \['price'\] must be the name of a column, or None"):
        read(table(), {"price": ["price"]})
    with pytest.raises(ValueError, match="column 'user' of the log has two roles, user and item"):
        read(table(), {**roles, "item": "user"})
    with pytest.raises(ValueError, match="several columns named 'user'"):
        read(pd.concat([table(), table()[["user"]]], axis=1), roles)
    with pytest.raises(TypeError, match="columns = 'user' must be a dict"):
        read(table(), "user")
    for wrong, kind in (([1], "list"), ({}, "dict"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"the log is a {kind}; it must be a pandas DataFrame, or the path"):
            read(wrong, None)
    with pytest.raises(ValueError, match="the log is empty"):
        read(table().iloc[:0], roles)
    with pytest.raises(TypeError, match=r"'item' must hold ids that can be sorted.*it holds Timestamp, int"):
        read(with_value(table(), "item", pd.Timestamp("2024-01-01")), roles)
    assert defaults.keys() >= roles.keys()


@pytest.mark.parametrize("log", LOGS)
def test_copies_are_doubted_and_many_of_them_refused(log: str) -> None:
    table, read, _ = LOGS[log]
    some = read(pd.concat([table(), table().iloc[:300]], ignore_index=True), named(log))
    assert any("300 of 1,500 rows repeat an earlier one" in doubt for doubt in some.doubts)
    with pytest.raises(ValueError, match="1,200 of 2,400 rows repeat an earlier row"):
        read(pd.concat([table(), table()], ignore_index=True), named(log))


@pytest.mark.parametrize("log", LOGS)
def test_what_is_worth_knowing_is_a_line_of_the_report(log: str) -> None:
    table, read, _ = LOGS[log]

    def doubts(**changes: Any) -> str:
        return "\n".join(read(table().assign(**changes), named(log)).doubts)

    rows = np.arange(ROWS)
    if log == "purchases":
        assert "column 'user': 1,082 of 1,200 rows are of one user, 5" in doubts(
            user=np.where(rows % 10, 5, rows // 10 % USERS)
        )
        far = table()["time"].where(rows != 5, pd.Timestamp("2033-05-05"))
        assert "1 of 1,200 times lie far from all others, the first is row 5 with '2033" in doubts(time=far)
    cents = table()["price"] * np.where(rows % 2, 100.0, 1.0)
    assert "prices typically differ from the median of their item by a factor of" in doubts(price=cents)
    empty = table()["category"].astype(object).where(rows > 10)
    assert "column 'category': 11 rows hold nothing, which counts as a category" in doubts(category=empty)
    assert "column 'category' has 30 values for 30 items, which say little" in doubts(category=table()["item"])


@pytest.mark.parametrize("log", LOGS)
def test_of_many_categories_the_most_frequent_are_kept(log: str) -> None:
    table, read, _ = LOGS[log]
    kinds = MOST_KINDS + 200
    other = table().loc[np.arange(3 * kinds) % ROWS].reset_index(drop=True)
    other["item"], other["page"] = np.arange(3 * kinds) % (2 * kinds), np.arange(3 * kinds) // 3
    other["user"] = other["page"] % USERS
    other["category"] = np.where(other["item"] < 5, 0, other["item"] % kinds)  # the first one has five items
    found = read(other, named(log) if log == "pages" else {**named(log), "domain": None})
    label = np.asarray(found.category if log == "pages" else found.items["category"])
    names, count = np.unique(label, return_counts=True)
    assert len(names) == MOST_KINDS
    assert "0" in names
    assert dict(zip(names, count, strict=True))[OTHER] > 200
    (doubt,) = (doubt for doubt in found.doubts if OTHER in doubt)
    assert f"column 'category' has {kinds:,} values for {2 * kinds:,} items, and a world holds 1,024" in doubt


# ---------------------------------------------------------------------------------------------- events and pages


def test_events_are_mapped_by_the_user() -> None:
    plain = pages()
    given = read_pages(plain, None)
    for kind in (int, float, bool, str):
        flags = plain.assign(event=(plain["event"] == "click").astype(kind))
        np.testing.assert_array_equal(read_pages(flags, None).clicked, given.clicked)
    words = {"none": "VIEW", "click": "Click"}
    spelled = plain.assign(event=plain["event"].map(words))
    with pytest.raises(ValueError, match=r"column 'event' holds .*'VIEW'.*, of which it is not known what event it is"):
        read_pages(spelled, None)
    mapped = read_pages(spelled, None, None, {"none": ["VIEW", "seen"], "click": "Click"})
    np.testing.assert_array_equal(mapped.clicked, given.clicked)
    paid = plain.assign(event=np.select([plain["event"] == "none", plain["page"] % 2 == 0], [0, 2], 1))
    found = read_pages(paid, None, None, {"click": 1, "purchase": 2})
    np.testing.assert_array_equal(found.clicked, given.clicked)
    assert found.bought.sum() == (paid["event"] == 2).sum() > 0
    for wrong, message in (
        ({"buy": 1}, "events has no event 'buy'; events are none, click, cart, purchase"),
        ({"click": 1, "purchase": 1}, "events maps 1 to click and to purchase"),
    ):
        with pytest.raises(ValueError, match=message):
            read_pages(plain, None, None, wrong)
    with pytest.raises(TypeError, match="events = 'click' must be a dict"):
        read_pages(plain, None, None, "click")  # type: ignore[arg-type]
    for same in ("click", "none"):
        with pytest.raises(ValueError, match="pages with and without one are needed"):
            read_pages(plain.assign(event=same), None)
    with pytest.raises(ValueError, match="items and events are for a log of pages"):
        fit(purchases(), origin="free_choice", events={"click": 1})


def test_pages_may_be_numbered_anew_for_each_user() -> None:
    plain = pages()
    anew = plain.assign(page=plain["page"] // USERS)
    given, found = read_pages(plain, None), read_pages(anew, None)
    np.testing.assert_array_equal(found.first_row, given.first_row)
    np.testing.assert_array_equal(found.chosen, given.chosen)


def test_what_pages_do_not_hold_is_doubted() -> None:
    plain = pages()
    gaps = plain[(plain["event"] == "click") | (plain["item"] % 3 == 0)]
    assert any("positions have gaps on" in doubt for doubt in read_pages(gaps, None).doubts)
    assert any("have several items at one position" in d for d in read_pages(plain.assign(position=1), None).doubts)
    single = plain.assign(page=np.arange(ROWS))
    assert "no page holds more than one item" in read_pages(single, None).serious[0]
    clicked = plain[plain["event"] == "click"].drop_duplicates("page")
    alone = pd.concat([plain[~plain["page"].isin(plain[plain["event"] == "click"]["page"])], clicked])
    assert "hold one item each, and the others 3.0 on average" in read_pages(alone, None).serious[0]
    assert read_pages(plain, None).serious == ()
    untimed = read_pages(plain.drop(columns="time"), None)
    assert "the log has no column of times: its rows count as in order of time" in untimed.doubts
    with pytest.raises(ValueError, match="neither a column for the role page nor one for time"):
        read_pages(plain.drop(columns=["time", "page"]), None)
    texts = read_pages(plain.assign(time=plain["time"].astype(str)), None)
    np.testing.assert_array_equal(texts.start, read_pages(plain, None).start)


def test_tables_of_items_are_checked() -> None:
    plain, items = pages(), pd.DataFrame({"item": np.arange(ITEMS), "vector": list(np.eye(ITEMS))})
    read_pages(plain, None, items)
    for table, message in (
        (items.iloc[:-1], "holds items that the table of items lacks; 1 of 30"),
        (items.assign(vector=[[1.0, 0.0]] * ITEMS), "'vector' of items must hold finite vectors"),
        (items.assign(vector=[[1.0] * (1 + j % 2) for j in range(ITEMS)]), "'vector' of items must hold finite"),
        (pd.concat([items, items.iloc[:1]]), "'item' of items must name each item once"),
        (items.drop(columns="item"), "items has no column 'item'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_pages(plain, None, table)


# ---------------------------------------------------------------------------------------------- evidence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log[log["user"] < 10], "the log has .* purchases, 10 users, 30 items; a fit needs 50 purchases"),
        (lambda log: log[log["item"] < 4], "4 items; a fit needs 50 purchases, 20 users, 5 items or more: .*dims"),
        (lambda log: log[log["time"] < "2025-01-20"], "spans .* days, so that nothing comes before the last"),
        (lambda log: log.assign(time=pd.Timestamp("2025-01-01")), "'time' holds .* in all 1,200 rows"),
        (lambda log: log.assign(user=np.arange(ROWS)), "no user bought something both before the last"),
        (lambda log: log[(log["user"] < 15) | (log["time"] < "2025-02-20")], "returning users bought .*15 users"),
    ],
)
def test_too_little_to_fit_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(change(purchases()), origin="free_choice", columns=named("purchases"), dims=4)


def test_few_clicks_are_refused_and_some_doubted() -> None:
    plain = pages()
    few = plain.assign(event=np.where(plain["page"] < 15, plain["event"], "none"))
    with pytest.raises(
        ValueError, match=r"the log has [0-9]+ pages with a click, .* a fit needs 20 pages with a click"
    ):
        fit(few, origin="pages")
    some = read_pages(plain.assign(event=np.where(plain["page"] < 150, plain["event"], "none")), None)
    assert any("with fewer than 200 pages with a click" in doubt for doubt in some.doubts)


def test_doubts_are_warnings_and_lines_of_the_summary() -> None:
    with pytest.warns(LogWarning) as caught:
        world = fit(purchases(), origin="free_choice", columns={**named("purchases"), "price": None}, dims=4)
    assert "no column of prices is named: everything costs the same, and beta_price = 0" in world.summary()
    assert [str(doubt.message) for doubt in caught] == world.log.doubts.splitlines()


# ---------------------------------------------------------------------------------------------- files and times

NAMES = {"user": "user", "item": "item", "time": "time"}


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.TSV", "log.parquet"])
def test_files_are_read_as_they_come(name: str, tmp_path: Path) -> None:
    """Ids keep their zeros, and "NA" is one; those that are all whole numbers become numbers."""
    table = pd.DataFrame(
        {"user": [3, 20, 100], "item": ["007", "7", "NA"], "time": [20240301, 20240302, 20240313], "x": [1.5, 2, None]}
    )
    path = tmp_path / name
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if name.endswith("TSV") else ";", encoding="utf-8-sig")
    found = as_table(str(path), NAMES)
    assert found["user"].tolist() == [3, 20, 100]
    assert found["item"].tolist() == ["007", "7", "NA"]
    assert found["time"].tolist() == list(pd.to_datetime(["2024-03-01", "2024-03-02", "2024-03-13"]))
    assert found["x"].isna().tolist() == [False, False, True]


def test_files_that_are_no_tables_are_named(tmp_path: Path) -> None:
    for name, content, message in (
        ("log.csv", b"", "log.csv is no table that can be read"),
        ("log.csv", "user,item,time\nJörg,1,2\n".encode("latin-1"), "log.csv is no table that can be read.*utf-8"),
        ("log.csv", b"user,item,time\n1,2,3\n1,2,3,4\n", "log.csv is no table that can be read"),
        ("log.csv", b"user,item,time\n1,2,3,4\n1,2,3,4\n", "rows have more fields than its header"),
        ("log.csv.gz", b"user,item,time", "log.csv.gz is no table that can be read"),
        ("log.csv.gz", gzip.compress(b"user,item,time\n1,2,3\n" * 9)[:-9], "log.csv.gz is no table that can be read"),
        ("log.parquet", b"user,item,time", "log.parquet is no table in the form of Parquet"),
        ("log.txt", b"user,item,time", "log.txt must be a file whose name ends in .csv"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            as_table(tmp_path / name, NAMES)
    with pytest.raises(ValueError, match="there is no file"):
        as_table(tmp_path / "none.csv", NAMES)


@pytest.mark.parametrize(
    "times",
    [
        lambda when: when,
        lambda when: when.astype(str),
        lambda when: when.astype("datetime64[ns]").astype("int64") // 10**9,
        lambda when: when.astype("datetime64[ns]").astype("int64") // 10**6,
        lambda when: when.astype("datetime64[ns]").astype("int64"),
        lambda when: when.dt.strftime("%d.%m.%Y %H:%M"),
        lambda when: when.dt.tz_localize("Asia/Tokyo"),
        lambda when: when.astype(str) + "Z",
        lambda when: when.astype(str) + np.where(np.arange(len(when)) % 2, ".000", ""),
    ],
)
def test_times_are_read_in_many_forms(times: Any) -> None:
    plain = purchases()
    given, found = (tidy(table, named("purchases")).lines for table in (plain, plain.assign(time=times(plain["time"]))))
    np.testing.assert_allclose(found["day"], given["day"])


@pytest.mark.parametrize(
    "times", [range(ROWS), [5.5] * ROWS, [("a", 1)] * ROWS, [1_700_000_000] * 9 + [7] * (ROWS - 9)]
)
def test_what_is_no_time_is_refused(times: Any) -> None:
    with pytest.raises(ValueError, match="column 'time' "):
        tidy(purchases().assign(time=list(times)), named("purchases"))
