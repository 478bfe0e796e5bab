"""Infos of a step, in addition to observations and rewards: of a batch, of one agent, or as plain Python values."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, NoReturn

import numpy as np

from ..checks import did_you_mean, shown
from ..config.responses import LATER_SALE, NAMES, check_new
from ..world.arrays import Report


def _column(part: str, name: str, report: Report) -> np.ndarray:
    column: np.ndarray = getattr(report, part)[name]
    return column


def _holes(report: Report) -> np.ndarray:
    return ((report.slots["item"] < 0) & (report.slots["rank"] >= 0)).sum(-1)


def price_multipliers(report: Report) -> np.ndarray:
    """What multiplies the prices of an agent's slots, [B, N]. It is worked out in extended precision, because the last
    bit of NumPy's exponential in float64 differs between its versions and between processors."""
    return np.exp(report.agents["log_price_multiplier"].astype(np.longdouble)).astype(np.float64)


# Entries that are columns of `Report.agents`, [B, N] each.
OF_AGENTS = ("individual_reward", "objectives", "visitor", "next_visitor", "user_slot", "next_user_slot", "active")
# Entries that are columns of `Report.bids`, [B, N] each, and their names there.
OF_BIDS = {"slot_value": "value", "bid": "bid", "payment": "payment"}
_BESIDE: dict[str, Callable[[Report], np.ndarray]] = {
    "empty": _holes,
    **{name: partial(_column, "agents", name) for name in OF_AGENTS},
    "price_multiplier": price_multipliers,
    **{info: partial(_column, "bids", name) for info, name in OF_BIDS.items()},
    **{f"later_{name}": partial(_column, "later", name) for name in LATER_SALE},
}
check_new(("shown", "rank", "item", *_BESIDE, "final_obs", "final_mask"), "infos")
_KEPT: dict[str, Callable[[Report], np.ndarray]] = {
    "shown": partial(_column, "slots", "item"),
    **{name: partial(_column, "slots", name) for name in ("rank", *NAMES)},
    **_BESIDE,
}
_ENTRIES: dict[str, Callable[[Report], np.ndarray]] = {
    **_KEPT,
    "final_obs": lambda report: report.final_observations,
    "final_mask": lambda report: report.final_masks,
}


class Infos(Mapping[str, np.ndarray]):
    """Infos of the last step, as arrays with leading axes [B, N]; a value is built only when it is asked for.

    shown [B, N, K]     item in each slot, -1 = hole
    rank [B, N, K]      rank - 1 of each slot on the page, -1 = not on it
    clicked, dwell, ... [B, N, K]  what happened to the slot on this page: one entry for each of `responses.RESPONSES`,
                        where their meanings stand
    empty [B, N]        number of holes among the agent's slots
    individual_reward [B, N]  the agent's individual reward, before sharing
    objectives [B, N]   reward for diversity, novelty and fairness of the page, before sharing
    visitor [B, N]      visitor id of this page, -1 = idle tick or inactive agent
    next_visitor [B, N] visitor id of the page that the returned observation is about
    user_slot, next_user_slot [B, N]  user slots of these people in the copy, 0..U-1, -1 likewise. When a
                        person is lost a new one takes its slot, so the pages of a user slot form a chain through the
                        episode, for credit assignment
    active [B, N]       bool, whether the agent acts on the next page: its slots will be on it, or in an auction it bids
                        for it, or on a platform it publishes an item now
    price_multiplier [B, N]  factor on the prices of the agent's slots on this page, 1 = unchanged prices
    slot_value, bid, payment [B, N]  on auction pages: what the slot of this page was worth to the agent, what it bid,
                        and the price that it paid, in rewards; elsewhere 0
    later_item, later_agent, later_price, later_rating [B, Q]  purchases of earlier cart items on this page: item
                        (-1 = none), the credited agent, the price paid in mean list prices, its rating (0 = none)
    final_obs [B, N, O], final_mask: valid where truncated

    `plain(infos)` converts them to a dictionary of lists.
    """

    ENTRIES = _ENTRIES

    def __init__(self, report: Report) -> None:
        self._report = report

    def __getitem__(self, key: str) -> np.ndarray:
        if not isinstance(key, str) or key not in self.ENTRIES:
            raise KeyError(f"{shown(key)}{did_you_mean(key, self.ENTRIES)}; these infos hold {', '.join(self.ENTRIES)}")
        return self.ENTRIES[key](self._report)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ENTRIES)

    def __len__(self) -> int:
        return len(self.ENTRIES)

    def copy(self) -> Infos:
        """Return a copy that later steps do not overwrite."""
        return _CopiedInfos(self._report)


