"""One page as text: who came, what each agent showed, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .kernels.page import read_prices
from .vector import VectorEnv

_NAME = 36  # characters of an item or topic name that are shown
_EVENTS = {"clicked": "clicked", "cart": "in the cart", "bought": "bought", "liked": "liked"}


def render_page(envs: VectorEnv, page: Any, scores: Sequence[float], *, over: bool, name: str) -> str:
    """Text of the page that copy 0 was shown last.

    Args:
        envs: the batch.
        page: the record of `State.copies` from before the step, None if no page has been shown yet.
        scores: sum of each agent's own reward so far.
        over: whether that step ended the episode.
        name: what to call the task.
    """
    if page is None:
        return f"{name}  new episode of {envs.config.horizon} ticks\n{_coming(envs, over)}"
    lines = [f"{name}  tick {page['tick']} of {envs.config.horizon}  {_visit(envs, page)}"]
    infos, width = envs.infos, max(map(len, envs.possible_agents))
    shown = [j for j in infos["shown"][0].ravel() if j >= 0]
    columns = (
        max([len(_item(envs, j)) for j in shown] or [0]),
        max([len(_topic(envs, envs.world.items["topic"][j])) for j in shown] or [0]),
    )
    for n, agent in enumerate(envs.possible_agents):
        note = "" if page["visitor"] < 0 or infos["visitor"][0, n] >= 0 else "  not on this page"
        lines.append(f"  {agent:<{width}}  score {scores[n]:9.3f}  this tick {infos['own'][0, n]:+7.3f}{note}")
        if infos["visitor"][0, n] >= 0:
            lines += _slots(envs, n, int(page["tick"]), columns)
    for item, by, price, rating in zip(
        *(infos[f"later_{part}"][0] for part in ("item", "agent", "price", "rating")), strict=True
    ):
        if item >= 0:
            stars = f", rated {rating}" if rating else ""
            lines.append(
                f"  from the cart: bought {_item(envs, item)} for {price:.2f}, credit to {envs.possible_agents[by]}{stars}"
            )
    lines.append(_coming(envs, over))
    return "\n".join(lines)


def _visit(envs: VectorEnv, page: Any) -> str:
    """Who is on the page of this record."""
    if page["visitor"] < 0:
        return "nobody came (idle tick)"
    parts = [f"user {page['visitor']}", f"page {page['session_page'] + 1} of the session"]
    if len(envs.config.scenes) > 1:
        parts.append(f"scene {envs.config.scenes[page['scene']].name}")
    if page["anchor"] >= 0:
        parts.append(f"came from {_item(envs, page['anchor'])}")
    if envs.config.page == "rival":
        parts.append(f"opened {envs.possible_agents[page['opened']]}")
    if envs.config.observability == "full":
        parts.append(f"wants {_topic(envs, page['intent'])}")
    return ", ".join(parts)


def _coming(envs: VectorEnv, over: bool) -> str:
    return "the episode is over" if over else f"next: {_visit(envs, envs.arrays.copies[0])}"


def _slots(envs: VectorEnv, n: int, tick: int, columns: tuple[int, int]) -> list[str]:
    """One line for each slot of agent n; columns are the widths of the names of items and topics."""
    infos = envs.infos
    shown = infos["shown"][0, n]
    prices, promoted = np.zeros(len(shown)), np.zeros(len(shown), np.bool_)
    read_prices(envs.world, np.maximum(shown, 0), tick, prices, promoted)
    lines = []
    for k, j in enumerate(shown):
        rank = f"    {infos['rank'][0, n, k] + 1:>3}  "
        if j < 0:
            lines.append(f"{rank}(empty)")
            continue
        events = [
            text
            for key, text in _EVENTS.items()
            if infos[key][0, n, k] and not (key == "cart" and infos["bought"][0, n, k])
        ]
        if infos["rating"][0, n, k]:
            events.append(f"rated {infos['rating'][0, n, k]}")
        price = f"{prices[k]:.2f}{'*' if promoted[k] else ' '}"
        item, topic = _item(envs, j), _topic(envs, envs.world.items["topic"][j])
        lines.append(f"{rank}{item:<{columns[0]}}  {topic:<{columns[1]}}  {price:>7}  {', '.join(events)}".rstrip())
    return lines


def _item(envs: VectorEnv, j: int) -> str:
    return f"item {j}" if envs.catalogue is None else f"item {j} {str(envs.catalogue.item_name[j])[:_NAME]}"


def _topic(envs: VectorEnv, t: int) -> str:
    return f"topic {t}" if envs.catalogue is None else str(envs.catalogue.topic_name[t])[:_NAME]
