"""Titles and descriptions that read like goods, films or headlines.

Three things go into them. The item's three largest directions of taste choose what it is about (`poles.py`); its topic,
domain, price level and length are facts of the description. Its rank by quality and its rank by clickbait, each among
the items of its world, choose the style: materials, critics and sources speak of quality, the loudness of a title
speaks of clickbait. Each such word is the item's own with probability `items.title_signal` and otherwise one of an item
at random, so the words of a world tell as much as its config says. Makers (brands, directors and reporters) belong to
the world: who of them is good can only be learnt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from .poles import WORDS, Pole

Thing = TypeVar("Thing")
Levels = Sequence[Sequence[str]]  # words by level, from the lowest to the highest


def shuffled(words: Sequence[str], seed: str) -> list[str]:
    """Return the words in an order that depends on the seed only."""
    chance = random.Random(seed).random  # its sequence is the same in every version of Python
    return sorted(words, key=lambda _: chance())


class Item(NamedTuple):
    """What a title is made of.

    Attributes:
        poles: of its three largest coordinates, the largest first.
        facts: what is said of topic, domain, price and length.
        quality, bait: ranks in [0, 1) among the items of the world.
    """

    poles: tuple[Pole, ...]
    facts: str
    quality: float
    bait: float


class Draws:
    """The random choices of one item's words; a pure function of world and item."""

    def __init__(self, world_seed: int, item: int, signal: float) -> None:
        self._random = random.Random(f"{world_seed} {item}").random
        self._signal = signal

    def one(self, words: Sequence[Thing]) -> Thing:
        """Choose one of these words."""
        return words[int(self._random() * len(words))]

    def by_rank(self, rank: float, levels: Levels) -> str:
        """Choose a word of the level of this rank, or, if the word is to tell nothing, of one at random."""
        said = rank if self._random() < self._signal else self._random()
        return self.one(levels[int(said * len(levels))])


TIERS, MAKERS_PER_TIER = 5, 4  # makers by the quality of what they make


def makers_of(world_seed: int) -> Levels:
    """Return the names of a world's makers, by the quality of what they make."""
    parts = WORDS["makers"]
    names = shuffled([a + b for a in parts["beginnings"] for b in parts["endings"]], f"{world_seed} makers")
    return [names[i * MAKERS_PER_TIER :][:MAKERS_PER_TIER] for i in range(TIERS)]


def goods(item: Item, draws: Draws, makers: Levels) -> tuple[str, str]:
    """Return title and description of a product."""
    (first, second, third), words = item.poles, WORDS["goods"]
    product, material = draws.one(first.products)
    listing = draws.one(words["listings"]).format(
        maker=draws.by_rank(item.quality, makers),
        style=draws.one(second.styles),
        material=draws.by_rank(item.quality, words["materials"][material]),
        product=product,
        use=draws.one(third.uses),
    )
    title = draws.by_rank(item.bait, words["pitches"]).format(listing)
    return title, _sentences(
        f"Shelf: {item.facts}",
        draws.by_rank(item.quality, words["guarantees"]),
        draws.by_rank(item.bait, words["claims"]),
    )


def film(item: Item, draws: Draws, makers: Levels) -> tuple[str, str]:
    """Return title and description of a film."""
    (first, second, third), words = item.poles, WORDS["films"]
    name = draws.one(words["names"]).format(draws.one(first.symbols), draws.one(second.symbols))
    plot = draws.one(words["plots"]).format(
        draws.one(first.people), draws.one(second.people), draws.one(third.settings)
    )
    title = draws.by_rank(item.bait, words["editions"]).format(name)
    return title, _sentences(
        plot,
        f"Genre: {item.facts}",
        f"Directed by {draws.by_rank(item.quality, makers)}",
        f'Critics: "{draws.by_rank(item.quality, words["critics"])}"',
        draws.by_rank(item.quality, words["honours"]),
        draws.by_rank(item.bait, words["trailers"]),
    )


def headline(item: Item, draws: Draws, makers: Levels) -> tuple[str, str]:
    """Return title and description of a news item."""
    (first, second, third), words = item.poles, WORDS["headlines"]
    event = f"{draws.one(first.actors)} {draws.one(words['verbs'])} {draws.one(second.subjects)}"
    title = draws.by_rank(item.bait, words["headlines"]).format(event)
    return title, _sentences(
        f"{draws.one(third.sections)}, by {draws.by_rank(item.quality, makers)}",
        f"Filed under {item.facts}",
        draws.by_rank(item.quality, words["sources"]),
        draws.by_rank(item.quality, words["editing"]),
        draws.by_rank(item.bait, words["teasers"]),
    )


Writer = Callable[[Item, Draws, Levels], tuple[str, str]]
WRITERS: dict[str, Writer] = {"goods": goods, "films": film, "headlines": headline}


def write(kind: str, items: Sequence[Item], world_seed: int, signal: float) -> tuple[list[str], list[str]]:
    """Return titles and descriptions of a world's items.

    Args:
        kind: "goods", "films" or "headlines".
        signal: `items.title_signal`.
    """
    makers, writer = makers_of(world_seed), WRITERS[kind]
    written = [writer(item, Draws(world_seed, j, signal), makers) for j, item in enumerate(items)]
    return [_capital(title) for title, _ in written], [said for _, said in written]


def _sentences(*parts: str) -> str:
    return " ".join(_capital(part) + ("" if part.endswith("!") else ".") for part in parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
