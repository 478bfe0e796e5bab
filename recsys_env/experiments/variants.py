"""Worlds in which an experiment can be read: with a sparse clock, and without one cause of interference or another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

from ..batch.vector import VectorEnv
from ..checks import check_count, unknown
from ..config import WorldConfig
from ..config.settings import replace
from ..config.tasks import task_config
from ..kernels.equations import in_python, popularity_term
from ..world.terms import CART, EXPERIENCE, UTILITY, counting_terms

CLOCK, SATISFACTION = 0.12, 0.8  # share of ticks in which a population of `sparse` with this satisfaction is served
PAGES_OF_A_SESSION = 6.0  # at most, on average over sessions of people who are fully satisfied
ALREADY = 0.9  # part of this share below which a task is too sparse to have a sparse variant
VISITS = 5.0  # ratio of the visits of a fully satisfied person to those of a fully dissatisfied one, at most

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "satisfaction": "satisfaction and trust, which a person carries from one page to the next",
        "memory": "what else a person carries: taste that drifts, satiation, habits, and an empty wallet",
        "stock": "the stock that all people share",
        "popularity": "clicks that change what everybody is shown and wants: popularity and public statistics of items",
        "rivals": "the other agents",
    }
)
"""Causes by which what one unit is shown changes what another one earns."""


def sparse(task: str | WorldConfig, users: int = 100, pages: int = 40) -> WorldConfig:
    """Return a variant of a task with many users whose visits are rare, so that they hardly compete for ticks.

    One visitor is served in a tick, and in the shipped tasks nearly every tick is used. So a policy whose visitors stay
    longer takes ticks from all others, which no real platform does. Here 12 % of the ticks serve a population whose
    satisfaction is .8. Sessions of fully satisfied people have at most 6 pages on average, all user slots visit equally
    often, and a fully satisfied person comes at most five times as often as a fully dissatisfied one. What is counted
    in ticks (restocks, lives of items, promotions, half-lives, wallets) is stretched in proportion.

    Args:
        users: number of user slots, unless a catalogue gives the users.
        pages: pages of each user slot in an episode, if satisfaction is .8.

    Raises:
        ValueError, TypeError: the task does not exist or is sparser already, or a number is out of range.
    """
    config = task_config(task, {})
    check_count("users", users, 2, 10**6)
    check_count("pages", pages, 1, 10**6)
    arrival, z = config.arrival, SATISFACTION
    k_0 = min(arrival.k_0, math.log(PAGES_OF_A_SESSION - 1) - abs(arrival.k_1))
    r_1 = math.copysign(min(math.log(VISITS) / 2, abs(_visits(arrival, 1) - _visits(arrival, -1)) / 2), arrival.r_1)
    length = 1 + math.exp(k_0 + arrival.k_1 * z)
    visits = 1 / (length * (1 - CLOCK) / CLOCK + 1)  # per free tick
    used = 1 / (1 + (math.exp(-_visits(arrival, z)) - 1) / (1 + math.exp(arrival.k_0 + arrival.k_1 * z)))
    if used < ALREADY * CLOCK:
        raise ValueError(
            f"pages of this task take {used:.2%} of the ticks; it is sparser than its variant, with {CLOCK:.0%}"
        )
    stretch = max(used / CLOCK, 1.0)
    items, own = config.items, {} if config.catalogue else {"number": users, "activity_log_sd": 0.0}
    number = config.users.number if config.catalogue else users
    refill = config.users.wallet_refill * config.users.number / (number * stretch)
    times = {
        name: round(getattr(items, name) * stretch) for name in ("restock_period", "life", "period", "promotion_period")
    }
    changes: dict[str, Any] = {
        "horizon": round(number * pages / CLOCK),
        "users": {"wallet_refill": refill, **own},
        "items": {"popularity_half_life": items.popularity_half_life * stretch, **times},
        "choice": {"tau_fresh": config.choice.tau_fresh * stretch},
        "arrival": {"k_0": k_0, "r_0": math.log(visits / (1 - visits)) - r_1 * z, "r_1": r_1},
    }
    return replace(config, changes)


def _visits(arrival: Any, z: float) -> float:
    """Return the logarithm of the probability that a person with this satisfaction accepts to come."""
    return -math.log1p(math.exp(-(arrival.r_0 + arrival.r_1 * z)))


def without(task: str | WorldConfig, *causes: str) -> WorldConfig:
    """Return a variant of a task in which some causes of interference are taken out.

    - `satisfaction`: satisfaction and trust stay as they begin;
    - `memory`: taste does not drift, satiation and habits have no effect, wallets are unlimited;
    - `stock`: unlimited;
    - `popularity`: it has no effect on utility (the mean effect over the items at the start remains), and public
      statistics are those of so large a log that the clicks of an episode hardly move them;
    - `rivals`: one agent. The task must have a single role.

    Without any of them, pages affect each other only by the clock, and by what policies remember.

    Args:
        causes: some of `CAUSES`.

    Raises:
        ValueError, TypeError: the task or a cause does not exist, or the task has several roles.
    """
    config = task_config(task, {})
    for cause in causes:
        if not isinstance(cause, str) or cause not in CAUSES:
            raise ValueError(unknown("cause", cause, CAUSES))
    for cause in dict.fromkeys(causes):
        config = replace(config, _changes(config, cause))
    return config


def _changes(config: WorldConfig, cause: str) -> dict[str, Any]:
    """Return the fields that take out a cause."""
    if cause == "satisfaction":
        rates = ("z_rate", "z_rate_none", "trust_rate", "trust_rate_none", "trust_rate_rival")
        changes: dict[str, Any] = {"dynamics": dict.fromkeys(rates, 0.0)}
        if config.choice.v_0_by_mood:  # people stay in the best mood, in which they begin
            still = (0.0,) * len(config.dynamics.mood_up)
            changes["dynamics"] |= {"mood_up": still, "mood_down": still, "mood_up_none": 0.0, "mood_down_none": 0.0}
        return changes
    if cause == "memory":
        carried = _without_terms(config, {"satiation", "habits", "the items consumed last"})
        return {**carried, "users": {"wallet_init": 0.0}, "dynamics": {"drift": 0.0}}
    if cause == "stock":
        return {"items": {"stock_init": 0}}
    if cause == "popularity":
        items, choice, terms = config.items, config.choice, _without_terms(config, {"popularity"})
        item = SimpleNamespace(popularity=VectorEnv(config).world.items["popularity"])
        level = float(np.mean(in_python(popularity_term)(choice, item)))
        large = {} if config.catalogue else {"popularity_mean": min(items.popularity_mean * 1e4, 1e9)}
        return {
            "items": {"popularity_half_life": 1e9, "log_impressions": min(items.log_impressions * 1e4, 1e9), **large},
            **terms,
            "choice": {
                **terms.get("choice", {}),
                "v_0": choice.v_0 - level,
                "v_0_by_mood": tuple(value - level for value in choice.v_0_by_mood),
            },
        }
    if len(config.roles) > 1:
        raise ValueError(
            f"rivals cannot be taken out: each of the roles {[r.name for r in config.roles]} has one agent"
        )
    return {"num_agents": 1}


def _without_terms(config: WorldConfig, parts: set[str]) -> dict[str, dict[str, float]]:
    """Return the fields that take out all terms that depend on one of these parts of the state."""
    changes: dict[str, dict[str, float]] = {}
    for which in (UTILITY, EXPERIENCE, CART):
        for term in counting_terms(config, which):
            if not term.depends_on & parts:
                continue
            if not term.own:
                raise ValueError(f"the term {term.name!r} cannot be taken out: no coefficient of its own scales it")
            changes.setdefault(which.group, {}).update(dict.fromkeys(term.own, 0.0))
    return changes
