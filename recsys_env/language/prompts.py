"""Pages as prompts, and answers as picks: what language agents read and write.

prompt = describe(page)
answer = parse("ANSWER: 3, 1, 12", page)       # Answer(picks=(2, 0, 11))
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..checks import is_number, shown
from .pages import Answer, Candidate, Page, checked_page
from .rules import FACTS, MARKS, example_picks, quoted

# Repairs of answers that are not as they were asked for, in this order.
REPAIRS = {
    "too long": "only the last 20,000 characters are read",
    "words around": "numbers and titles are picked out of other words",
    "unknown": "a number or title that names no candidate is left out",
    "repeated": "a candidate that was named before is left out",
    "too many": "only the first K are shown",
    "too few": "the first candidates that were not named fill the slate",
    "no candidate": "no candidate is named: the first ones are shown",
    "no price": "there is no such price level: the level nearest to the list prices is used",
    "no message": "there is no such word: word 0 is sent",
    "late": "the visitor did not wait (`observation.delay`): the first candidates are shown",
}

LONGEST_READ = 20_000  # characters of an answer, without those in which a model thinks aloud
MOST_DIGITS = 9  # of a number; a longer one names no candidate
_EDGES = " \t\r\n*_`"  # around an answer
MOST_TRIED = 20  # braces before "picks" at which an object in JSON may begin


# ------------------------------------------------------------------------------------------------ describe


def describe(page: Page) -> str:
    """Return a prompt with what the agent may know of the page, and the question that it has to answer.

    It is the user's message to a language model; the system prompt is `Reader.rules` or `TextEnv.rules`.

    Raises:
        TypeError: `page` is not a page.
    """
    page = checked_page(page)
    items = f"{page.slots} items" if page.slots > 1 else "an item"
    lines = [f"You are {page.agent}, a recommender. Choose {items} to show to a visitor."]
    lines += [f"Page: {page.scene}."] if page.scene else []
    lines += [f"The visitor came from: {quoted(page.anchor)}."] if page.anchor else []
    lines += [visit] if (visit := _visit(page)) else []
    lines += [f"Wants one of: {'; '.join(page.wants)}."] if page.wants else []
    lines += [f'The visitor says: "{page.request}"'] if page.request else []
    lines += [f"Seems to like: {'; '.join(page.likes)}."] if page.likes else []
    lines += [satisfied] if (satisfied := _satisfaction(page.satisfaction)) else []
    lines += _history(page)
    lines += [f"{agent} said: {word}." for agent, word in page.heard.items()]
    lines += [f"{agent} asked price level {level}." for agent, level in page.price_levels.items()]
    lines.append("Candidates:")
    lines += [f"{i + 1}. {_candidate(candidate)}" for i, candidate in enumerate(page.candidates)]
    return "\n".join([*lines, *_asked(page)])


def _visit(page: Page) -> str:
    parts = [f"Visit {page.visits}"] if page.visits is not None else []
    parts += [f"page {page.session_page + 1} of this visit"] if page.session_page is not None else []
    parts += [f"{page.gap:.0f} ticks since the last visit"] if page.gap is not None else []
    return f"{', '.join(parts)}.".capitalize() if parts else ""


def _satisfaction(value: float | None) -> str:
    if value is None:
        return ""
    how = ("disliked", "had mixed feelings about", "liked")[int(np.digitize(value, (-0.2, 0.2)))]
    return f"So far the visitor {how} what was clicked ({value:+.2f})."


def _history(page: Page) -> Iterator[str]:
    if page.private:
        yield "What the visitor clicked or passed over before is withheld: its privacy is protected."
        return
    yield (
        f"Clicked before: {'; '.join(map(str, page.clicked))}."
        if page.clicked
        else "No click of this visitor on your items is known."
    )
    if page.recent:
        yield f"Consumed last, newest first: {'; '.join(map(str, page.recent))}."
    if page.ignored:
        yield f"Shown by you and not clicked: {'; '.join(map(str, page.ignored))}."


def _candidate(candidate: Candidate) -> str:
    facts = list(_facts(candidate))
    return (
        quoted(candidate.title)
        + (f" [{candidate.said}]" if candidate.said else "")
        + (f": {', '.join(facts)}" if facts else "")
    )


def _facts(candidate: Candidate) -> Iterator[str]:
    """Describe a candidate's price and features."""
    of = candidate.features
    if candidate.price is not None:
        yield f"price {candidate.price:.2f}" + (" (reduced)" if of.get("promotion") else "")
    yield from (words for fact in FACTS if fact.feature in of and (words := fact.words(of[fact.feature])))


