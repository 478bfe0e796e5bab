"""The log of an episode, from which metrics are computed.

    log = EpisodeLog(envs)
    log.look(); ...step...; log.record(infos)          at every tick of one episode of every copy

It keeps the infos and what only the simulator knows. Metrics (`recsys_env.evaluation.metrics`) are functions of it.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import Any

import numpy as np

from ..batch.infos import Infos
from ..batch.vector import VectorEnv, checked_vector_env
from ..checks import did_you_mean, is_number, is_sequence, shown
from ..config.responses import RESPONSES, check_new

COLD_CLICKS = 5.0  # an item with fewer clicks than this, by public decayed counts, is cold


class EpisodeLog:
    """The log of one episode of every copy. Axes: t < horizon, b < B copies, n < N agents, k < K slots.

    - `visitor` int64 [t, b]: id of the person, -1 in an idle tick
    - `group` int32 [t, b]: group label of the person
    - `satisfaction` float32 [t, b]: satisfaction of the person before the page
    - `first_session` bool [t, b]: the person is in its first session of this episode
    - `new_session` bool [t, b]: this page begins a session
    - `seen` bool [t, b]: the person was served in earlier episodes
    - `active` bool [t, b, n]: the agent's slots were on the page
    - `ideal` float32 [t, b, n, 3]: the agent's best discounted gain among all, cold and warm items
    - `objectives` float32 [t, b, n]: reward for diversity, novelty and fairness of the page, beside individual reward
    - `payment` float32 [t, b, n]: price paid for the slot of an auction
    - `revenue` float32 [t, b, n]: price paid, in mean list prices
    - `purchases` float32 [t, b, n]: items bought, including those that were carted earlier
    - `ratings`, `stars` float32 [t, b, n]: number and sum of ratings, including those of earlier items
    - `item` int32 [t, b, n, k]: -1 = hole
    - `rank` int32 [t, b, n, k]: rank - 1 on the page, as in `infos`; -1 = not on it
    - `clicked`, `dwell`, ... [t, b, n, k]: what happened to the slot, an array for each of `responses.RESPONSES`
    - `cold` bool [t, b, n, k]: the item has fewer than 5 clicks, by public decayed counts
    - `gain` float32 [t, b, n, k]: probability of a click on the item alone, at the price that agents do not set; 0 at a
      hole

    Args:
        envs: the batch, at the beginning of an episode; all copies must stay at the same tick.
        seen: ids (`infos["visitor"]`) of the people that the policies have served in earlier episodes. They come again
            only with `users.population="fixed"`.

    Raises:
        TypeError: `envs` is not a batch, or the ids are not integers.
    """

    def __init__(self, envs: VectorEnv, seen: Collection[int] = ()) -> None:
        shape, h, b = checked_vector_env(envs).shape, envs.config.horizon, envs.num_envs
        if not (is_sequence(seen) or isinstance(seen, Set)) or not all(
            is_number(person, int, np.integer) for person in seen
        ):
            raise TypeError(f"seen = {shown(seen)} must be whole numbers")
        n, k = shape.agents, shape.slots
        self.envs, self.t, self._tick = envs, 0, -1
        self._served = [] if envs.config.users.population == "fresh" else list(set(seen))
        self.visitor = np.full((h, b), -1, np.int64)
        self.group = np.zeros((h, b), np.int32)
        self.satisfaction = np.zeros((h, b), np.float32)
        self.first_session, self.new_session = np.zeros((h, b), np.bool_), np.zeros((h, b), np.bool_)
        self.active = np.zeros((h, b, n), np.bool_)
        self.ideal = np.zeros((h, b, n, 3), np.float32)
        self.objectives, self.payment, self.revenue, self.purchases, self.ratings, self.stars = (
            np.zeros((h, b, n), np.float32) for _ in range(6)
        )
        self.item, self.rank = np.full((h, b, n, k), -1, np.int32), np.full((h, b, n, k), -1, np.int32)
        self.cold, self.gain = np.zeros((h, b, n, k), np.bool_), np.zeros((h, b, n, k), np.float32)
        self.discount = 1.0 / np.log2(np.arange(k) + 2.0)
        self._scratch = (
            np.zeros((3, k)),
            np.zeros((3, k), np.int64),
            np.zeros((b, n, 3)),
            np.zeros((b, shape.items)),
            np.zeros((b, shape.items), np.bool_),
        )
        check_new(vars(self), "logs of episodes")
        vars(self).update({response.name: np.zeros((h, b, n, k), response.kind) for response in RESPONSES})

    def __getattr__(self, name: str) -> np.ndarray:
        """Refuse a column that there is not. For type checkers those of the responses are found here.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"an EpisodeLog has no {name!r}{did_you_mean(name, vars(self))}")

    @property
    def seen(self) -> np.ndarray:
        return np.isin(self.visitor, self._served)

    def look(self) -> None:
        """Record, before the step, who is about to be served, and what each agent could show.

        Raises:
            RuntimeError: the episode is over, none has begun, or the batch is not at the next tick of this log.
        """
        self._going_on("look()")
        self._at("look()", self.t)
        from ..kernels.planners.appraisal import appraise

        t, page, user = self.t, self.envs.next_page, self.envs.latent_users()
        best, items, ideal, gains, cold = self._scratch
        appraise(self.envs.world, self.envs.arrays, COLD_CLICKS, self.discount, best, items, ideal, gains, cold)
        present = page["visitor"] >= 0
        self.group[t], self.satisfaction[t] = user["group"], user["satisfaction"]
        self.first_session[t] = present & (user["sessions"] == 1)
        self.new_session[t] = present & (page["session_page"] == 0)
        self.ideal[t] = ideal
        self._tick = int(page["tick"][0])

    def record(self, infos: Any) -> None:
        """Record, after the step, what was shown and what followed.

        Args:
            infos: infos of the step.

        Raises:
            RuntimeError: the episode is over, or `look` was not called before this step.
            TypeError, ValueError: these are not the infos of a step of this batch; nothing is recorded.
        """
        self._going_on("record()")
        if not isinstance(infos, Infos):
            raise TypeError(f"infos = {shown(infos)} must be what the batch's step returned")
        if infos["shown"].shape != self.item.shape[1:]:
            raise ValueError(
                f"infos['shown'] = {shown(infos['shown'])} of shape {list(infos['shown'].shape)} must have the batch's "
                f"shape {list(self.item.shape[1:])}"
            )
        if self._tick != self.t:
            raise RuntimeError("record(): call look() before the step")
        self._at("record()", (self.t + 1) % len(self.visitor))
        t = self.t
        *_, gains, cold = self._scratch
        item, there = infos["shown"], infos["shown"] >= 0
        self.visitor[t], self.active[t] = infos["visitor"].max(1), infos["visitor"] >= 0
        self.item[t], self.rank[t], self.objectives[t] = item, infos["rank"], infos["objectives"]
        self.payment[t] = infos["payment"]
        for response in RESPONSES:
            getattr(self, response.name)[t] = infos[response.name]
        of_item = np.arange(len(cold))[:, None, None], item
        self.gain[t] = np.where(there, gains[of_item], 0.0)
        self.cold[t] = there & cold[of_item]
        self._record_purchases(t, infos)
        self.t += 1

    def _going_on(self, what: str) -> None:
        if self.t == len(self.visitor):
            raise RuntimeError(f"{what}: this log holds all {self.t} ticks of its episode; make one for each episode")

    def _at(self, what: str, tick: int) -> None:
        """Raise unless all copies are at this tick, so that the log misses none."""
        if (self.envs.tick != tick).any():
            found = np.unique(self.envs.tick).tolist()
            raise RuntimeError(
                f"{what}: after {self.t} ticks of this log the batch is at tick {found}, not {tick}; "
                "begin with the episode, look before every step and record after it"
            )

    def _record_purchases(self, t: int, infos: Any) -> None:
        bought, rating, later = infos["bought"], infos["rating"], infos["later_item"] >= 0
        self.purchases[t], self.ratings[t], self.stars[t] = bought.sum(-1), (rating > 0).sum(-1), rating.sum(-1)
        if bought.any():
            sellers = np.nonzero(bought)[:2]
            prices, _ = self.envs.prices_at(infos["shown"][bought], self._tick, infos["price_multiplier"][sellers])
            np.add.at(self.revenue[t], sellers, prices)
        if later.any():
            credited = np.nonzero(later)[0], infos["later_agent"][later]
            np.add.at(self.purchases[t], credited, 1)
            np.add.at(self.revenue[t], credited, infos["later_price"][later])
            np.add.at(self.ratings[t], credited, infos["later_rating"][later] > 0)
            np.add.at(self.stars[t], credited, infos["later_rating"][later])
