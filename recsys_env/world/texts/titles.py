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

from .poles import Pole

Thing = TypeVar("Thing")
Levels = tuple[tuple[str, ...], ...]  # words by level, from the lowest to the highest


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


# ------------------------------------------------------------------------------------------------ makers

TIERS, MAKERS_PER_TIER = 5, 4  # makers by the quality of what they make
_BEGINNINGS = (
    "Bran", "Cal", "Dor", "Elm", "Fen", "Hal", "Jor", "Kel", "Lor", "Mar", "Nor", "Ost", "Pel", "Quin", "Ros", "Sel",
    "Tam", "Ulm", "Ver", "Wen",
)  # fmt: skip
_ENDINGS = ("vik", "dane", "mont", "ley", "ora", "by", "ford", "sen", "wick", "stad", "berg", "ell")


def makers_of(world_seed: int) -> Levels:
    """Return the names of a world's makers, by the quality of what they make."""
    names = shuffled([a + b for a in _BEGINNINGS for b in _ENDINGS], f"{world_seed} makers")
    return tuple(tuple(names[i * MAKERS_PER_TIER :][:MAKERS_PER_TIER]) for i in range(TIERS))


# ------------------------------------------------------------------------------------------------ goods

MATERIALS: dict[str, Levels] = {
    "textile": (
        ("thin-polyester", "single-stitch"),
        ("polyester", "nylon"),
        ("cotton-blend", "mid-weight"),
        ("organic-cotton", "linen"),
        ("hand-woven", "double-stitched"),
    ),
    "wood": (
        ("chipboard", "fibreboard"),
        ("laminate", "softwood"),
        ("pine", "plywood"),
        ("beech", "bamboo"),
        ("solid-oak", "walnut"),
    ),
    "metal": (
        ("tin", "pot-metal"),
        ("thin-gauge", "chrome-look"),
        ("aluminium", "powder-coated"),
        ("stainless-steel", "brass"),
        ("forged-steel", "titanium"),
    ),
    "leather": (
        ("pleather", "imitation-leather"),
        ("bonded-leather", "faux-suede"),
        ("split-leather", "waxed-canvas"),
        ("suede", "cowhide"),
        ("full-grain-leather", "saddle-stitched"),
    ),
    "electric": (
        ("unbranded-chip", "rattly"),
        ("basic", "plastic-cased"),
        ("rubberised", "splash-proof"),
        ("metal-cased", "shockproof"),
        ("studio-grade", "precision-built"),
    ),
    "ceramic": (
        ("seconds-grade", "cracked-glaze"),
        ("thin-glass", "mass-moulded"),
        ("earthenware", "toughened-glass"),
        ("stoneware", "borosilicate"),
        ("hand-thrown", "bone-china"),
    ),
    "paper": (
        ("newsprint", "photocopied"),
        ("stapled", "thin-card"),
        ("glossy", "laminated-card"),
        ("cloth-bound", "heavy-stock"),
        ("letterpress", "hand-bound"),
    ),
}
LISTINGS = (
    "{maker} {style} {material} {product} {use}",
    "{maker} {product} {use}, {style}, {material}",
    "{style} {material} {product} by {maker}, {use}",
    "{maker} {product} {use} ({material}, {style})",
)
PITCHES: Levels = (
    ("{}", "{}, plain packaging", "{}, as described", "{}, no frills", "{}, sold singly"),
    ("New: {}", "{}, this season's model", "{}, now in three colours", "Our {}", "{}, back in stock"),
    ("Customer favourite: {}", "{}, selling well", "{}, with free gift", "Popular {}", "{}, reduced"),
    ("Must-have {}!", "{} - hurry, while stocks last", "Sensational {}, act fast", "Don't miss: {}!", "Dream {}!"),
    ("WOW!! {}, you won't believe it", "INSANE deal: {}!!!", "#1 BEST EVER {} - buy NOW!!!", "UNREAL!!! {}",
     "{} - LIFE-CHANGING!!!"),
)  # fmt: skip
GUARANTEES: Levels = (
    ("No warranty", "Sold as seen", "Failed two of five tests", "Strong smell when unpacked"),
    ("Ninety-day warranty", "Exchange within two weeks", "Average test marks", "Some assembly marks"),
    ("Two-year warranty", "Spare parts in stock", "Passed all five tests", "Evenly finished"),
    ("Lifetime guarantee", "Free repairs for twenty years", "Test winner, five stars of five", "Finished by hand"),
)
CLAIMS: Levels = (
    ("Photos unretouched", "Size and weight as measured", "Drawbacks are listed below", "Manual available first"),
    ("Gift wrapping available", "Shown in our catalogue", "Matching set available", "Staff pick"),
    ("Only a few left", "As seen on screen", "Everyone is asking for it", "Limited offer"),
    ("You will never need another!", "Results guaranteed overnight!", "Neighbours will be jealous!", "Miracle find!"),
)