def _asked(page: Page) -> Iterator[str]:
    some = ", ".join(map(str, example_picks(min(page.slots, len(page.candidates)))))
    several = f"numbers of {page.slots} candidates, the best first" if page.slots > 1 else "number of one candidate"
    yield f"End your answer with a line that holds the {several}, such as: ANSWER: {some}"
    if page.levels:
        yield f'Then a line "price: L" with a level from 0 (lowest) to {page.levels - 1} (highest).'
    if page.vocabulary:
        yield f'Then a line "message: W" for the other agents, with one of these words: {", ".join(page.vocabulary)}.'


# ------------------------------------------------------------------------------------------------ parse


class _Said(NamedTuple):
    """What an answer says: candidates by number (from 0; -1 = none) or title, and the values beside them."""

    named: list[int | str]
    level: int | None
    word: int | None
    clean: bool  # whether the candidates were named in a form that was asked for


def parse(answer: str, page: Page) -> Answer:
    """Return the picks that a text names, and its price level and word.

    What a model thinks aloud is not read: what stands between `<think>` (or `thought`, `reasoning`, `[think]`,
    `◁think▷`) and `</think>`, also where one of the two is missing, and all channels but the final one
    (`<|channel|>final`). Of the rest, these forms are answers, with any text before them:

    - a line `ANSWER: 4, 2, 9`; the last one that names a candidate counts. If no line begins so, `ANSWER:` within a
      line counts. Where they are asked for, lines `price: L` and `message: W`;
    - an object in JSON, `{"picks": [4, 2, 9], "price": 3, "message": "word"}`; the last one counts;
    - and, without any other text, K numbers, or a list of them in JSON, or titles, one per line or separated by
      semicolons.

    A title of several candidates stands for the first of them that was not named before. In any other text, candidates
    are those that its last paragraph names by number or title. Everything that is not as it should be is repaired, and
    the answer lists the repairs (`REPAIRS`).
    """
    if not isinstance(answer, str):
        raise TypeError(f"answer = {shown(answer)} must be a string")
    page = checked_page(page)
    repairs: list[str] = []
    text = spoken(answer).strip()
    if len(text) > LONGEST_READ:
        repairs.append("too long")
        text = text[-LONGEST_READ:]
    said = _said(text, page)
    if said.named and not said.clean:
        repairs.append("words around")
    picks = _once(said.named, page, repairs)
    if len(picks) > page.slots:
        repairs.append("too many")
    wanted = min(page.slots, len(page.candidates))
    if len(picks) < wanted:
        repairs.append("too few" if picks else "no candidate")
        picks += [i for i in range(len(page.candidates)) if i not in picks]
    if page.levels and said.level is None:
        repairs.append("no price")
    if page.vocabulary and said.word is None:
        repairs.append("no message")
    return Answer(tuple(picks[:wanted]), said.level, said.word or 0, tuple(repairs))


def names_candidate(answer: Answer) -> bool:
    """Whether the text of an answer names a candidate of the page."""
    return "no candidate" not in answer.repairs


_THOUGHT = re.compile(  # answers have headings such as [Reasoning] as well
    r"</?(?:think(?:ing)?|thought|reasoning)>|\[/?think(?:ing)?\]|◁/?think(?:ing)?▷"
    r"|<\|channel\|>\s*(?P<final>final)?(?:<\|message\|>)?",
    re.IGNORECASE,
)
_TURN = re.compile(r"<\|(?:end|return)\|>\s*\Z")  # behind the final channel
_FENCE = re.compile(r"^[ \t]*```.*$", re.MULTILINE)  # around code
_LABEL = re.compile(r"^[^\w\n]*(?:final )?answer[^\w\n:=]*[:=]", re.IGNORECASE | re.MULTILINE)
_LABEL_WITHIN = re.compile(r"(?<!\w)ANSWER[*_`]*:")  # within a line only as it was asked for, not any "answer: no"
_MARKER = re.compile(r"^[ \t*_(-]*\d+[.):][ \t*_]+(?=\S)", re.MULTILINE)  # before the entries of a list

_INTRODUCES = re.compile(r"[*_]*:[\s*_\"”'(]*")  # between a number and the picks that it introduces: "Top 5: 4, 2"
_ENUMERATION = re.compile(r"(?:\d+[.):][ \t]+)+\d+[.):]")  # such as "3. 1. 2."; "1. 4" is an entry of a list


