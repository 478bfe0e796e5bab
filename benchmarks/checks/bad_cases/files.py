"""Bad purchase logs, damaged catalogues, and bad command lines."""

from __future__ import annotations

import io
import json
import math
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import TASKS, Catalogue, WorldConfig
from recsys_env.policies import POLICIES

from .case import Case, Skipped, api, short, texts
from .values import misspelt, strange


def log_table(rng: np.random.Generator) -> Any:
    import pandas as pd

    rows, topic = 400, np.arange(30) % 4
    item = rng.integers(0, 30, rows)
    return pd.DataFrame(
        {
            "household_id": rng.integers(0, 25, rows),
            "product_id": item,
            "transaction_timestamp": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 100, rows), "D"),
            "sales_value": rng.uniform(1, 5, rows),
            "quantity": rng.integers(1, 3, rows),
            "retail_disc": rng.uniform(0, 1, rows),
            "product_category": np.array([f"topic {t}" for t in topic])[item],
            "product_type": np.array([f"item {j}" for j in range(30)])[item],
        }
    )


def fit_case(rng: np.random.Generator) -> Case:
    """A purchase log or an option that cannot be fitted."""
    from recsys_env.fitting import COLUMNS, fit

    table = log_table(rng)
    options: dict[str, Any] = {"dims": 4, "habit_size": 8, "origin": "free_choice"}
    role = str(rng.choice([role for role, column in COLUMNS.items() if column]))
    column, row = str(COLUMNS[role]), int(rng.integers(len(table)))
    names, values, what = (column,), (), ""  # type: tuple[str, ...], tuple[str, ...], str
    bad: Any
    way = int(rng.integers(9))
    if way == 7:
        bad = [None, "free", 3, ["free_choice"], misspelt(rng, "recommender", ())][int(rng.integers(5))]
        options["origin"], names, values, what = bad, ("origin",), texts(bad) if bad else (), f"origin = {bad!r}"
    elif way == 0 and role in ("user", "item", "time"):
        table, what = table.rename(columns={column: misspelt(rng, column, table.columns)}), f"without {column}"
    elif way == 1 and role in ("price", "quantity", "discount"):
        bad = [-1.0, math.nan, math.inf, -math.inf][int(rng.integers(4))]
        table[column] = table[column].astype(float)
        table.loc[row, column] = bad
        what, values = f"{column}[{row}] = {bad}", texts(bad)
    elif way == 2 and role in ("price", "quantity", "discount"):
        table[column], what = table[column].astype(str) + " EUR", f"{column} as text"
    elif way == 3 and role in ("user", "item", "topic"):
        table[column] = table[column].astype(object)
        table.loc[row, column] = None
        what = f"{column}[{row}] = None"
    elif way == 3 and role == "time":
        bad = ["soon", None][int(rng.integers(2))]
        table[column] = table[column].astype(object)
        table.loc[row, column] = bad
        what, values = f"{column}[{row}] = {bad!r}", ()
    elif way == 4:
        table, what = (
            [table.iloc[:0], table.to_dict(), None, 3, table.to_numpy(), "log.csv", [table]][int(rng.integers(7))],
            "no table",
        )
        names = ("the log", "log.csv")
    elif way == 5:
        option = str(rng.choice(["dims", "habit_size", "habit_half_life", "weight_days"]))
        bad = [
            0,
            -1,
            math.nan,
            "x",
            None,
            -math.inf,
            [1],
            strange(rng),
            10**6 if option in ("dims", "habit_size") else 0.0,
        ][int(rng.integers(9))]
        options[option], names, values, what = bad, (option,), texts(bad), f"{option} = {short(bad)}"
    elif way == 6 and role in ("user", "item", "time", "price", "category"):
        bad = [None, 3, ["a"], misspelt(rng, column, table.columns)][int(rng.integers(4))]
        if bad is None and role in ("price", "category"):  # a log may lack these columns
            raise Skipped
        options["columns"], names, values, what = {role: bad}, (role, "column"), texts(bad), f"{role} = {bad!r}"
    elif way == 8:
        table, what, names = [
            (table.loc[np.repeat(table.index, 3)], "every row three times", ("repeat",)),
            (table.assign(sales_value=1e30), "prices of 1e30", ("sales_value",)),
        ][int(rng.integers(2))]
    else:
        raise Skipped
    return Case(f"fit: {what}", lambda: fit(table, **options), names, values)


