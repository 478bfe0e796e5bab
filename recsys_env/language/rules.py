"""The rules of a task in words: the system prompt of an agent, which stays the same on all pages.

text = describe_task(envs, "recommender_0", vocabulary)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..batch.vector import VectorEnv
from ..config import OBJECTIVES, WorldConfig
from ..config.fields import candidate_features
from ..config.responses import RESPONSES
from ..kernels.equations import in_python, likes_to_repeat
from ..policies.ranking import hidden_features

LONGEST_LINE = 500  # characters of a text in a prompt; a longer one is cut
# Signs that no text in a prompt holds, and what stands for them. Models mark parts of a dialogue or a thought by them,
# such as "<|im_end|>", "[think]" and "◁think▷", and prompts put titles and descriptions between the last three.
MARKS = str.maketrans('<>◁▷[]"', "‹›‹›()”")


def one_line(text: str) -> str:
    """Return a text that somebody else wrote as a line of printable characters, which cannot end its line of a prompt.

    Line breaks, control characters and others that are not printable become spaces. Angle brackets become single
    quotation marks of the same look, square brackets round ones, and straight quotation marks curved ones (`MARKS`). A
    text longer than 500 characters is cut.
    """
    kept = text[: 4 * LONGEST_LINE]  # enough, so that a text of megabytes takes no time
    if not kept.isprintable():
        kept = "".join(letter if letter.isprintable() else " " for letter in kept)
    line = " ".join(kept.split()).translate(MARKS)
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


def quoted(title: str) -> str:
    """Return a title as prompts tell it: in quotation marks, which it cannot close, so that it forges no fact."""
    return f'"{one_line(title)}"'


# ------------------------------------------------------------------------------------------------ numbers in words


class Fact(NamedTuple):
    """How a prompt tells a candidate's feature.

    Attributes:
        feature: its name in `fields.CANDIDATE_FEATURES`.
        words: the value in words; "" where it is not told.
        meaning: what the words mean, for the system prompt.
    """

    feature: str
    words: Callable[[float], str]
    meaning: str


def _where_not_zero(form: str) -> Callable[[float], str]:
    return lambda value: form.format(value) if value else ""


# In the order in which a candidate's line tells them, after its price.
FACTS = (
    Fact(
        "profile_match",
        _where_not_zero("fits tastes {:+.2f}"),
        '"fits tastes": how near the item is to what the visitor seems to like; about -1 (opposite) to 1 (the same)',
    ),
    Fact(
        "history_match",
        _where_not_zero("fits clicks {:+.2f}"),
        '"fits clicks": how near it is to the items that the visitor clicked; about -1 to 1',
    ),
    Fact(
        "context",
        _where_not_zero("fits the page {:+.2f}"),
        '"fits the page": how near it is to the item that the visitor came from; -1 to 1',
    ),
    Fact(
        "repeat",
        _where_not_zero("consumed {:.1f} times"),
        '"consumed": how often the visitor has consumed it, as far as you know; older times count less',
    ),
    Fact(
        "freshness",
        lambda value: ("old", "recent", "new")[int(np.digitize(value, (1 / 3, 2 / 3)))],
        '"new", "recent", "old": how long the item has been available',
    ),
    Fact(
        "popularity",
        lambda value: f"popularity {value:.1f}",
        '"popularity": clicks of all visitors on it, of which older ones count less; 1 is the mean of all items before '
        "the episode",
    ),
    Fact(
        "ctr",
        lambda value: f"clicks x{np.exp(np.arctanh(np.clip(value, -0.999, 0.999))):.1f}",
        '"clicks": how often it is clicked when it is looked at; x1.0 is the mean of all items, x2.0 twice as often',
    ),
    Fact(
        "satisfaction",
        lambda value: f"liking {value:+.1f}",
        '"liking": how long visitors stay with it after a click; -1 to 1, 0 is the mean of all items',
    ),
)

# What the objectives of `reward` are paid for (`config.RewardConfig`).
PAGE_REWARDS = {
    "diversity": "per page, times how much the items that you show differ (0 = alike, 1 = unrelated, 2 = opposite)",
    "novelty": "per page, times how unpopular they are (0 = the most popular item, 1 = the least popular one)",
    "fairness": "per page, times how much they help providers who have had less exposure than is due to them "
    "(negative if they help the others)",
}


def visible_features(envs: VectorEnv, n: int) -> frozenset[str]:
    """The features of candidates that agent n observes."""
    names = candidate_features(envs.config, envs.shape)
    return frozenset(envs.candidate_features).difference(names[f] for f in hidden_features(envs, n))


def tells_recent(config: WorldConfig, hidden: Collection[str]) -> bool:
    """Whether pages tell which items a visitor consumed last: where agents observe them, nothing is private, and none
    of the fields that name these items is hidden from the role."""
    named = not {"recent_mask", "recent_vectors", "recent_topics", "recent_ids"} & set(hidden)
    return config.observation.recent > 0 and not config.private and named


# ------------------------------------------------------------------------------------------------ the text


def describe_task(envs: VectorEnv, agent: str, vocabulary: Sequence[str]) -> str:
    """Return the system prompt of an agent: the rules of its task, what each number means, and how to answer.

    It holds no hidden number of the world: of the visitors' behaviour it says only which way an effect goes.

    Args:
        envs: the batch that is played.
        vocabulary: words of the messages [V].
    """
    n = envs.possible_agents.index(agent)
    parts = {
        "": _game(envs, n),
        "The page": _layout(envs),
        "Your reward": _rewards(envs, n),
        "Prices and messages": _channels(envs, n, vocabulary),
        "The visitors": _visitors(envs.config),
        "What you are told": _told(envs, n),
        "Your answer": _answer(envs, vocabulary),
    }
    blocks = []
    for title, lines in parts.items():
        found = [f"- {line}" for line in lines] if title else list(lines)
        if found:
            blocks.append("\n".join([f"{title}:", *found] if title else found))
    return "\n\n".join(blocks)


def counted(number: int, thing: str) -> str:
    """Return a number of things in words, such as "1 page" or "2 pages"."""
    return f"{number} {thing}{'s' if number != 1 else ''}"


def _game(envs: VectorEnv, n: int) -> Iterator[str]:
    config, shape, agents = envs.config, envs.shape, envs.possible_agents
    yield f"You are {agents[n]}, an agent that recommends items to visitors."
    if len(agents) > 1:
        others = "; ".join(_agent(envs, m) for m in range(len(agents)) if m != n)
        yield f"You share them with {counted(len(agents) - 1, 'other agent')}: {others}."
    if own := _specialty(envs, n):
        yield f"You {own}."
    of = f"of {counted(shape.candidates, 'candidate')}" if shape.candidates else "of the items that you may show"
    yield f"For each page you choose {counted(shape.slots, 'item')} {of}. They are shown in your order, the best first."
    yield f"An episode has {counted(config.horizon, 'step')}. At each step at most one visitor is shown a page."


def _agent(envs: VectorEnv, m: int) -> str:
    special = _specialty(envs, m, "s")
    return envs.possible_agents[m] + (f", which {special}" if special else "")


def _specialty(envs: VectorEnv, n: int, s: str = "") -> str:
    """Describe what is special about an agent: its scene, its inventory, and what it knows.

    Args:
        s: ending of the verbs: "s" in the third person.
    """
    role, texts, parts = envs.config.role_of(n), envs.texts, []
    if role.scene and len(envs.config.scenes) > 1:
        parts.append(f"fill{s} the page {one_line(role.scene)!r} alone")
    if role.domains:
        parts.append(f"show{s} items of {', '.join(one_line(str(texts.domains[x])) for x in role.domains)} only")
    elif role.items:
        parts.append(f"{'has' if s else 'have'} an inventory of {counted(len(role.items), 'item')}")
    if role.knows:
        parts.append(f"learn{s} something of what the visitor wants in this session")
    return " and ".join(parts)


PAGES = {  # kind of page -> what an agent is told of it
    "shared": (
        "The items of all agents stand in one list. The agents take turns, in an order that is drawn anew for each "
        "round. An item that several agents show stays at its best position; the other positions are left empty."
    ),
    "rows": "Each agent fills a row of its own. All rows are on one screen.",
    "rival": "A visitor opens one agent for a session and sees the items of no other.",
}


def _layout(envs: VectorEnv) -> Iterator[str]:
    config, several = envs.config, envs.num_agents > 1
    if len(config.scenes) > 1:
        names = ", ".join(one_line(scene.name) for scene in config.scenes)
        carts = ", ".join(one_line(scene.name) for scene in config.scenes if scene.cart)
        yield (
            f"There are several pages: {names}. A visit begins at the first. A click there leads to the second, and an "
            "item put into the cart to the next one; a page without a click leads back to the first."
        )
        if carts:
            yield f"Items can be put into the cart on: {carts}."
    if config.page not in PAGES:
        raise ValueError(f"PAGES of language/rules.py does not describe page = {config.page!r}")
    if config.opens_agent or (several and len(config.scenes) == 1):
        yield PAGES[config.page]
    if config.slots > 1 or config.page == "shared":
        alike = config.choice.eta == config.choice.kappa == 0
        yield f"The visitor looks at {'all positions alike' if alike else 'the first positions most'}."
    together = several and len(config.scenes) == 1 and not config.opens_agent
    whole = "page, of all agents' items together" if together else "page"
    yield f"The visitor clicks at most one item of a {whole}."


def _rewards(envs: VectorEnv, n: int) -> Iterator[str]:
    config, several = envs.config, envs.num_agents > 1
    weights, mu = config.reward_weights(config.role_index(n)), config.reward.margin_rate
    yield from _paid(weights)
    for m, agent in enumerate(envs.possible_agents):
        if (others := config.reward_weights(config.role_index(m))) != weights:
            yield f"{agent} is paid {'; '.join(_paid(others)) or 'for nothing'}"
    if any(config.reward_weights(role)["purchase"] for role in range(len(config.roles))):
        if envs.shape.levels:
            yield f"A purchase counts its price less {1 - mu:g} of the list price, divided by {mu:g} mean list prices."
        else:
            yield "A purchase counts its price, in mean list prices: what is dear pays more."
    if envs.shape.cart:
        yield "An item in the cart may be bought at a later page. That pays the agent who showed it."
    if config.feedback.instant:
        yield "What is put into the cart is bought at once."
    s = config.reward.sharing
    if several and s == 1:
        yield "All agents are paid alike: the mean of what they earn."
    elif several and s > 0:
        yield f"Your reward is {1 - s:g} of what you earn, and {s:g} of the mean of what all agents earn."
    elif several and s < 0:
        yield f"Your reward is what you earn, less {-s:g} of the mean of what all agents earn."
    elif several:
        yield "You are paid for what you earn; what other agents earn is theirs."
    yield f"Your objective is the sum of rewards over the episode, discounted by {config.discount:g} per step."


def _paid(weights: Mapping[str, float]) -> Iterator[str]:
    """Describe what a reward is paid for, by the weights of events and objectives."""
    meaning = {**{response.event: response.paid for response in RESPONSES}, **PAGE_REWARDS}
    for name, weight in weights.items():
        if weight:
            yield f"{weight:+g} {f'({name}) ' if name in OBJECTIVES else ''}{meaning[name]}"


def _channels(envs: VectorEnv, n: int, vocabulary: Sequence[str]) -> Iterator[str]:
    offer, levels, hidden = envs.config.offer, envs.shape.levels, envs.config.hidden(n)
    if levels:
        factors = np.geomspace(offer.low, offer.high, levels)
        table = ", ".join(f"{level}: x{factor:.2f}" for level, factor in enumerate(factors))
        yield f"With each page you set a price level, which multiplies the prices of your items ({table})."
        if "price_levels" not in hidden:
            yield "At a visitor's next page you see the levels that all agents set at its last one."
    if vocabulary:
        yield "With each page you send one word. The other agents may hear it at this visitor's next page."
        if "messages" not in hidden:
            yield "You may hear theirs, too. The words mean what you and they make of them."


def _visitors(config: WorldConfig) -> Iterator[str]:
    """Say which way the world's effects go, without their sizes."""
    choice, dynamics, arrival, items = config.choice, config.dynamics, config.arrival, config.items
    effects: Mapping[str, bool] = {
        "Visitors who liked what they clicked stay longer or come back more often.": arrival.k_1 > 0 or arrival.r_1 > 0,
        "Those who did not may leave for good.": arrival.d_1 > 0 and arrival.d_2 > 0,
        "Some items attract clicks and then disappoint.": choice.beta_bait > 0 and config.feedback.a_bait > 0,
        "Dear items are clicked and bought less.": choice.beta_price > 0,
        "Visitors tire of topics that they have just had.": choice.beta_satiation > 0,
        "They look for what goes well with what they have just had.": choice.beta_partner > 0,
        "They like to have again what they have had before.": in_python(likes_to_repeat)(choice),
        "They avoid what they have had before.": choice.beta_repeat < 0,
        "In each session they look for one topic in particular.": choice.beta_intent > 0,
        "They trust agents whose items they liked, and choose from these more often.": choice.beta_trust > 0,
        "Trust in an agent falls with each click on a rival's item.": dynamics.trust_rate_rival > 0,
        "Each item has a limited stock.": items.stock_init > 0,
        "Each visitor has a limited budget.": config.users.wallet_init > 0,
        "Items appear, grow old and disappear.": items.life > 0,
    }
    return (sentence for sentence, holds in effects.items() if holds)