def spoken(text: str) -> str:
    """Return a text without the parts in which a model thinks aloud."""
    parts, begins, thinks = list[str](), 0, False
    for mark in _THOUGHT.finditer(text):
        ends = "/" in mark[0] or mark["final"] is not None
        if ends and not thinks:  # the prompt has begun the thought
            parts.clear()
        elif not ends and not thinks:
            parts.append(text[begins : mark.start()])
        thinks, begins = not ends, mark.end()
    return _TURN.sub("", "\n".join([*parts, "" if thinks else text[begins:]]))


def _said(text: str, page: Page) -> _Said:
    text, beside = _FENCE.sub("", text), dict[str, int | None]()
    words: dict[str, Sequence[str]] = {"price": list(map(str, range(page.levels))), "message": page.vocabulary}
    for name in filter(words.get, words):
        line = re.compile(rf"^[ \t*_`-]*{name}[ \t*_`]*[:=](.*)$", re.IGNORECASE | re.MULTILINE)
        found = [index for given in line.findall(text) if (index := _word_index(given, words[name])) is not None]
        beside[name], text = found[-1] if found else None, line.sub("", text)
    named, clean, value = _named(text, page)
    beside |= {name: _word_index(value[name], words[name]) for name in words if name in value}
    return _Said(named, beside.get("price"), beside.get("message"), clean)


class _Named(NamedTuple):
    """The candidates that a text names, whether in a form that was asked for, and the object in JSON that does so."""

    candidates: list[int | str]
    clean: bool
    value: Mapping[str, Any]


def _named(text: str, page: Page) -> _Named:
    """Return what a text names behind the last label that names a candidate; without a label, what all of it names."""
    labels = list(_LABEL.finditer(text))[-MOST_TRIED:]
    if not labels:
        return _answered(text, page, _in_words)
    ends = [*(label.start() for label in labels[1:]), len(text)]
    answers = [text[label.end() : end] for label, end in zip(labels, ends, strict=True)]
    read = [_answered(answer, page, _behind_label) for answer in reversed(answers)]
    return next((found for found in read if _names_any(found.candidates, page)), read[0])


def _answered(text: str, page: Page, otherwise: Callable[[str, Page], tuple[list[int | str], bool]]) -> _Named:
    """Return what an answer names: in JSON, as numbers or titles alone, or otherwise as a function reads it."""
    answer = text.strip(_EDGES)
    if (value := _in_json(answer)) is not None:
        picks = value["picks"] if isinstance(value["picks"], list) else [value["picks"]]
        return _Named([name for pick in picks for name in _name(pick, page)], True, value)
    if (strictly := _strictly(answer, page)) is not None:
        return _Named(strictly, True, {})
    return _Named(*otherwise(text, page), {})


def _names_any(named: Sequence[int | str], page: Page) -> bool:
    """Whether one of these is a candidate of the page."""
    return any(isinstance(name, str) or 0 <= name < len(page.candidates) for name in named)


def _behind_label(text: str, page: Page) -> tuple[list[int | str], bool]:
    """Return the candidates behind a label, and whether nothing else stands there.

    They stand on the rest of its line; if that is empty or begins a list, in the paragraph. A first line that names
    enough counts alone.
    """
    line, _, rest = text.partition("\n")
    paragraph = re.split(r"\n\s*\n", text.strip(_EDGES))[0].strip(_EDGES)
    if line.strip(_EDGES) and not (_MARKER.match(line) and _MARKER.match(rest)):
        paragraph = line.strip(_EDGES)
    if _ENUMERATION.fullmatch(paragraph) and len(numbers := re.findall(r"\d+", paragraph)) == page.slots > 1:
        return [_index(number) for number in numbers], True
    if (strictly := _strictly(paragraph, page)) is not None:
        return strictly, True
    first = _strictly(paragraph.partition("\n")[0].strip(_EDGES), page)
    if first is not None and len(first) >= page.slots:
        return first, True
    return _loosely(paragraph, page), False


def _in_words(text: str, page: Page) -> tuple[list[int | str], bool]:
    """Return the candidates that a text names behind the last label within a line, else in its last paragraph; and
    whether they are named in a form that was asked for."""
    for label in reversed(list(_LABEL_WITHIN.finditer(_without_quotes(text, page)))):
        named, clean = _behind_label(text[label.end() :], page)
        if named:
            return named, clean
    paragraphs = reversed(re.split(r"\n\s*\n", text))
    return next(filter(None, (_loosely(part, page) for part in paragraphs)), []), False


