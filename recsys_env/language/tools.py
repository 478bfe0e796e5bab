"""What a language agent may look up before it answers: functions from words and numbers to texts.

tools = Tools(env, "recommender_0")        # of a `text_env`
tools.search("night sea")                  # items whose texts have these words
tools.call("item", '{"id": 17}')           # the same by name, as models call them
schema("search")                           # as chat models are told of it

A tool answers from what its agent may know: the page that its prompt describes, its own history of the visitor, the
public catalogue (`VectorEnv.public_items`) and its own inventory. What its role or a promise of privacy hides is left
out. A wrong call gets an answer that says what is wrong; no call raises an error, ends a rollout or changes the game.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import is_number, is_sequence, shown, unknown
from .environment import TextEnv
from .pages import Page
from .rules import FACTS, one_line, quoted

FOUND = 10  # items that a search returns at most
NOBODY = "Nobody is there: there is no page to answer now."
_KINDS = {"str": "string", "int": "integer"}  # annotation -> kind of a JSON schema


class Tools:
    """The tools of one agent of an environment; they answer about the page that it has come to."""

    def __init__(self, env: TextEnv, agent: str) -> None:
        if not isinstance(env, TextEnv):
            raise TypeError(f"env = {shown(env)} must be an environment in words, as text_env makes")
        env.action_space(agent)  # raises for an unknown one
        self._env, self._agent, self._batch = env, agent, env.numeric.vector
        number = self._batch.possible_agents.index(agent)
        allowed, reader = self._batch.world.allowed[number], env.readers[agent]
        self._mine = np.flatnonzero(allowed) if allowed.size else np.arange(self._batch.shape.items)
        self._words = [_words(text) for text in self._batch.texts.full()]
        self._seen = {name for _, name in reader.visible}

    # -------------------------------------------------------------------------------------------- the tools

    def search(self, words: str) -> str:
        """Search the items that you may show by the words of their titles and descriptions.

        Args:
            words: The words to look for, separated by spaces.
        """
        if not isinstance(words, str) or not (wanted := _words(words)):
            return f"words = {shown(words)} must be one word or more."
        counts = np.array([len(wanted & self._words[item]) for item in self._mine])
        best = np.argsort(-counts, kind="stable")[: min(FOUND, int((counts > 0).sum()))]
        if not best.size:
            return f"None of your {len(self._mine)} items has one of these words: {shown(words)}."
        return "\n".join(self._line(item) for item in self._mine[best].tolist())

    def item(self, id: int) -> str:
        """Look up one item: its texts, its price and its public statistics.

        Args:
            id: The number of the item, as a search gives it.
        """
        if not is_number(id, int, np.integer) or not 0 <= id < self._batch.shape.items:
            return f"id = {shown(id)} names no item; ids are whole numbers from 0 to {self._batch.shape.items - 1}."
        return "\n".join([self._line(int(id)), *self._facts(int(id))])

    def history(self) -> str:
        """Look up what you know of the visitor: its visits, what it clicked and passed over in your slots, and what it
        consumed last and when."""
        if (page := self._page) is None:
            return NOBODY
        lines = [f"Visit {page.visits}."] if page.visits is not None else []
        lines += [f"Page {page.session_page + 1} of this visit."] if page.session_page is not None else []
        lines += [f"Ticks since the visit before: {page.gap:.0f}."] if page.gap is not None else []
        if page.private:
            return "\n".join([*lines, "What the visitor clicked or passed over is withheld: its privacy is protected."])
        for said, items in (("Clicked", page.clicked), ("Shown and not clicked", page.ignored)):
            lines += [f"{said} in your slots, oldest first:", *(f"- {item}" for item in items)] if items else []
        if page.recent:
            lines += ["Consumed last, newest first:", *(f"- {item}" for item in page.recent)]
        return "\n".join(lines or ["This visitor has seen nothing of yours yet."])

    def prices(self) -> str:
        """Look up the prices of the candidates, and the price levels at this visitor's last page."""
        if (page := self._page) is None:
            return NOBODY
        if not page.levels and all(candidate.price is None for candidate in page.candidates):
            return "Prices do not differ here, or you do not see them."
        lines = [
            f"{number}. {quoted(candidate.title)}: {candidate.price:.2f}"
            for number, candidate in enumerate(page.candidates, start=1)
            if candidate.price is not None
        ]
        if page.levels:
            lines += [f"Levels go from 0 (lowest) to {page.levels - 1} (highest)."]
            lines += [f"{agent} asked level {level}." for agent, level in page.price_levels.items()]
            lines += [] if page.price_levels else ["You know of no earlier page of this visitor."]
        return "\n".join(lines)

    # -------------------------------------------------------------------------------------------- by name

    def call(self, name: str, arguments: str | Mapping[str, Any] = "{}") -> str:
        """Return the answer of a tool, given its name and its arguments, by name or as a JSON text."""
        if not isinstance(name, str) or name not in TOOLS:
            return f"{unknown('tool', name, TOOLS)}."
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except (ValueError, RecursionError):
                return f"The arguments of {name} are no JSON: {shown(arguments)}."
        tool = getattr(self, name)
        try:
            inspect.signature(tool).bind(**arguments)  # type: ignore[arg-type]
        except TypeError:  # no mapping from names, or other names
            takes = ", ".join(inspect.signature(tool).parameters) or "nothing"
            return f"{name} takes {takes}; it was given {shown(arguments)}."
        return str(tool(**arguments))  # type: ignore[arg-type]

    # -------------------------------------------------------------------------------------------- what is known

    @property
    def _page(self) -> Page | None:
        return self._env.pages[self._agent]

    def _line(self, item: int) -> str:
        texts = self._batch.texts
        said = f" [{one_line(texts.descriptions[item])}]" if texts.descriptions[item] else ""
        number = self._candidates().get(item)
        return f"id {item}: {quoted(texts.titles[item])}{said}" + (
            f"; candidate {number} of this page" if number else ""
        )

    def _candidates(self) -> dict[int, int]:
        """Return the items that the prompt lists, each with its number there."""
        if self._page is None:
            return {}
        items = self._env.readers[self._agent].items[0]
        return {int(items[one.position]): number for number, one in enumerate(self._page.candidates, start=1)}

    def _facts(self, item: int) -> Iterator[str]:
        public = {name: values[0] for name, values in self._batch.public_items().items()}
        yield "You may show it." if item in self._mine else "It is not yours to show."
        if not public["available"][item]:
            yield "It is not available now."
        if public["stock"][item] >= 0:
            yield f"In stock: {public['stock'][item]}."
        if "price" in self._seen:
            yield f"Price {public['price'][item]:.2f}{' (reduced)' if public['promoted'][item] else ''}."
        known = {
            "popularity": public["popularity"] * float(self._batch.world.params["shape"]["popularity_scale"][0]),
            "ctr": public["ctr"],
            "satisfaction": public["satisfaction"],
        }
        facts = [
            fact.words(float(known[fact.feature][item])) for fact in FACTS if fact.feature in known.keys() & self._seen
        ]
        yield from [f"{', '.join(facts)}.".capitalize()] if facts else []


