"""Pages as prompts, and answers as picks: what language agents read and write.

prompt = describe(page)
answer = parse("3, 1, 12", page)       # Answer(picks=(2, 0, 11))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from ..checks import shown
from .pages import Answer, Candidate, Page, checked_page

# Repairs of answers that are not as they were asked for, in this order.
REPAIRS = {
    "too long": "only the first 20,000 letters are read",
    "words around": "numbers and titles are picked out of other words",
    "unknown": "a number or title that names no candidate is left out",
    "repeated": "a candidate that was named before is left out",
    "too many": "only the first K are shown",
    "too few": "the first candidates that were not named fill the slate",
    "no price": "there is no such price level: the level nearest to the list prices is used",
    "no message": "there is no such word: word 0 is sent",
    "late": "the visitor did not wait (`observation.delay`): the first candidates are shown",
}

LONGEST_READ = 20_000  # letters of an answer
MOST_DIGITS = 9  # of a number; a longer one names no candidate


# ------------------------------------------------------------------------------------------------ describe


def describe(page: Page) -> str:
    """Return a prompt with what the agent may know of the page, and the question that it has to answer.

    Raises:
        TypeError: `page` is not a page.
    """
    page = checked_page(page)
    items = f"{page.slots} items" if page.slots > 1 else "an item"
    lines = [f"You are {page.agent}, a recommender. Choose {items} to show to a visitor."]
    lines += [f"Page: {page.scene}."] if page.scene else []
    lines += [f"The visitor came from: {page.anchor}."] if page.anchor else []
    lines += [visit] if (visit := _visit(page)) else []
    lines += [f"Wants one of: {'; '.join(page.wants)}."] if page.wants else []
    lines += [f"Seems to like: {'; '.join(page.likes)}."] if page.likes else []
    lines += [satisfied] if (satisfied := _satisfaction(page.satisfaction)) else []
    lines.append(f"Clicked before: {'; '.join(page.clicked)}." if page.clicked else "Has clicked nothing of yours yet.")
    lines += [f"{agent} said: {word}." for agent, word in page.heard.items()]
    lines += [f"{agent} asked price level {level}." for agent, level in page.offers.items()]
    lines.append("Candidates:")
    lines += [f"{i + 1}. {_candidate(candidate)}" for i, candidate in enumerate(page.candidates)]
    return "\n".join([*lines, *_asked(page)])


def _visit(page: Page) -> str:
    parts = [f"Visit {page.visits}"] if page.visits is not None else []
    parts += [f"page {page.session_page + 1} of it"] if page.session_page is not None else []
    parts += [f"{page.gap:.0f} ticks since the last visit"] if page.gap is not None else []
    return f"{', '.join(parts)}.".capitalize() if parts else ""


def _satisfaction(value: float | None) -> str:
    if value is None:
        return ""
    how = ("disliked", "had mixed feelings about", "liked")[int(np.digitize(value, (-0.2, 0.2)))]
    return f"So far the visitor {how} what was clicked ({value:+.2f})."


def _candidate(candidate: Candidate) -> str:
    facts = list(_facts(candidate))
    return (
        candidate.title
        + (f" [{candidate.said}]" if candidate.said else "")
        + (f": {', '.join(facts)}" if facts else "")
    )


def _facts(candidate: Candidate) -> Iterator[str]:
    """Describe a candidate's fit, price and statistics."""
    of = candidate.features
    if candidate.price is not None:
        yield f"price {candidate.price:.2f}" + (" (reduced)" if of.get("promotion") else "")
    for name, word in (
        ("profile_match", "fits tastes"),
        ("history_match", "fits clicks"),
        ("context", "fits the page"),
    ):
        if of.get(name):
            yield f"{word} {of[name]:+.2f}"
    if of.get("repeat"):
        yield f"consumed {of['repeat']:.1f} times"
    if "freshness" in of:
        yield ("old", "recent", "new")[int(np.digitize(of["freshness"], (1 / 3, 2 / 3)))]
    if "popularity" in of:
        yield f"popularity {of['popularity']:.1f}"
    if "ctr" in of:
        yield f"clicks x{np.exp(np.arctanh(np.clip(of['ctr'], -0.999, 0.999))):.1f}"
    if "satisfaction" in of:
        yield f"liking {of['satisfaction']:+.1f}"