def goods(item: Item, draws: Draws, makers: Levels) -> tuple[str, str]:
    """Return title and description of a product."""
    first, second, third = item.poles
    product, material = draws.one(first.products)
    listing = draws.one(LISTINGS).format(
        maker=draws.by_rank(item.quality, makers),
        style=draws.one(second.styles),
        material=draws.by_rank(item.quality, MATERIALS[material]),
        product=product,
        use=draws.one(third.uses),
    )
    title = draws.by_rank(item.bait, PITCHES).format(listing)
    return title, _sentences(
        f"Shelf: {item.facts}", draws.by_rank(item.quality, GUARANTEES), draws.by_rank(item.bait, CLAIMS)
    )


# ------------------------------------------------------------------------------------------------ films

NAMES = (
    "The {0} and the {1}", "{0} and {1}", "When the {0} Met the {1}", "Between {0} and {1}", "No {0} for the {1}",
    "The {0}, the {1} and Me", "Every {0} Has Its {1}", "Before the {0}, the {1}", "Goodbye {0}, Hello {1}",
    "The Last {0} and the First {1}", "One {0}, One {1}", "The {0} Behind the {1}", "Half {0}, Half {1}",
    "My {0}, Your {1}", "From {0} to {1}", "Neither {0} nor {1}", "Letters from the {0} to the {1}",
    "The {0}, or the {1}", "The Year of the {0} and the {1}", "Remember the {0}, Forget the {1}",
)  # fmt: skip
EDITIONS: Levels = (
    ("{}", "{} (subtitled)", "{} (restored print)", "{} (original cut)", "{} (black and white)"),
    ("{}: Part One", "{}: The Movie", "{}, in Colour", "{}: A Film in Six Chapters"),
    ("{}: The Return", "{}: Reloaded", "{} 2", "{}: The Next Generation"),
    ("{} 3: Revenge", "{}: No Mercy", "{} 3: The Reckoning", "{}: Out of Control"),
    ("{} 4: TOTAL CARNAGE", "{}: MAXIMUM MAYHEM", "{} 5: UNLEASHED AND UNCUT", "{}: X-TREME!!!"),
)
PLOTS = (
    "{0} and {1} swap lives {2}", "{0} and {1} share a secret {2}", "{0} and {1} become unlikely friends {2}",
    "{0} and {1} are trapped together {2}", "{0} and {1} keep running into each other {2}", "{0} must trust {1} {2}",
    "{0} makes a promise to {1} {2}", "{0} looks for {1} {2}", "{0} tells {1} a lie {2}", "{0} and {1} meet {2}",
    "{0} owes {1} a favour {2}", "{0} is mistaken for {1} {2}", "{0} hides {1} {2}", "{0} and {1} go missing {2}",
)  # fmt: skip
CRITICS: Levels = (
    ("a mess", "unwatchable", "wooden and far too loud", "two hours of padding"),
    ("forgettable", "by the numbers", "half an idea", "uneven"),
    ("decent", "watchable", "few surprises", "competently made"),
    ("finely acted", "assured", "moving and well made", "sharply written"),
    ("a masterpiece", "flawless", "unforgettable", "magnificent"),
)
HONOURS: Levels = (
    ("Nominated for worst screenplay", "Withdrawn after a week", "Straight to disc", "Reshot twice"),
    ("Limited release", "Regional television premiere", "Shown in a side programme", "No nominations"),
    ("Official selection in Lisbon", "Shortlisted for best screenplay", "Three nominations", "Warm reviews"),
    ("Voted best picture of its year", "Winner of the Golden Reel", "Grand jury award", "Standing ovations"),
)
TRAILERS: Levels = (
    ("Shown without advertising", "No trailer was made", "Programme notes at the door", "Introduced by its editor"),
    ("The trailer gives little away", "Opening this week", "With a new poster", "Now with subtitles"),
    ("The trailer has gone viral", "Everybody is talking about it", "Stay for the twist", "Don't be late"),
    ("The ending will SHOCK you!", "Banned in nine countries!", "You will SCREAM!", "Nobody can sit through it!"),
)