class _KeptInfos(Infos):
    """A report copied as raw bytes, which is 20 times as fast as copying records; arrays are made on first use."""

    ENTRIES = _KEPT
    _NAMES = ("agents", "slots", "later", "bids")

    def __init__(self, report: Report) -> None:
        self._like = report  # for the kinds and shapes of its arrays
        self._raw = tuple(getattr(report, name).tobytes() for name in self._NAMES)

    @cached_property
    def _report(self) -> Report:  # type: ignore[override]
        likes = (getattr(self._like, name) for name in self._NAMES)
        arrays = (
            np.frombuffer(bytearray(raw), like.dtype).reshape(like.shape)
            for raw, like in zip(self._raw, likes, strict=True)
        )
        return self._like._replace(**dict(zip(self._NAMES, arrays, strict=True)))


class _CopiedInfos(_KeptInfos):
    """The same with the final observations, which are zeros where no episode has ended."""

    ENTRIES = _ENTRIES

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self._truncated = report.truncated.copy()
        ended = self._truncated.any()
        self._ends = (report.final_observations.copy(), report.final_masks.copy()) if ended else None

    @cached_property
    def _report(self) -> Report:  # type: ignore[override]
        like = self._like
        observations, masks = self._ends or map(np.zeros_like, (like.final_observations, like.final_masks))
        return super()._report._replace(truncated=self._truncated, final_observations=observations, final_masks=masks)


class AgentInfo(UserDict[str, Any], dict[str, Any]):
    """What a user would log of one agent's last step: a dictionary that is made when first looked at.

    shown, rank, and what happened to the slots: arrays [K], as in `Infos`
    empty, individual_reward, objectives, visitor, next_visitor, user_slot, next_user_slot, active, price_multiplier,
        slot_value, bid, payment: numbers, as in `Infos`; no page follows the last step of an episode
    later_item, later_price, later_rating: arrays [Q], purchases at this page of earlier cart items credited to this
        agent; item -1 = none

    Every entry has the same shape and kind in every step, as Gymnasium's `SyncVectorEnv` and Tianshou's buffers want
    it. `recsys_env.plain(infos)` makes lists and Python's own numbers of all of them.

    It subclasses `dict`, because libraries check for that, and behaves like a `UserDict`: entries are computed when one
    is first read. The inherited `dict` stores only the source of the entries, under one key, so that C code that checks
    the size does not see an empty dictionary. Calls that bypass the methods of this class, such as `dict.keys(info)`,
    see only that key. `dict(info)`, `{**info}`, `info | ...`, `json`, `copy` and `pickle` work.
    """

    SLOTS = ("shown", "rank", *NAMES)
    SCALARS = ("empty", *OF_AGENTS, "price_multiplier", *OF_BIDS)
    LATER = (("later_item", -1), ("later_price", 0), ("later_rating", 0))  # and what stands for none

    __init__ = dict.__init__  # type: ignore[assignment]  # in C, since every step makes some

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The entries, which `UserDict` serves: to make them takes as long as a step."""
        infos, n, over = dict.__getitem__(self, "individual_reward")
        entries: dict[str, Any] = {name: infos[name][0, n] for name in self.SLOTS}
        entries |= {name: infos[name][0, n].item() for name in self.SCALARS}
        if over:
            entries |= {"next_visitor": -1, "next_user_slot": -1, "active": False}
        mine = (infos["later_item"][0] >= 0) & (infos["later_agent"][0] == n)
        for name, none in self.LATER:
            entries[name] = np.where(mine, infos[name][0], infos[name].dtype.type(none))
        return entries

    def __missing__(self, key: Any) -> NoReturn:
        raise KeyError(f"{shown(key)}{did_you_mean(key, self.data)}; this agent's infos hold {', '.join(self.data)}")

    def copy(self) -> dict[str, Any]:  # type: ignore[override]
        return self.data.copy()

    __copy__ = copy  # type: ignore[assignment]

    fromkeys = staticmethod(dict.fromkeys)  # type: ignore[assignment]

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.data)

    def __or__(self, other: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.data | other

    def __ror__(self, other: Any) -> dict[str, Any]:  # type: ignore[override]
        return other | self.data

    def __reduce_ex__(self, protocol: Any) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (self.data,)


def by_agent(report: Report, agents: list[str], over: bool) -> dict[str, AgentInfo]:
    """Return the infos of each agent about the last step of a batch of one copy; later steps do not overwrite them.

    Args:
        over: whether the episode has ended with this step, so that no page follows.
    """
    kept, infos = _KeptInfos(report), {}
    for n, agent in enumerate(agents):
        infos[agent] = AgentInfo(individual_reward=(kept, n, over))
    return infos


def plain(value: Any) -> Any:
    """Convert infos, observations or rewards of any environment of this package to Python types, for `json.dumps`.

    Raises:
        ValueError: the value is nested deeper than any of these.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError(f"value = {shown(value)} is nested too deep") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        return [_plain(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
