"""A page as text or as a picture, with visitor, slots and outcomes; and the explanation of its clicks, term by term."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..batch.infos import OF_BIDS
from ..batch.vector import VectorEnv
from ..checks import shown
from ..config.responses import LATER_SALE, NAMES, most_specific

_NAME = 36  # characters of an item or topic name that are shown


class Slot(NamedTuple):
    """What one slot of the last page showed."""

    rank: int  # on the page, 1 = best; 0 = not on it
    item: int  # -1 = hole
    topic: int
    price: float  # asked, after promotion and as the agent offers it, in mean list prices
    promoted: bool
    events: dict[str, str]  # what happened to it, in words -> their colour


def slots_of(envs: VectorEnv, n: int, tick: int) -> list[Slot]:
    """Return the slots [K] that agent n showed at the last page of copy 0."""
    infos = {name: envs.infos[name][0, n] for name in ("shown", "rank", *NAMES)}
    prices, promoted = envs.prices_at(np.maximum(infos["shown"], 0), tick, envs.infos["price_multiplier"][0, n])
    return [
        Slot(
            int(infos["rank"][k]) + 1,
            int(j),
            int(envs.world.items["topic"][j]),
            float(prices[k]),
            bool(promoted[k]),
            _events({name: values[k] for name, values in infos.items()}),
        )
        for k, j in enumerate(infos["shown"])
    ]


def notes_of(envs: VectorEnv, n: int, tick: int) -> list[str]:
    """Return in words what agent n did at the last page of copy 0 beside showing items: its bid, or what it published
    at this tick."""
    value, bid, payment = (float(envs.infos[name][0, n]) for name in OF_BIDS)
    notes = [f"slot worth {value:.3f}", f"bid {bid:.3f}"] if value or bid else []
    notes += [f"paid {payment:.3f}"] * (payment > 0)
    if envs.config.ranked and (j := published(envs, tick)[n]) >= 0:
        notes.append(f"published {item_name(envs, j)}, topic {topic_name(envs, int(envs.world.items['topic'][j]))}")
    return notes


def published(envs: VectorEnv, tick: int) -> np.ndarray:
    """Return the items [N] that the creators on the platform of copy 0 published at the last tick, the number of which
    is given; -1 = none."""
    decision, rest = divmod(tick, envs.config.platform.period)
    items: np.ndarray = envs.arrays.windows[0, :, decision % envs.shape.window]
    return np.where(rest == 0, items, -1)


def _events(infos: Mapping[str, Any]) -> dict[str, str]:
    return {r.words.format(value): r.colour for r, value in most_specific(infos) if r.words}


# ------------------------------------------------------------------------------------------------ text


def render_page(envs: VectorEnv, page: Any, scores: Sequence[float], *, over: bool, name: str) -> str:
    """Return the page that copy 0 was shown last, as text.

    Args:
        envs: the batch.
        page: `envs.next_page[0]` from before the step, None if no page has been shown yet.
        scores: sum of each agent's individual reward so far.
        over: whether that step ended the episode.
        name: name of the task to print.
    """
    if page is None:
        return f"{_title(envs, page, name)}\n{_coming(envs, over)}"
    lines = [f"{_title(envs, page, name)}  {_visit(envs, page)}"]
    infos, width = envs.infos, max(map(len, envs.possible_agents))
    slots = [slots_of(envs, n, int(page["tick"])) for n in range(envs.num_agents)]
    shown = [slot for row in slots for slot in row if slot.item >= 0]
    columns = (
        max([len(item_name(envs, slot.item)) for slot in shown] or [0]),
        max([len(topic_name(envs, slot.topic)) for slot in shown] or [0]),
    )
    for n, agent in enumerate(envs.possible_agents):
        ranked = [slot for slot in slots[n] if slot.rank > 0]
        notes = notes_of(envs, n, int(page["tick"]))
        if page["visitor"] >= 0 and not ranked:
            notes.insert(0, "not on this page")
        earned = f"score {scores[n]:9.3f}  this tick {infos['individual_reward'][0, n]:+7.3f}"
        lines.append(f"  {agent:<{width}}  {earned}  {', '.join(notes)}".rstrip())
        lines += [_slot_line(envs, slot, columns) for slot in ranked]
    lines += [f"  {sale}" for sale in _later_sales(envs)]
    lines.append(_coming(envs, over))
    return "\n".join(lines)


def _title(envs: VectorEnv, page: Any, name: str) -> str:
    if page is None:
        return f"{name}  new episode of {envs.config.horizon} ticks"
    return f"{name}  tick {page['tick']} of {envs.config.horizon}"


def _visit(envs: VectorEnv, page: Any) -> str:
    """Describe the visitor of the page of this record."""
    if page["visitor"] < 0:
        return "nobody came (idle tick)"
    parts = [f"user {page['visitor']}", f"page {page['session_page'] + 1} of the session"]
    if len(envs.config.scenes) > 1:
        parts.append(f"scene {envs.config.scenes[page['scene']].name}")
    if page["anchor"] >= 0:
        parts.append(f"came from {item_name(envs, page['anchor'])}")
    if envs.config.opens_agent:
        parts.append(f"opened {envs.possible_agents[page['opened']]}")
    if envs.config.observability == "full":
        parts.append(f"wants {topic_name(envs, page['intent'])}")
    return ", ".join(parts)


def _coming(envs: VectorEnv, over: bool) -> str:
    return "the episode is over" if over else f"next: {_visit(envs, envs.next_page[0])}"


def _slot_line(envs: VectorEnv, slot: Slot, columns: tuple[int, int]) -> str:
    """Format a slot; `columns` are the widths of the names of items and topics."""
    rank = f"    {slot.rank:>3}  "
    if slot.item < 0:
        return f"{rank}(empty)"
    price = f"{slot.price:.2f}{'*' if slot.promoted else ' '}"
    item, topic = item_name(envs, slot.item), topic_name(envs, slot.topic)
    return f"{rank}{item:<{columns[0]}}  {topic:<{columns[1]}}  {price:>7}  {', '.join(slot.events)}".rstrip()


def _later_sales(envs: VectorEnv) -> list[str]:
    """List the purchases from the cart at the last page."""
    parts = (envs.infos[f"later_{name}"][0] for name in LATER_SALE)
    return [
        f"from the cart: bought {item_name(envs, item)} for {price:.2f}, credit to {envs.possible_agents[by]}"
        + (f", rated {rating}" if rating else "")
        for item, by, price, rating in zip(*parts, strict=True)
        if item >= 0
    ]


def item_name(envs: VectorEnv | None, j: int) -> str:
    """Return the printed name of item j: its number and title, and the clickbait that a creator has given it."""
    if envs is None:
        return f"item {j}"
    bait = f", clickbait {envs.world.items['bait'][j]:.2g}" if envs.config.ranked else ""
    return f"item {j} {str(envs.texts.titles[j])[:_NAME]}{bait}"


def topic_name(envs: VectorEnv, t: int) -> str:
    """Return the printed name of topic t."""
    return str(envs.texts.topics[t])[:_NAME]


def explanation(explained: Mapping[str, Mapping[str, Any]], envs: VectorEnv | None = None) -> str:
    """Return the result of `RecommendationEnv.explain` as a table.

    It has a line for each slot that is not a hole, best rank first, and a column for each term that is not 0 everywhere
    on the page. Then follow v (their sum), log theta of the position, trust in the agent if it counts, and the
    probability of a click. On auction pages, a line for each agent tells its bid.

    Args:
        explained: result of `env.explain(actions)`.
        envs: `env.vector`, for the titles of its items.

    Raises:
        TypeError: `explained` is not an explanation by agent.
    """
    if not isinstance(explained, Mapping) or not explained or not isinstance(next(iter(explained.values())), Mapping):
        raise TypeError(f"explained = {shown(explained)} must be what env.explain(actions) returned")
    pages, first = explained.items(), next(iter(explained.values()))
    terms = [name for name in first["terms"] if any(page["terms"][name].any() for _, page in pages)]
    trusted = any(page["trust"] for _, page in pages)
    rows = [["agent", "rank", "item", *terms, "v", "position", *["trust"] * trusted, "click"]]
    slots = [(int(page["rank"][k]), agent, k) for agent, page in pages for k, j in enumerate(page["item"]) if j >= 0]
    for rank, agent, k in sorted(slots):
        page = explained[agent]
        numbers = [page["terms"][name][k] for name in terms]
        odds = [page["position"][k], *[page["trust"]] * trusted]
        rows.append(
            [
                agent,
                str(rank + 1),
                item_name(envs, page["item"][k]),
                *(f"{number:+.3f}" for number in numbers),
                f"{page['utility'][k]:.3f}",
                *(f"{number:+.3f}" for number in odds),
                f"{page['click'][k]:.1%}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, 2) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([*lines, f"no click: v_0 = {first['outside']:.3f}", *_bids(explained)])


def _bids(explained: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """List the bids for the slot of an auction page."""
    return [
        f"{agent}: slot worth {page['slot_value']:.3f}, bid {page['bid']:.3f}"
        + (f", wins and pays {page['payment']:.3f}" if page["item"][0] >= 0 else "")
        for agent, page in explained.items()
        if page["slot_value"] or page["bid"]
    ]


# ------------------------------------------------------------------------------------------------ picture

_WIDTH, _CARD, _GAP, _HEADER, _TITLE, _SALE_LINE = 340, 64, 8, 96, 44, 22  # pixels
_PAPER, _INK, _FAINT, _LINE, _WHITE = "#f4f5f7", "#1c2430", "#6b7684", "#d5dae1", "#ffffff"
_PROGRESS, _GAIN = "#1f6feb", "#1a7f37"
_SALE = "#b42318"


def topic_colour(t: int) -> tuple[int, int, int]:
    """Return red, green and blue of topic t; hues follow the golden ratio, so that neighbours differ."""
    red, green, blue = colorsys.hls_to_rgb((0.58 + 0.618034 * t) % 1, 0.37, 0.6)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_page(envs: VectorEnv, page: Any, scores: Sequence[float], *, over: bool, name: str) -> np.ndarray:
    """Return the page that copy 0 was shown last as a picture: a column of cards per agent, four columns per row.

    Arguments are those of `render_page`.

    Returns:
        [H, W, 3] uint8; H and W are even, as video codecs require, and equal for all pages of a task.

    Raises:
        ImportError: Pillow is missing.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise ImportError('to draw a page needs Pillow: pip install "recsys_env[render]"') from None
    columns = min(envs.num_agents, 4)
    block = _TITLE + envs.config.slots * (_CARD + _GAP) + _GAP
    rows = -(-envs.num_agents // columns)
    foot = _HEADER + rows * block
    height = foot + envs.shape.cart * _SALE_LINE + _GAP
    size = max(columns * (_WIDTH + 2 * _GAP), 640) + 2 * _GAP, height + height % 2
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "L"
    _draw_header(draw, envs, page, over, name, image.width)
    for n in range(envs.num_agents):
        at = 2 * _GAP + n % columns * (_WIDTH + 2 * _GAP), _HEADER + n // columns * block
        _draw_agent(draw, envs, n, page, scores[n], at)
    sales = [] if page is None else _later_sales(envs)
    for i, text in enumerate(sales):
        _write(draw, (2 * _GAP, foot + i * _SALE_LINE), text, 15, _GAIN, image.width - 4 * _GAP)
    return np.array(image)


def _draw_header(draw: Any, envs: VectorEnv, page: Any, over: bool, name: str, width: int) -> None:
    """Draw the task, the progress of its episode, the visitor and the next visitor."""
    played = 0 if page is None else int(page["tick"]) + 1
    draw.rectangle((0, 0, width, 5), fill=_LINE)
    draw.rectangle((0, 0, width * played // envs.config.horizon, 5), fill=_PROGRESS)
    room = width - 4 * _GAP
    _write(draw, (2 * _GAP, 12), _title(envs, page, name), 20, _INK, room)
    if page is not None:
        _write(draw, (2 * _GAP, 40), _visit(envs, page), 17, _INK if page["visitor"] >= 0 else _FAINT, room)
    _write(draw, (2 * _GAP, 66), _coming(envs, over), 15, _FAINT, room)


def _draw_agent(draw: Any, envs: VectorEnv, n: int, page: Any, score: float, at: tuple[int, int]) -> None:
    """Draw one agent: its name and rewards, then a card for each of its slots."""
    x, y = at
    _write(draw, (x, y + 4), envs.possible_agents[n], 18, _INK, _WIDTH // 2)
    earned = 0.0 if page is None else float(envs.infos["individual_reward"][0, n])
    text = f"{score:.2f}" + (f"  ({earned:+.2f})" if earned else "")
    _write(draw, (x + _WIDTH, y + 4), text, 18, _GAIN if earned > 0 else _FAINT, _WIDTH // 2, anchor="ra")
    present = page is not None and envs.infos["visitor"][0, n] >= 0
    slots = slots_of(envs, n, int(page["tick"])) if present else [None] * envs.config.slots
    notes = [] if page is None else notes_of(envs, n, int(page["tick"]))
    for k, slot in enumerate(slots):
        top = y + _TITLE - _GAP + k * (_CARD + _GAP)
        box = (x, top, x + _WIDTH, top + _CARD)
        if slot is None or slot.item < 0:
            draw.rounded_rectangle(box, 8, outline=_LINE)
            empty = ["empty"] if slot and slot.rank else []
            _write(draw, (x + 16, top + 22), ", ".join(empty + notes * (k == 0)), 15, _FAINT, _WIDTH - 32)
        else:
            _draw_card(draw, envs, slot, box, notes if k == 0 else [])


def _draw_card(draw: Any, envs: VectorEnv, slot: Slot, box: tuple[int, int, int, int], notes: Sequence[str]) -> None:
    """Draw one shown item, framed in the colour of its best outcome, with notes on its agent."""
    x, top, right, bottom = box
    frame = next(filter(None, reversed(slot.events.values())), _LINE)
    draw.rounded_rectangle(box, 8, fill=_WHITE, outline=frame, width=3 if slot.events else 1)
    draw.rounded_rectangle((x + 7, top + 9, x + 12, bottom - 9), 2, fill=topic_colour(slot.topic))
    price = f"{slot.price:.2f}" + (" sale" if slot.promoted else "")
    _write(draw, (right - 12, top + 10), price, 16, _SALE if slot.promoted else _INK, 90, anchor="ra")
    _write(draw, (x + 20, top + 10), f"{slot.rank}. {item_name(envs, slot.item)}", 16, _INK, _WIDTH - 120)
    left = x + 20
    for word, colour in slot.events.items():
        wide = int(_font(13).getlength(word)) + 14
        draw.rounded_rectangle((left, top + 36, left + wide, top + 56), 9, fill=colour or _INK)
        _write(draw, (left + 7, top + 39), word, 13, _WHITE, wide)
        left += wide + 5
    below = ", ".join([topic_name(envs, slot.topic), *notes])
    _write(draw, (left, top + 38), below, 14, topic_colour(slot.topic), right - 12 - left)


def _write(draw: Any, at: tuple[int, int], text: str, size: int, colour: Any, room: int, anchor: str = "la") -> None:
    """Draw text of this size, cut to the width `room`."""
    font = _font(size)
    if font.getlength(text) > room:
        while text and font.getlength(f"{text}...") > room:
            text = text[:-1]
        text = f"{text.rstrip()}..." if text else ""
    draw.text(at, text, fill=colour, font=font, anchor=anchor)


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
