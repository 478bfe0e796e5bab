"""Logs: what the agents showed in whole episodes and what followed, one row for each impression."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batch.infos import Infos
from ..batch.vector import VectorEnv
from ..checks import check_count, checked_seed, is_sequence, shown, unknown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.responses import NAMES, RESPONSES, later_reward, rating_value
from ..files import check_writable, checked_path, replacing
from ..policies import Team
from ..world.arrays import CART_SIZE
from .episodes import Policies, begin_episodes

if TYPE_CHECKING:
    import pandas

ON_REQUEST = ("candidates", "context", "text")  # columns
AT_ONCE = 256  # episodes that are played as one batch, at most
_PART = 2**24  # bytes of rows that are written at once
_CACHED = 2**18  # bytes of rows that are taken apart at once, which stay in the processor's cache


def record(
    task: str | WorldConfig | VectorEnv,
    policies: Policies,
    episodes: int = 1,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    columns: Sequence[str] = (),
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
) -> Any:
    """Play whole episodes as `episode_returns` does, and log every item that was shown.

    Args:
        task, policies, episodes, seed, num_threads, catalogue: as in `episode_returns`. Many episodes are played in
            batches of 256. The visitors are the same as if all were played at once, but the policies begin anew in
            each batch: those that learn know nothing, and others have random streams of their own.
        out: a Parquet file to which the log is written; its folder is created. The memory that this takes does not grow
            with the log. After an error or an interruption there is no file, or an earlier one is left as it was.
        columns: columns on request, of "candidates", "context" and "text".

    Returns:
        the log, or None if it is written to `out`. It has a row for each impression (holes have none), in the order of
        ticks, copies, agents and slots:

        user: the visitor's number; in a fixed population (`users.population`) the same people visit all copies
        user_slot: the slot of the visitor; in a fixed population the number of the person in the catalogue
        item, category: item and topic, as in the catalogue
        time: tick of the page, 0 .. horizon - 1
        copy: copy of the batch, one episode each; copies share neither stock nor popularity
        page, session: number of the page (of all agents), and of the first page of the visitor's session
        agent, slot: the agent that showed the item, and its slot, 0 .. K - 1
        position: rank on the page, 1 = best
        propensity: probability that the agent's policy picks this item for this slot, given its picks for the slots
            before and everything before the page; 1 for deterministic policies
        slate_propensity: probability that it picks all of its slate of this page, holes included
        price: price asked, after promotion and the agent's offer, in mean list prices
        discount: what a promotion takes off the price, in mean list prices, 0 = no promotion
        popularity: public popularity of the item when the page is shown, in decayed clicks
        clicked, dwell, ...: what happened to the slot, a column for each of `responses.RESPONSES`; of these
        bought: truth value; on this page, or later from the cart. A later purchase is credited to the impression that
            last put the item there
        bought_time: tick of the purchase, -1 = none
        paid: price of the purchase, which may differ from `price` at a later tick, in mean list prices, 0 = none
        rating: 1 .. 5, after the click or a purchase, 0 = none
        reward: individual reward (before sharing) for everything that followed from this impression, including a later
            purchase; the sum over a copy and an agent is the value of `episode_returns`
        candidates: items that the agent could pick from, a list in the order of the candidates
        context: the agent's observation before the page, a list
        text: title of the item

        If an agent's policy cannot say how likely its slates are, there are no propensities, and
        `attrs["no_propensity"]` of the table says why.

    Raises:
        ValueError, TypeError: as in `episode_returns`; there is no such column on request; or a policy gives an item
            that it has shown a propensity outside (0, 1].
        ImportError: pandas, or for Parquet pyarrow, is missing.
        OSError: the file cannot be written; nothing has been played then.
    """
    try:
        import pandas  # noqa: F401

        if out is not None:
            import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(f'to record needs {error.name}: pip install "recsys_env[evaluate]"') from None
    path = None if out is None else checked_path("out", out)
    if not is_sequence(columns):
        raise TypeError(f"columns = {shown(columns)} must be a list of names, of {', '.join(ON_REQUEST)}")
    for name in columns:
        if name not in ON_REQUEST:
            raise ValueError(unknown("column on request", name, ON_REQUEST))
    check_count("episodes", episodes, 1, 2**31)
    checked_seed(seed)

    def begin(first: int) -> tuple[VectorEnv, Team, Any]:
        """Begin the episodes from this one on, as many as are played at once."""
        from ..kernels.machine.rng import copy_seeds

        seeds = copy_seeds(seed, np.arange(first, min(first + AT_ONCE, episodes)))
        envs, team, _ = begin_episodes(task, policies, len(seeds), int(seeds[0]), num_threads, catalogue)
        return envs, team, envs.reset(seed=seeds.tolist())[0]

    begun = begin(0)
    config = begun[0].config
    if "candidates" in columns and not config.retrieves:
        raise ValueError(
            f"columns = {shown(columns)}: with action = {config.action!r} agents have no candidates; they choose among "
            "all items"
        )
    if path is not None:
        check_writable(path)
    # This file has no name, so that nothing is left of it.
    with io.BytesIO() if path is None else tempfile.TemporaryFile(buffering=0, dir=path.parent) as file:
        rows = _Rows(file)
        for first in range(0, episodes, AT_ONCE):
            envs, team, observations = begun if first == 0 else begin(first)
            _play(_Impressions(envs, team, rows, columns, first, episodes), observations)
        log = _Log(begun[0], rows, columns)
        if path is None:
            return log.frame()
        with replacing(path) as new:
            log.write(new)
    return None


def _play(impressions: _Impressions, observations: Any) -> None:
    """Play the episode that has begun, and collect its impressions."""
    envs, team = impressions.envs, impressions.team
    actions = envs.empty_actions()
    for tick in range(envs.config.horizon):
        team.act(observations, actions)
        impressions.look(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        impressions.add(tick, infos)
        team.observe(infos, truncated)
    team.check()


class _Rows:
    """Rows in an unbuffered file, which may still change: a purchase may come long after the impression that led to
    it."""

    def __init__(self, file: Any) -> None:
        self.kind: Any = None  # the type of a row, once there are rows
        self.number, self.no_propensity, self._file = 0, "", file  # how many rows; why they hold none

    def append(self, rows: np.ndarray) -> None:
        self.write(self.number, rows)
        self.number += len(rows)

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write rows from this number on."""
        self._file.seek(first * self.kind.itemsize)
        if self._file.write(rows.view(np.uint8)) < rows.nbytes:
            raise OSError("the log cannot be written: no space is left on the device")

    def read(self, first: int, number: int) -> np.ndarray:
        rows = np.empty(number, self.kind)
        self._file.seek(first * self.kind.itemsize)
        self._file.readinto(rows.view(np.uint8))
        return rows

    def columns(self, first: int, number: int) -> dict[str, np.ndarray]:
        """Columns of rows, [number] each, or [number, L] where rows hold lists."""
        found = {name: np.empty(number, self.kind[name]) for name in self.kind.names}
        step = max(1, _CACHED // self.kind.itemsize)
        for start in range(0, number, step):
            rows = self.read(first + start, min(step, number - start))
            for name, column in found.items():
                column[start : start + len(rows)] = rows[name]
        return found


class _Impressions:
    """Collects the impressions of a batch's episode, tick by tick, and remembers which of them put items into carts."""

    def __init__(
        self, envs: VectorEnv, team: Team, rows: _Rows, columns: Sequence[str] = (), first: int = 0, copies: int = 1
    ) -> None:
        self.envs, self.team, self._rows, self._columns = envs, team, rows, columns
        self._first, self._copies = first, copies  # the number of the first copy in the log, and of all copies
        self._slots = np.indices((envs.num_envs, envs.num_agents, envs.config.slots)).reshape(3, -1)
        self._session = np.zeros(envs.num_envs, np.int64)  # number of the last session's first page
        # numbers of the pages about to be shown
        self._pages = self._first * envs.config.horizon + np.arange(envs.num_envs)
        self._in_cart: dict[tuple[int, int], dict[int, int]] = {}  # (copy, user slot) -> item -> row of the impression

    def look(self, observations: Any, actions: np.ndarray) -> None:
        """Take down, before the step, what the agents see, and how likely they were to act as they do."""
        envs, rows = self.envs, self._rows
        self._session = np.where(envs.arrays.copies["session_page"] == 0, self._pages, self._session)
        self._seen = {}
        if "candidates" in self._columns:
            self._seen["candidates"] = envs.candidates.copy()
        if "context" in self._columns:
            self._seen["context"] = envs.flat(observations)[0]
        if not rows.no_propensity:
            try:
                self._propensities = self.team.probabilities(actions)
            except NotImplementedError as error:
                if rows.kind is not None:  # there were some
                    raise
                rows.no_propensity = str(error)
        if rows.kind is None:
            rows.kind = self._kind()

    def _kind(self) -> np.dtype[Any]:
        """The type of a row, with the columns in their order."""
        propensities = [] if self._rows.no_propensity else ["propensity", "slate_propensity"]
        return np.dtype(
            [
                ("user", "i8"),
                *((name, "i4") for name in ("user_slot", "item", "category", "time", "copy")),
                *(("page", "i8"), ("session", "i8"), ("agent", "i2"), ("slot", "i2"), ("position", "i2")),
                *((name, "f8") for name in (*propensities, "price", "discount", "popularity")),
                *((response.name, response.kind) for response in RESPONSES),
                *(("bought_time", "i4"), ("paid", "f8"), ("reward", "f8")),
                *((name, seen.dtype, seen.shape[2:]) for name, seen in self._seen.items()),
            ]
        )

    def add(self, tick: int, infos: Infos) -> None:
        """Take down what a step reports."""
        envs, items = self.envs, infos["shown"]
        at = np.flatnonzero(items >= 0)  # places in arrays [B, N, K]
        copy, agent, slot = self._slots[:, at]
        place = copy * envs.num_agents + agent  # in arrays [B, N]
        item = items.ravel()[at].astype(np.int64)
        multiplier = infos["price_multiplier"].ravel()[place]
        price, promoted = envs.prices_at(item, tick, multiplier)
        rows = np.zeros(len(item), self._rows.kind)
        rows["user"] = self._users(infos["visitor"].ravel()[place], copy)
        rows["user_slot"] = infos["user_slot"].ravel()[place]
        rows["item"], rows["category"], rows["time"] = item, envs.world.items["topic"][item], tick
        rows["copy"], rows["page"], rows["session"] = self._first + copy, self._pages[copy], self._session[copy]
        rows["agent"], rows["slot"], rows["position"] = agent, slot, infos["rank"].ravel()[at] + 1
        rows["price"] = price
        rows["discount"] = np.where(promoted, envs.world.items["price"][item] * multiplier - price, 0.0)
        rows["popularity"] = self._popularity(tick, copy, item, infos)
        happened = np.zeros(len(item), np.bool_)
        for name in NAMES:
            response = infos[name].ravel()[at]
            rows[name] = response
            happened |= response != 0
        rows["bought_time"], rows["paid"] = np.where(rows["bought"], tick, -1), np.where(rows["bought"], price, 0.0)
        rows["reward"] = self._rewards(copy, agent, slot, np.flatnonzero(happened))
        for name, seen in self._seen.items():
            rows[name] = seen[copy, agent]
        if not self._rows.no_propensity:
            rows["propensity"] = self._propensities.ravel()[at]
            rows["slate_propensity"] = self._propensities.prod(axis=2).ravel()[place]
            self._check_propensities(rows)
        first = self._rows.number
        self._rows.append(rows)
        self._join(tick, infos, first, copy, rows)
        self._pages += envs.num_envs

    def _users(self, visitors: np.ndarray, copies: np.ndarray) -> np.ndarray:
        """Numbers of people that differ between copies, unless the same people visit all of them."""
        if self.envs.config.users.population == "fixed":
            return visitors
        return visitors * self._copies + self._first + copies

    def _popularity(self, tick: int, copy: np.ndarray, item: np.ndarray, infos: Infos) -> np.ndarray:
        """Public popularity of shown items before the page, as `VectorEnv.public_items` would have said.

        The page has brought the items' statistics up to its tick, and added its click.
        """
        envs = self.envs
        own = envs.arrays.items
        past = envs.world.decay[tick] * envs.world.items["popularity"][item]
        known: np.ndarray = np.where(own["window"][copy, item] == 0, past, 0.0)
        if envs.config.private:
            return known
        clicked = np.where(infos["clicked"], infos["shown"], -1).max(axis=(1, 2))  # at most one on a page
        return known + (own["clicks"][copy, item] - (clicked[copy] == item))

    def _rewards(self, copy: np.ndarray, agent: np.ndarray, slot: np.ndarray, happened: np.ndarray) -> np.ndarray:
        """Return the rewards [I] of the slots in which something happened."""
        from ..kernels.feedback import read_rewards

        envs, reward, earned = self.envs, np.zeros(len(copy)), np.zeros(len(happened))
        slots = envs.report.slots[copy[happened], agent[happened], slot[happened]]
        read_rewards(envs.world, agent[happened], slots, earned)
        reward[happened] = earned
        if envs.config.auctioned:
            bids = envs.report.bids[copy, agent]
            reward = bids["worth"] * reward - bids["payment"]
        return reward

    def _check_propensities(self, rows: np.ndarray) -> None:
        wrong = ~((rows["propensity"] > 0) & (rows["propensity"] <= 1))
        if wrong.any():
            row = rows[wrong][0]
            agent = self.envs.possible_agents[row["agent"]]
            raise ValueError(
                f"{agent}: probabilities() of its policy gives {row['propensity']:g} for what it has picked for slot "
                f"{row['slot']} at tick {row['time']}; it must be above 0 and at most 1"
            )

    def _join(self, tick: int, infos: Infos, first: int, copy: np.ndarray, rows: np.ndarray) -> None:
        """Join purchases from the cart, each to the impression that put the item there.

        `first` is the number of the first row of this tick; `copy` and `rows` are those of the tick.
        """
        user_slots, carted = infos["user_slot"].max(axis=1), np.flatnonzero(rows["cart"] & ~rows["bought"])
        for i in carted.tolist():
            b = int(copy[i])
            self._in_cart.setdefault((b, int(user_slots[b])), {})[int(rows["item"][i])] = first + i
        item, agent = infos["later_item"], infos["later_agent"]
        for b, i in zip(*np.nonzero(item >= 0), strict=True):
            number = self._in_cart[int(b), int(user_slots[b])].pop(int(item[b, i]))
            price, rating = float(infos["later_price"][b, i]), infos["later_rating"][b, i]
            row = self._rows.read(number, 1)
            row["bought"], row["bought_time"], row["paid"] = True, tick, price
            row["rating"] = rating or row["rating"]
            row["reward"] += later_reward(self.envs.world.agents[agent[b, i]], price, rating_value(rating))
            self._rows.write(number, row)
        for b in set(copy[carted].tolist()):
            if len(self._in_cart[b, int(user_slots[b])]) > 2 * CART_SIZE:
                self._forget(b, int(user_slots[b]))

    def _forget(self, copy: int, user_slot: int) -> None:
        """Forget the impressions whose items have left the cart otherwise."""
        state, key = self.envs.arrays, (copy, user_slot)
        user = state.users[copy, user_slot]
        left = set(state.carts["item"][copy, user["row"], : user["cart"]].tolist())
        self._in_cart[key] = {item: row for item, row in self._in_cart[key].items() if item in left}


class _Log:
    """The rows of all impressions as a table."""

    def __init__(self, envs: VectorEnv, rows: _Rows, columns: Sequence[str]) -> None:
        self._rows = rows
        # names -> the names that occur, the name of each code, and the column of the codes
        self._names = {"agent": (np.array(envs.possible_agents, object), np.arange(envs.num_agents), "agent")}
        if "text" in columns:
            titles, which = np.unique(envs.texts.titles.astype(str), return_inverse=True)
            self._names["text"] = titles.astype(object), which, "item"

    def frame(self) -> pandas.DataFrame:
        """The whole log."""
        import pandas

        columns, table = self._rows.columns(0, self._rows.number), dict[str, Any]()
        for name, column in columns.items():
            table[name] = column if column.ndim == 1 else [row[_there(name, row)] for row in column]
        for name, (names, which, codes) in self._names.items():
            table[name] = pandas.Categorical.from_codes(which[columns[codes]], names)
        frame = pandas.DataFrame(table)
        frame.attrs = self._attributes()
        return frame

    def write(self, path: Path) -> None:
        """Write the log as Parquet, a part at a time."""
        from pyarrow.parquet import ParquetWriter

        number, size, writer = self._rows.number, max(1, _PART // self._rows.kind.itemsize), None
        try:
            for first in range(0, max(number, 1), size):
                part = self._part(first, min(size, number - first))
                if writer is None:
                    # numbers that seldom repeat
                    repeating = [name for name in part.column_names if name not in ("popularity", "context")]
                    writer = ParquetWriter(path, part.schema, use_dictionary=repeating)
                writer.write_table(part)
        finally:
            if writer is not None:
                writer.close()

    def _part(self, first: int, number: int) -> Any:
        """Rows as a table of pyarrow."""
        import pyarrow

        columns, table = self._rows.columns(first, number), dict[str, Any]()
        for name, column in columns.items():
            table[name] = pyarrow.array(column) if column.ndim == 1 else _lists(name, column)
        for name, (names, which, codes) in self._names.items():
            table[name] = pyarrow.DictionaryArray.from_arrays(which[columns[codes]].astype(np.int32), names)
        # where pandas looks for attrs
        return pyarrow.table(table, metadata={"PANDAS_ATTRS": json.dumps(self._attributes())})

    def _attributes(self) -> dict[str, str]:
        return {"no_propensity": self._rows.no_propensity} if self._rows.no_propensity else {}


def _there(name: str, values: np.ndarray) -> np.ndarray:
    """Which entries of lists there are: a place for a candidate may be empty."""
    return values >= 0 if name == "candidates" else np.ones(values.shape, np.bool_)


def _lists(name: str, column: np.ndarray) -> Any:
    """The lists of a column [I, L] as an array of pyarrow."""
    import pyarrow

    there = _there(name, column)
    offsets = np.append(0, np.cumsum(there.sum(axis=1))).astype(np.int32)
    return pyarrow.ListArray.from_arrays(offsets, column[there])