def _told(envs: VectorEnv, n: int) -> Iterator[str]:
    config, hidden = envs.config, envs.config.hidden(n)
    seen = [name for name in envs.observation_fields if name not in hidden]
    if config.private:
        yield (
            "The visitor's privacy is protected. What it clicked or passed over, how often it came, and how satisfied "
            "it is are withheld from you. What it seems to like, and how well items fit it, contain random noise, so "
            "the numbers may lie far outside of their ranges. Numbers about the clicks of all visitors are those from "
            "before the episode."
        )
    if "visits" in seen:
        whose = "with you" if config.opens_agent else "of this person"
        yield f'"Visit": the number of the session {whose}; "ticks": steps since the last one.'
    if "profile" in seen:
        yield '"Seems to like": the topics nearest to an inexact estimate of its tastes, nearest first.'
    if config.role_of(n).knows:
        yield '"Wants one of": what it looks for in this session is one of these.'
    if config.users.request > 0 and "request" not in hidden:
        yield "What the visitor says, it said when it came in. It may be vague, and it may be misleading."
    if "observed_satisfaction" in seen:
        yield "How it felt about what it clicked, from -1 to 1, is read from the time that it stayed."
    if not config.private:
        yield "What it clicked or passed over is told for your own items of this episode only, the latest last."
        if tells_recent(config, hidden):
            whose = "from any agent" if config.observation.share else "of your own items"
            yield f'"Consumed last": what it clicked or bought last {whose}, and how many of its pages ago.'
    order = "best guess first" if config.retrieves and config.candidates.order == "score" else "in no particular order"
    yield (
        f"Candidates come {order}. Quotation marks enclose a title, square brackets a description. Behind them stands "
        "what is known of a candidate:"
    )
    visible = visible_features(envs, n)
    if "price" in visible:
        yield '"price": the price now, in mean list prices of all items'
    yield from (fact.meaning for fact in FACTS if fact.feature in visible)


def _answer(envs: VectorEnv, vocabulary: Sequence[str]) -> Iterator[str]:
    shape = envs.shape
    parts: dict[str, Any] = {"picks": example_picks(shape.slots)}
    parts |= {"price": shape.levels // 2} if shape.levels else {}
    parts |= {"message": vocabulary[0]} if vocabulary else {}
    yield "Each page ends with the form of the answer. You may think before you answer: what stands before is not read."
    yield f"An object in JSON is an answer, too: {json.dumps(parts, ensure_ascii=False)}"
    yield "What names no candidate is left out, and the first candidates fill what is missing."
    if delay := envs.config.observation.delay:
        yield f"The visitor waits {delay:g} seconds for the page. After that it is shown the first candidates."


def example_picks(slots: int) -> list[int]:
    """Return the numbers of an example of an answer, from K down to 1."""
    return list(range(slots, 0, -1))
