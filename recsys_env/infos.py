"""What a step reports beside observations and rewards: the infos of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np

from .world import Report


def _slots(name: str, report: Report) -> np.ndarray:
    return report.slots[name]


def _later(name: str, report: Report) -> np.ndarray:
    return report.later[name]


def _holes(report: Report) -> np.ndarray:
    return ((report.slots["item"] < 0) & (report.slots["rank"] >= 0)).sum(-1)


_KEPT: dict[str, Callable[[Report], np.ndarray]] = {
    "shown": partial(_slots, "item"),
    **{name: partial(_slots, name) for name in ("rank", "clicked", "cart", "bought", "liked", "rating", "dwell")},
    "empty": _holes,
    "own": lambda report: report.own,
    "visitor": lambda report: report.visitor,
    "next_visitor": lambda report: report.next_visitor,
    "active": lambda report: report.active,
    **{f"later_{name}": partial(_later, name) for name in ("item", "agent", "price", "rating")},
}
_ENTRIES: dict[str, Callable[[Report], np.ndarray]] = {
    **_KEPT,
    "final_obs": lambda report: report.final_observations,
    "final_mask": lambda report: report.final_masks,
}


class Infos(Mapping[str, np.ndarray]):
    """What a user would log of the last step, as arrays with leading axes [B, N]; a value is only built when asked for.

    shown [B, N, K]     item in each slot, -1 = hole
    rank [B, N, K]      rank - 1 of each slot on the page, -1 = not on it
    clicked, cart, bought, liked [B, N, K]  bool, what happened to it at this page
    rating [B, N, K]    1..5, 0 = none
    dwell [B, N, K]     float32, in mean lengths
    empty [B, N]        holes among the agent's slots
    own [B, N]          the agent's own reward, before sharing
    visitor [B, N]      person whose page this was, -1 = idle tick or inactive agent
    next_visitor [B, N] person whose page the returned observation is about
    active [B, N]       bool, whose slots will be on that page
    later_item, later_agent, later_price, later_rating [B, Q]  purchases of earlier cart items at this page: item
                        (-1 = none), the credited agent, the price paid in mean list prices, its rating (0 = none)
    final_obs [B, N, O], final_mask: valid where truncated

    `plain(infos)` makes a dictionary of lists of them.
    """

    ENTRIES = _ENTRIES

    def __init__(self, report: Report) -> None:
        self._report = report

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self.ENTRIES:
            raise KeyError(f"{key!r}; these infos hold {', '.join(self.ENTRIES)}")
        return self.ENTRIES[key](self._report)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ENTRIES)

    def __len__(self) -> int:
        return len(self.ENTRIES)

    def copy(self) -> Infos:
        """The same report, for keeping: later steps do not overwrite it. Without the final observations."""
        return _KeptInfos(self._report)


class _KeptInfos(Infos):
    """A report copied as raw bytes, 20 times faster than as records; arrays are made of them when first asked for."""

    ENTRIES = _KEPT

    def __init__(self, report: Report) -> None:
        self._like = report  # for the kinds and shapes of its arrays
        self._raw = (
            report.slots.tobytes(), report.later.tobytes(), report.own.tobytes(), report.visitor.tobytes(),
            report.next_visitor.tobytes(), report.active.tobytes(),
        )  # fmt: skip

    @cached_property
    def _report(self) -> Report:  # type: ignore[override]
        names = ("slots", "later", "own", "visitor", "next_visitor", "active")
        arrays = {}
        for name, raw in zip(names, self._raw, strict=True):
            like = getattr(self._like, name)
            arrays[name] = np.frombuffer(bytearray(raw), like.dtype).reshape(like.shape)
        return self._like._replace(**arrays)


def plain(value: Any) -> Any:
    """Infos, observations or rewards of any of our environments as Python's own dictionaries, lists and numbers, which
    `json.dumps` takes."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        return [plain(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