def _without_quotes(text: str, page: Page) -> str:
    """Return a text with spaces in place of texts of the page that hold a label, which a model may quote."""
    candidates = [words for candidate in page.candidates for words in (candidate.title, candidate.said)]
    history = [past.title for past in (*page.clicked, *page.ignored, *page.recent)]
    for words in sorted({*candidates, *history, page.request, page.anchor}, key=len, reverse=True):
        if (label := _LABEL_WITHIN.search(words)) and label.start() > 0:  # else it is no more than an answer itself
            text = text.replace(words, " " * len(words))
    return text


def _in_json(text: str) -> dict[str, Any] | None:
    """Return the last object in JSON with "picks", or one of a text that is a list in JSON; None if there is none."""
    value, end = _decoded(text, 0)
    if isinstance(value, list) and end == len(text):
        return {"picks": value}
    braces = [brace.start() for brace in re.finditer("{", text[: max(text.rfind('"picks"'), 0)])]
    for begin in reversed(braces[-MOST_TRIED:]):
        value, _ = _decoded(text, begin)
        if isinstance(value, dict) and "picks" in value:
            return value
    return None


def _decoded(text: str, begin: int) -> tuple[Any, int]:
    """Return the value in JSON that begins here, and where it ends; (None, 0) if there is none."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, begin)
    except (ValueError, RecursionError):  # also of a number of thousands of digits
        return None, 0


def _name(pick: Any, page: Page) -> list[int | str]:
    """Return the candidates that an entry of "picks" names."""
    return _strictly(_as_text(pick), page) or [-1]


def _as_text(value: Any) -> str:
    """Return a text or a whole number as a text; "" for anything else."""
    return value if isinstance(value, str) else str(int(value)) if _is_whole(value) else ""


def _is_whole(value: Any) -> bool:
    return is_number(value) and 0 <= value < 10**MOST_DIGITS and value == int(value)


def _word_index(given: Any, words: Sequence[str]) -> int | None:
    """Return the index of the word that is given; None if there is no such word."""
    word = _bare(_as_text(given))
    bare = [_bare(word) for word in words]
    return bare.index(word) if word in bare else None


def _strictly(text: str, page: Page) -> list[int | str] | None:
    """Return the numbers (from 0) or titles of a text that contains nothing else; None if it contains more, or none."""
    titles = {_bare(candidate.title) for candidate in page.candidates}
    if re.fullmatch(r"\s*\d+([\s,;]+\d+)*[\s,;.]*", text):
        return [_number_or_title(number, titles, page) for number in re.findall(r"\d+", text)]
    parts = [part for line in re.split(r"[;\n]", text) if (part := _bare(line))]
    return [*parts] if parts and all(part in titles for part in parts) else None


def _number_or_title(number: str, titles: Collection[str], page: Page) -> int | str:
    """Return the index of the candidate with this number, or the title that consists of this number."""
    index = _index(number)
    return number if number in titles and not 0 <= index < len(page.candidates) else index


def _loosely(text: str, page: Page) -> list[int | str]:
    """Return the candidates named anywhere in a text, in order: by titles, and between them by integers."""
    titles = sorted({_bare(candidate.title) for candidate in page.candidates}, key=len, reverse=True)
    any_title = "|".join(re.escape(title) for title in titles if title)
    pattern = rf"(?<!\w)(?:{any_title})(?!\w)|" * bool(any_title) + r"(?<![\w.])\d+(?![\w]|\.\d)"
    printed = _as_printed(_MARKER.sub("", text))
    found = list(re.finditer(pattern, printed))
    named = [_number_or_title(part[0], titles, page) if part[0].isdecimal() else part[0] for part in found]
    introduce = {
        i
        for i, (part, behind) in enumerate(itertools.pairwise(found))
        if part[0].isdecimal() and _INTRODUCES.fullmatch(printed, part.end(), behind.start())
        if named[i + 1] != _title(named[i], page)  # else number and title of one candidate
    }
    return [name for i, name in enumerate(named) if i not in introduce]


def _title(name: int | str, page: Page) -> str:
    """Return the title of a candidate named by its index or title; "" if there is no such index."""
    if isinstance(name, str):
        return name
    return _bare(page.candidates[name].title) if 0 <= name < len(page.candidates) else ""


def _index(number: str) -> int:
    """Return the index of the candidate with this number, counted from 0; -1 if there is none."""
    return int(number) - 1 if len(number) <= MOST_DIGITS else -1


def _bare(text: str) -> str:
    return _as_printed(text).strip(" \t\r\n”'`.*-")


def _as_printed(text: str) -> str:
    """Return a text with the signs that prompts print, in lower case."""
    return text.translate(MARKS).casefold()


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
