"""Episodes as data: one row for each impression."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..catalogue import Catalogue
from ..config import WorldConfig
from ..files import check_writable, checked_path, replacing
from ..infos import Infos
from ..responses import NAMES, later_reward
from ..vector import VectorEnv
from .episodes import Policies, begin_episodes

if TYPE_CHECKING:
    import pandas


def record(
    task: str | WorldConfig | VectorEnv,
    policies: Policies,
    episodes: int = 1,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
) -> pandas.DataFrame:
    """Play whole episodes as `episode_returns` does, and return a table of all shown items.

    Args:
        task, policies, episodes, seed, num_threads, catalogue: as in `episode_returns`.
        out: a Parquet file to which the table is also written; its folder is created.

    Returns:
        a table with a row for each impression (holes have none), in the order of ticks, copies, agents and slots:

        tick: 0 .. horizon - 1
        copy: copy of the batch, one episode each
        person: the visitor, equal only for the same person of a copy (`infos["visitor"]`)
        agent, slot: the agent that showed the item, and its slot, 0 .. K - 1
        rank: on the page, 1 = best (`infos` and logs count from 0)
        item, topic: numbers, as in the catalogue
        price: price asked, after promotion and the agent's offer, in mean list prices
        promoted: truth value
        clicked, dwell, ...: what happened to the slot, a column for each of `responses.RESPONSES`; of these
        bought: truth value; on this page, or later from the cart. A later purchase is credited to the impression that
            last put the item there
        bought_tick: tick of the purchase, -1 = none
        paid: price of the purchase, which may differ from `price` at a later tick, in mean list prices, 0 = none
        rating: 1 .. 5, after the click or a purchase, 0 = none
        reward: individual reward (before sharing) for everything that followed from this impression, including a later
            purchase; the sum over a copy and an agent is the value of `episode_returns`

    Raises:
        ValueError, TypeError: as in `episode_returns`.
        ImportError: pandas, or for Parquet pyarrow, is missing.
        OSError: the file cannot be written; nothing has been played then.
    """
    try:
        import pandas

        if out is not None:
            import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(f'to record needs {error.name}: pip install "recsys_env[evaluate]"') from None
    path = None if out is None else checked_path("out", out)
    envs, team, observations = begin_episodes(task, policies, episodes, seed, num_threads, catalogue)
    if path is not None:
        check_writable(path)
    impressions, actions = _Impressions(envs), envs.empty_actions()
    for tick in range(envs.config.horizon):
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        impressions.add(tick, infos)
        team.observe(infos, truncated)
    columns = impressions.columns()
    columns["agent"] = pandas.Categorical.from_codes(columns["agent"], envs.possible_agents)
    table = pandas.DataFrame(columns)
    if path is not None:
        with replacing(path) as new:
            table.to_parquet(new)
    return table


class _Impressions:
    """Collects the impressions of a batch, tick by tick, and remembers which of them put items into carts."""

    def __init__(self, envs: VectorEnv) -> None:
        self._envs = envs
        self._pages: list[dict[str, np.ndarray]] = []
        self._rows = 0
        self._in_cart: dict[tuple[int, int, int], int] = {}  # (copy, person, item) -> row of the impression
        self._later: list[tuple[int, int, float, int, float]] = []  # row, tick, price, rating, reward

    def add(self, tick: int, infos: Infos) -> None:
        """Take down what a step reports."""
        from ..kernels.feedback import read_rewards

        shown = infos["shown"]
        copy, agent, slot = np.nonzero(shown >= 0)
        item = shown[copy, agent, slot].astype(np.int64)
        price, promoted = self._envs.prices_at(item, tick, infos["price_multiplier"][copy, agent])
        page = {
            "tick": np.full(len(item), tick, np.int32),
            "copy": copy.astype(np.int32),
            "person": infos["visitor"][copy, agent],
            "agent": agent.astype(np.int16),
            "slot": slot.astype(np.int16),
            "rank": infos["rank"][copy, agent, slot].astype(np.int16) + 1,
            "item": item.astype(np.int32),
            "topic": self._envs.world.items["topic"][item],
            "price": price,
            "promoted": promoted,
            **{name: infos[name][copy, agent, slot] for name in NAMES},
        }
        page["bought_tick"] = np.where(page["bought"], np.int32(tick), np.int32(-1))
        page["paid"] = np.where(page["bought"], price, 0.0)
        page["reward"] = np.zeros(len(item))
        read_rewards(self._envs.world, agent, self._envs.report.slots[copy, agent, slot], page["reward"])
        if self._envs.config.auctioned:
            bids = self._envs.report.bids[copy, agent]
            page["reward"] = bids["worth"] * page["reward"] - bids["payment"]
        self._pages.append(page)
        for i in np.flatnonzero(page["cart"] & ~page["bought"]):
            self._in_cart[int(copy[i]), int(page["person"][i]), int(item[i])] = self._rows + int(i)
        self._rows += len(item)
        self._join(tick, infos)

    def _join(self, tick: int, infos: Infos) -> None:
        """Purchases from the cart, each to the impression that put the item there."""
        item, agent = infos["later_item"], infos["later_agent"]
        for b, i in zip(*np.nonzero(item >= 0), strict=True):
            person = int(infos["visitor"][b].max())
            row = self._in_cart.pop((int(b), person, int(item[b, i])))
            price, rating = float(infos["later_price"][b, i]), infos["later_rating"][b, i]
            reward = later_reward(self._envs.world.agents[agent[b, i]], price, rating)
            self._later.append((row, tick, price, int(rating), float(reward)))

    def columns(self) -> dict[str, Any]:
        """All impressions, by column."""
        table = {name: np.concatenate([page[name] for page in self._pages]) for name in self._pages[0]}
        for row, tick, price, rating, reward in self._later:
            table["bought"][row], table["bought_tick"][row], table["paid"][row] = True, tick, price
            table["rating"][row] = rating or table["rating"][row]
            table["reward"][row] += reward
        return table