TOOLS: dict[str, Callable[..., str]] = {
    function.__name__: function for function in (Tools.search, Tools.item, Tools.history, Tools.prices)
}


def tools_of(tools: Sequence[str] | Mapping[str, Sequence[str]], agents: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the tools that each agent may call, given names for all agents, or for each by agent.

    Raises:
        TypeError, ValueError: these are no lists, or there is no such agent or tool.
    """
    by_agent = tools if isinstance(tools, Mapping) else dict.fromkeys(agents, tools)
    for agent, names in by_agent.items():
        if agent not in agents:
            raise ValueError(f"tools: {unknown('agent', agent, agents)}")
        if not is_sequence(names):
            raise TypeError(
                f"tools = {shown(tools)} must be a list of {', '.join(TOOLS)}, or such a list for each agent"
            )
        for name in names:
            _check_name("tools", name)
    return {agent: tuple(by_agent.get(agent, ())) for agent in agents}


def _check_name(argument: str, name: Any) -> None:
    if not isinstance(name, str) or name not in TOOLS:
        raise ValueError(f"{argument}: {unknown('tool', name, TOOLS)}")


def schema(name: str) -> dict[str, Any]:
    """Return the description of a tool for chat models: OpenAI's JSON schema of a function, made from its docstring."""
    _check_name("name", name)
    function = TOOLS[name]
    said, _, arguments = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    about = dict(re.findall(r"^\s*(\w+): (.+)$", arguments, re.MULTILINE))
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": said,
            "parameters": {
                "type": "object",
                "properties": {
                    p.name: {"type": _KINDS[p.annotation], "description": about[p.name]} for p in parameters
                },
                "required": [p.name for p in parameters],
            },
        },
    }


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