def _asked(page: Page) -> Iterator[str]:
    some = ", ".join(str(i + 1) for i in range(min(page.slots, len(page.candidates)))[::-1])
    several = f"numbers of {page.slots} candidates, the best first" if page.slots > 1 else "number of one candidate"
    yield f"Answer with the {several}, such as: {some}"
    if page.levels:
        yield f'Then a line "price: L" with a level from 0 (lowest) to {page.levels - 1} (highest).'
    if page.vocabulary:
        yield f'Then a line "message: W" for the other agents, with one of these words: {", ".join(page.vocabulary)}.'


# ------------------------------------------------------------------------------------------------ parse


def parse(answer: str, page: Page) -> Answer:
    """Return the picks that a text names, and its price level and word.

    A correct answer names K different candidates: by number, separated by commas or spaces, or by title, one per line
    or separated by semicolons. Where they are asked for, lines `price: L` and `message: W` follow. A title of several
    candidates stands for the first of them that was not named before. Everything else is repaired (`REPAIRS`), and the
    answer lists the repairs.

    Raises:
        TypeError: `answer` is not a text, or `page` is not a page.
    """
    if not isinstance(answer, str):
        raise TypeError(f"answer = {shown(answer)} must be a string")
    page = checked_page(page)
    repairs: list[str] = []
    if len(answer) > LONGEST_READ:
        repairs.append("too long")
        answer = answer[:LONGEST_READ]
    text, level = _labelled(answer, "price", list(map(str, range(page.levels))))
    text, word = _labelled(text, "message", page.vocabulary)
    named = _strictly(text, page)
    if named is None:
        named = _loosely(text, page)
        repairs.append("words around" if named else "unknown")
    picks = _once(named, page, repairs)
    if len(picks) > page.slots:
        repairs.append("too many")
    wanted = min(page.slots, len(page.candidates))
    if len(picks) < wanted:
        repairs.append("too few")
        picks += [i for i in range(len(page.candidates)) if i not in picks]
    if page.levels and level is None:
        repairs.append("no price")
    if page.vocabulary and word is None:
        repairs.append("no message")
    return Answer(tuple(picks[:wanted]), level, word or 0, tuple(repairs))


def _labelled(text: str, label: str, words: Sequence[str]) -> tuple[str, int | None]:
    """Return the text without lines `label: word`, and the word of the first such line that has one."""
    if not words:
        return text, None
    line = re.compile(rf"^[ \t]*{label}[ \t]*[:=](.*)$", re.IGNORECASE | re.MULTILINE)
    bare = [_bare(word) for word in words]
    known = [bare.index(word) for found in line.findall(text) if (word := _bare(found)) in bare]
    return line.sub("", text), known[0] if known else None


def _strictly(text: str, page: Page) -> list[int | str] | None:
    """Return the numbers (from 0) or titles of a text that contains nothing else."""
    if re.fullmatch(r"\s*\d+([\s,;]+\d+)*[\s,;.]*", text):
        return [_index(number) for number in re.findall(r"\d+", text)]
    parts = [part for line in re.split(r"[;\n]", text) if (part := _bare(line))]
    titles = {_bare(candidate.title) for candidate in page.candidates}
    return list(parts) if parts and all(part in titles for part in parts) else None


def _loosely(text: str, page: Page) -> list[int | str]:
    """Return the candidates named anywhere in a text, in order: by titles, and between them by integers."""
    titles = sorted({_bare(candidate.title) for candidate in page.candidates}, key=len, reverse=True)
    pattern = "|".join([*(re.escape(title) for title in titles if title), r"(?<![\w.])\d+(?![\w]|\.\d)"])
    found = re.findall(pattern, text.casefold())
    return [_index(part) if part.isdecimal() and part not in titles else part for part in found]


def _index(number: str) -> int:
    """Return the index of the candidate with this number, counted from 0; -1 if there is none."""
    return int(number) - 1 if len(number) <= MOST_DIGITS else -1


def _bare(text: str) -> str:
    return text.strip(" \t\r\n\"'`.*-").casefold()


def _once(named: Sequence[int | str], page: Page, repairs: list[str]) -> list[int]:
    """Return the named candidates without repetitions."""
    titles = [_bare(candidate.title) for candidate in page.candidates]
    picks: list[int] = []
    for name in named:
        those = [i for i, title in enumerate(titles) if title == name] if isinstance(name, str) else [name]
        there = [i for i in those if 0 <= i < len(titles)]
        new = [i for i in there if i not in picks]
        if new:
            picks.append(new[0])
        elif (kind := "repeated" if there else "unknown") not in repairs:
            repairs.append(kind)
    return picks
