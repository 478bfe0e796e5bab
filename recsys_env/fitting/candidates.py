"""The column `candidates` of a log of pages: the items that retrieval offered."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..checks import shown
from ..libraries import library
from .schema import refuse_rows

_NO_LIST = "must hold a list of items, or their ids with spaces or commas between them"
_ID = re.compile(r"""[^\s,'"\[\]]+""")  # in a text of ids, such as "4 7 9" or "['p4', 'p7']"


def read_candidates(
    column: Any, one: np.ndarray, page: np.ndarray, item: np.ndarray, item_ids: np.ndarray
) -> tuple[np.ndarray | None, list[str]]:
    """Items [P, C] that retrieval offered at each page, -1 behind the last, and doubts. There are no items if slots of
    the same page were offered different ones.

    Args:
        column: [N] of each row of the log, a list of ids, or a text of ids with spaces or commas between them.
        one: [R] row of the log of each shown item.
        page, item: [R] of the shown items.
    """
    numbers, which = _distinct_lists(column, one)
    number, offered, lengths = _known_items(column, numbers, item_ids)
    held = np.unique(number * len(item_ids) + offered)
    bad = np.zeros(len(column), bool)
    bad[one[~np.isin(which * len(item_ids) + item, held)]] = True
    refuse_rows(column, bad, "must hold the item that was shown")
    number, offered = np.divmod(held, len(item_ids))
    sizes = np.bincount(number, minlength=len(numbers))
    of_list = np.full((len(numbers), int(sizes.max())), -1, np.int32)
    of_list[number, np.arange(len(held)) - (np.cumsum(sizes) - sizes)[number]] = offered
    begins = np.flatnonzero(np.append(True, page[1:] != page[:-1]))
    differ = int((of_list[which] != of_list[which[begins]][page]).any(axis=1).sum())
    if differ:
        return None, [
            f"column {shown(column.name)} is not used: {differ:,} of {len(which):,} shown items had other candidates "
            "than the first item of their page, and off-policy estimates need one list for a page"
        ]
    unknown = int(lengths.sum()) - len(number)
    doubt = (
        f"column {shown(column.name)}: {unknown:,} ids in its {len(numbers):,} different lists are items that were "
        "never shown and are in no table of items: they are left out"
    )
    return of_list[which[begins]], [doubt] if unknown else []


def _distinct_lists(column: Any, one: np.ndarray) -> tuple[dict[Any, int], np.ndarray]:
    """The different lists of candidates with their numbers, and [R] which of them each shown item has: rows of a page
    hold the same list."""
    numbers: dict[Any, int] = {}
    which, bad = np.zeros(len(one), np.int64), np.zeros(len(column), bool)
    for r, value in enumerate(column.to_numpy()[one]):
        try:
            if not isinstance(value, str | list | tuple | np.ndarray):
                raise TypeError
            which[r] = numbers.setdefault(value if isinstance(value, str) else tuple(value), len(numbers))
        except TypeError:  # also of lists in a list
            bad[one[r]] = True
    refuse_rows(column, bad, _NO_LIST)
    return numbers, which


def _known_items(
    column: Any, numbers: dict[Any, int], item_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of the list and of the item of each known id in these lists; and how many ids each list holds."""
    nothing = {None, -1, "-1"} - set(item_ids.tolist())  # what fills lists up, as does NaN
    lists = [
        [
            entry
            for entry in (_ID.findall(held) if isinstance(held, str) else held)
            if entry not in nothing and entry == entry
        ]
        for held in numbers
    ]
    number = np.repeat(np.arange(len(lists)), [len(entries) for entries in lists])
    pd = library("pandas", "fit")
    ids = pd.Series([entry for entries in lists for entry in entries], dtype=object)
    texts = np.array([isinstance(held, str) for held in numbers])[number]
    offered = np.full(len(ids), -1)
    offered[texts] = pd.Index(item_ids.astype(str)).get_indexer(ids[texts])
    offered[~texts] = pd.Index(item_ids).get_indexer(ids[~texts])
    known = offered >= 0
    if len(ids) and not known.any():
        raise ValueError(
            f"column {shown(column.name)} holds no id of an item, but ids like {shown(ids[0])}; items have ids like "
            f"{shown(item_ids.tolist()[0])}"
        )
    return number[known], offered[known], np.bincount(number, minlength=len(lists))