def film(item: Item, draws: Draws, makers: Levels) -> tuple[str, str]:
    """Return title and description of a film."""
    first, second, third = item.poles
    name = draws.one(NAMES).format(draws.one(first.symbols), draws.one(second.symbols))
    plot = draws.one(PLOTS).format(draws.one(first.people), draws.one(second.people), draws.one(third.settings))
    title = draws.by_rank(item.bait, EDITIONS).format(name)
    return title, _sentences(
        plot,
        f"Genre: {item.facts}",
        f"Directed by {draws.by_rank(item.quality, makers)}",
        f'Critics: "{draws.by_rank(item.quality, CRITICS)}"',
        draws.by_rank(item.quality, HONOURS),
        draws.by_rank(item.bait, TRAILERS),
    )


# ------------------------------------------------------------------------------------------------ headlines

VERBS = (
    "rethink", "argue over", "rally behind", "warn about", "look again at", "split over", "push back against",
    "make the case for", "learn to live with", "prepare for", "welcome", "question", "turn to", "take stock of",
)  # fmt: skip
HEADLINES: Levels = (
    ("{}", "{}, report finds", "{}, minutes show", "Analysis: {}", "{}, survey suggests"),
    ("Why {}", "How it came about: {}", "What we know: {}", "Explained: {}", "{}: five questions answered"),
    ("{}, and this is only the start", "The real reason {}", "{}? Yes, really", "Suddenly, {}", "{}, insiders say"),
    ("9 things nobody told you: {}", "{}, and the internet is furious", "The ugly truth: {}", "Exposed: {}",
     "Outrage as {}"),
    ("You won't BELIEVE this: {}!", "SHOCKING: {}!!! What happened next will stun you",
     "{}!!! Number 7 left us speechless", "OMG! {}", "{} - and you could be NEXT!!!"),
)  # fmt: skip
SOURCES: Levels = (
    ("Unsigned, no sources named", "Rewritten from a press release", "Based on one anonymous post", "Hearsay"),
    ("One source, not confirmed", "Agency copy, lightly edited", "Compiled at the desk", "Quotes from elsewhere"),
    ("Two sources, both quoted", "Reported by telephone", "With a reply from those concerned", "Figures attached"),
    ("Reported on the spot", "Five interviews, figures checked", "With expert comment and charts", "First-hand"),
    ("Six months of investigation", "All documents published in full", "Every figure sourced and reviewed",
     "Forty witnesses interviewed"),
)  # fmt: skip
EDITING: Levels = (
    ("Corrected three times", "Typos throughout", "Withdrawn, then reposted", "Photo of something else"),
    ("Little context", "Background thin", "Much of it seen before", "Ends abruptly"),
    ("Clear background section", "Edited with care", "Balanced", "Well structured"),
    ("Editors' choice of the year", "Cited by other newsrooms", "Nominated for a press award", "Taught in seminars"),
)
TEASERS: Levels = (
    ("Answer in the first paragraph", "Summary on top", "Table of contents included", "Method described"),
    ("With slide show", "With reader poll", "Also as a podcast", "More to follow"),
    ("Wait for the last paragraph", "One detail stands out", "Readers are divided", "Guess who is behind it"),
    ("You have to see it to believe it!", "Share before it is deleted!", "Experts HATE this!", "Your jaw will drop!"),
)


def headline(item: Item, draws: Draws, makers: Levels) -> tuple[str, str]:
    """Return title and description of a news item."""
    first, second, third = item.poles
    event = f"{draws.one(first.actors)} {draws.one(VERBS)} {draws.one(second.subjects)}"
    title = draws.by_rank(item.bait, HEADLINES).format(event)
    return title, _sentences(
        f"{draws.one(third.sections)}, by {draws.by_rank(item.quality, makers)}",
        f"Filed under {item.facts}",
        draws.by_rank(item.quality, SOURCES),
        draws.by_rank(item.quality, EDITING),
        draws.by_rank(item.bait, TEASERS),
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