class Files:
    """A small catalogue on disk and its damaged copies."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        vectors, tastes = (
            rng.standard_normal((12, 3)).astype(np.float32),
            rng.standard_normal((5, 3)).astype(np.float32),
        )
        self.folder, self.path = folder, folder / "good.npz"
        Catalogue(
            item_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            item_topic=(np.arange(12) % 3).astype(np.int32),
            item_intercept=np.zeros(12, np.float32),
            item_price=rng.uniform(1, 5, 12).astype(np.float32),
            item_popularity=rng.uniform(1, 9, 12).astype(np.float32),
            item_price_ratio=np.ones((12, 2), np.float32),
            user_taste=tastes / np.linalg.norm(tastes, axis=1, keepdims=True),
            user_price_sensitivity=np.ones(5, np.float32),
            user_activity=np.ones(5, np.float32),
            habit_item=np.full((5, 2), -1, np.int32),
            habit_count=np.zeros((5, 2), np.float32),
            item_domain=np.zeros(12, np.int32),
            item_name=np.array([f"item {j}" for j in range(12)]),
            item_text=np.array([f"text {j}" for j in range(12)]),
            topic_name=np.array([f"topic {t}" for t in range(3)]),
            domain_name=np.array(["shop"]),
            source="a log",
            settings={"choice": {"beta_taste": 2.0}},
        ).save(self.path)
        self.bytes = self.path.read_bytes()
        with np.load(self.path) as data:
            self.arrays = dict(data)


def file_case(rng: np.random.Generator, files: Files) -> Case:
    name = f"damaged_{rng.integers(10**9)}.npz"
    path, whole = files.folder / name, files.bytes
    way, arrays = int(rng.integers(6)), dict(files.arrays)
    key = str(rng.choice(list(arrays)))
    values: tuple[str, ...] = ()
    if way == 0:
        data, what = whole[: int(rng.integers(len(whole)))], "truncated"
    elif way == 1:
        at = int(rng.integers(len(whole)))
        data, what = (
            whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :],
            f"bit flipped in byte {at}",
        )
    elif way == 2:
        data, what = (
            [b"", b"{}", b"PK\x03\x04", rng.bytes(500), b"\x93NUMPY" + rng.bytes(60), json.dumps({"a": 1}).encode()][
                int(rng.integers(6))
            ],
            "another kind of file",
        )
    else:
        array = arrays[key]
        if way == 3:
            del arrays[key]
        elif way == 4:
            arrays[key] = [
                array[:-1] if array.ndim else np.array([1, 2]),
                array[None],
                np.zeros(0),
                array.astype(str) if array.dtype.kind != "U" else np.zeros(3),
            ][int(rng.integers(4))]
        else:
            if array.dtype.kind not in "fi":
                raise Skipped
            arrays[key] = array.astype(float)
            arrays[key].flat[int(rng.integers(array.size))] = [math.nan, math.inf, -1e9, 1e9][int(rng.integers(4))]
            if (
                key
                in (
                    "item_price",
                    "item_price_ratio",
                    "item_popularity",
                    "user_price_sensitivity",
                    "user_activity",
                    "item_intercept",
                    "habit_count",
                )
                and arrays[key].max() == 1e9
            ):
                raise Skipped  # large, but allowed
            if key == "item_intercept" and arrays[key].min() == -1e9:
                raise Skipped
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        data, what, values = (
            buffer.getvalue(),
            f"{key} is {['', '', '', 'missing', 'of another form', 'out of range'][way]}",
            (key,) if way != 4 else (),  # a wrong length is reported for whichever array it does not fit
        )
    path.write_bytes(data)

    def load() -> Any:
        try:
            found = (
                Catalogue.load(path)
                if rng.random() < 0.5
                else api.vector_env(WorldConfig(), catalogue=str(path)).catalogue
            )
        finally:
            path.unlink()
        good = Catalogue.load(files.path)
        if all(np.array_equal(getattr(found, f.name), getattr(good, f.name)) for f in fields(good)):
            raise Skipped  # the damage is in bytes that are not read
        return found

    return Case(f"catalogue {what}", load, (name,), values)


def command_case(rng: np.random.Generator) -> Case:
    """A bad command line, called in this process. Each is refused before anything is played."""
    import baselines.__main__ as training
    import recsys_env.__main__ as commands

    known = {"recsys_env": list(commands.COMMANDS), "baselines": list(training.COMMANDS)}
    module = str(rng.choice(list(known)))
    word = misspelt(rng, str(rng.choice(known[module])), known[module])
    task = misspelt(rng, str(rng.choice(list(TASKS))), TASKS)
    scenario = misspelt(rng, str(rng.choice(list(api.SCENARIOS))), (*api.SCENARIOS, *TASKS))
    policy = misspelt(rng, str(rng.choice(list(POLICIES))), POLICIES)
    option = "--" + "".join(rng.choice(list("qwxyz"), 5))
    number = str(rng.choice(["-1", "0", "x", "1.5", "nan", ""]))
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out")
    made: dict[str, list[tuple[list[str], tuple[str, ...]]]] = {
        "recsys_env": [
            ([word], (word,)),
            (["evaluate", "--tasks", task, "--policies", "random", "--out", out], (task,)),
            (["evaluate", "--policies", policy, "--out", out], (policy,)),
            (["evaluate", "--policies", "random", option, "1"], (option,)),
            (["evaluate", "--policies", "random", "--episodes", number, "--out", out], ("episodes",)),
            (["evaluate", "--scenarios", scenario, "--policies", "random", "--out", out], (scenario,)),
            (["tournament", "--tasks", task, "--out", out], (task,)),
            (["solve", "--task", task], (task,)),
            (["solve", "--criterion", f"{word}s"], ("criterion",)),
            (["exploit", "--task", task], (task,)),
            (["tune", "--task", task], (task,)),
            (["describe", "--task", task], (task,)),
            (["policies", option], (option,)),
        ],
        "baselines": [
            ([word], (word,)),
            (["train", policy, "--task", "duel-v1", "--out", out], (policy,)),
            (["train", "ippo", "--task", task, "--out", out], (task,)),
            (["train", "ippo", "--task", "duel-v1", "--timesteps", number, "--out", out], ("timesteps",)),
            (["train", "ippo", option, "3"], (option,)),
        ],
    }
    words, names = made[module][int(rng.integers(len(made[module])))]
    main = {"recsys_env": commands.main, "baselines": training.main}[module]
    return Case(f"python -m {module} {' '.join(words)}", lambda: main(words), names)
