"""Pages about to be shown, as an agent may know them, with named values. Prompts are written from them.

reader = Reader(); reader.bind(envs, agent, seed)
pages = reader.read(observations)                     # [B]: a Page, or None where there is nothing to show
actions = reader.write([Answer(picks=(3, 1)), ...])
reader.observe(feedback); reader.reset(done)          # as policies do
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..batch.base import AnyBatch
from ..batch.observations import unsquashed
from ..batch.vector import VectorEnv
from ..checks import as_numbers, is_sequence, shown
from ..config.responses import NAMES, most_specific
from ..policies.ranking import Ranker
from ..policies.slates import level_of, say, slate_action
from .rules import counted, describe_task, one_line, quoted, tells_recent, visible_features

REMEMBERED = 8  # clicks remembered of each person
IGNORED = 20  # items remembered of each person that were shown and not clicked
LIKED_TOPICS = 3
MOST_OPTIONS = 200


def _in_lines(value: Any) -> Any:
    """Return the value, in which every text is `one_line`. No other code has to escape what a prompt contains."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, tuple):
        return tuple(map(_in_lines, value))
    return {one_line(name): _in_lines(each) for name, each in value.items()} if isinstance(value, Mapping) else value


class _InLines:
    """Base of dataclasses whose texts are single lines, so that no title can look like a line of a prompt."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, _in_lines(value))


@dataclass(frozen=True)
class Candidate(_InLines):
    """An item that may be shown.

    Attributes:
        position: index among the agent's candidates (or item id, if it has no candidates), counted from 0.
        title, said: its texts.
        price: current price, in mean list prices; None if prices do not differ.
        features: what the agent observes of it, by the names of `VectorEnv.candidate_features`, without squashing;
            without those that its role or privacy hides.
    """

    position: int
    title: str
    said: str
    price: float | None
    features: Mapping[str, float]


@dataclass(frozen=True)
class PastItem(_InLines):
    """An item that a person has been shown or has consumed.

    Attributes:
        title: its title.
        facts: what is known of it, such as "bought later", or how often it was shown; empty if nothing is.
    """

    title: str
    facts: str = ""

    def __str__(self) -> str:
        return f"{quoted(self.title)} ({self.facts})" if self.facts else quoted(self.title)


@dataclass(frozen=True)
class Page(_InLines):
    """A page about to be shown to a visitor, as one agent may know it. What its role hides is None or empty.

    Attributes:
        agent: its name.
        slots: K, number of candidates that it shows.
        scene: name of the scene; empty if there is only one.
        visits, session_page, gap: number of the person's sessions including this one, earlier pages of this session,
            and ticks since the previous session.
        satisfaction: observed satisfaction of the person with what it clicked, from -1 to 1.
        likes: topics nearest to the person's profile, nearest first.
        clicked: items that the person clicked in this agent's slots, and what followed; newest last. The agent learns
            of a later purchase only on a page that it serves.
        ignored: items shown in this agent's slots and not clicked, and how often if more than once; newest last.
        recent: the last `observation.recent` items that the person clicked or bought, and how many of its pages ago;
            newest first. They are items of this agent, or with `observation.share` of any agent.
        private: whether `clicked`, `ignored` and `recent` are withheld (`observation.privacy_epsilon`).
        wants: topics among which the session's intent is known to be.
        request: what the visitor said at the start of the session; empty if it said nothing.
        anchor: title of the item that led to this page; empty if there is none.
        heard, price_levels: agent -> its message and its price level at this person's last page.
        candidates: [C], at least one, in the order of retrieval (`candidates.order`).
        levels: L, number of price levels, if the agent sets prices; else 0.
        vocabulary: [V] words of the messages; empty if agents do not talk.
    """

    agent: str
    slots: int
    scene: str
    visits: int | None
    session_page: int | None
    gap: float | None
    satisfaction: float | None
    likes: tuple[str, ...]
    clicked: tuple[PastItem, ...]
    ignored: tuple[PastItem, ...]
    recent: tuple[PastItem, ...]
    private: bool
    wants: tuple[str, ...]
    request: str
    anchor: str
    heard: Mapping[str, str]
    price_levels: Mapping[str, int]
    candidates: tuple[Candidate, ...]
    levels: int
    vocabulary: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What to do with a page.

    Attributes:
        picks: [1 to K] candidates of the page, counted from 0, best first; if there are fewer than K, the first one
            fills the missing slots.
        level: price level; None = the level nearest to the list prices.
        word: message, counted from 0 in the vocabulary.
        repairs: the repairs that the text needed when it was parsed (`prompts.REPAIRS`).
    """

    picks: tuple[int, ...]
    level: int | None = None
    word: int = 0
    repairs: tuple[str, ...] = ()


def checked_page(page: Any) -> Page:
    """Return the page if it is a `Page`, else raise `TypeError`."""
    if not isinstance(page, Page):
        raise TypeError(f"page = {shown(page)} must be a Page, such as TextEnv.pages holds")
    return page


def as_retrieved(page: Page) -> Answer:
    """Return the first candidates, in the order of retrieval: what is shown without an answer."""
    return Answer(tuple(range(min(page.slots, len(page.candidates)))))


@dataclass
class Past:
    """What an agent remembers of a person: what was clicked in its slots, and items shown there without a click."""

    clicked: deque[PastItem] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    ignored: dict[int, int] = field(default_factory=dict)  # item -> how often it was shown; newest last

    def ignore(self, item: int) -> None:
        self.ignored[item] = self.ignored.pop(item, 0) + 1
        if len(self.ignored) > IGNORED:
            del self.ignored[next(iter(self.ignored))]


class Reader(Ranker):
    """Reads pages for an agent, and writes its actions; a subclass that defines `answer` is a policy.

    Args:
        words: vocabulary of the messages [V]; by default the numbers from 0 on.

    Attributes:
        rules: the system prompt: the task as the bound agent plays it, and how to answer.
        visible: positions and names of the features of candidates that the agent sees.

    Raises:
        TypeError: `words` is not a list.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        if not is_sequence(words) or not all(isinstance(word, str) for word in words):
            raise TypeError(f"words = {shown(words)} must be a list of words")
        self._words = tuple(words)

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        if envs.config.auctioned:
            raise ValueError(
                "page = 'auction' has no pages in words: no agent reads what a slot is worth, or bids in words"
            )
        self.vocabulary = vocabulary(self._words, envs.shape.vocabulary)
        if self.items.shape[1] > MOST_OPTIONS:
            raise ValueError(
                f"pages in words list all that may be shown, which are {self.items.shape[1]} items; {MOST_OPTIONS} are "
                "allowed. With action='candidates' a retrieval stage chooses some"
            )
        self.agent, self._role = agent, envs.config.role_of(self.index)
        self._hidden = envs.config.hidden(self.index)
        self.rules = describe_task(envs, agent, self.vocabulary)
        observed = visible_features(envs, self.index)
        self.visible = [(f, name) for f, name in enumerate(self.feature_names) if name in observed]
        # Whether every agent sets a price on every page, so that a level of 0 is that of a price.
        self._all_price = len(envs.config.scenes) == 1 and not envs.config.opens_agent
        self._present = np.full(envs.num_envs, -1)
        self._past: dict[tuple[int, int], Past] = {}  # of each copy and visitor
        self._pages: list[Page | None] = []

    def answer(self, pages: Sequence[Page | None]) -> list[Answer | None]:
        """Return answers [B] to pages [B]; None where there is no page."""
        raise NotImplementedError(f"{type(self).__name__} has no answer(pages)")

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self.write(self.answer(self.read(observations)))

    # -------------------------------------------------------------------------------------------- reading

    def read(self, observations: np.ndarray) -> list[Page | None]:
        """Return the pages [B] about to be shown, given the agent's observations [B, O]."""
        self.envs._require_reset("read()")
        observations = as_numbers("observations", observations)
        expected = (self.envs.num_envs, self.envs.report.observations.shape[-1])
        if observations.shape != expected:
            raise ValueError(f"observations of shape {observations.shape}, expected {expected}: one row for each copy")
        self.look()
        self._present = self.envs.next_visitor[:, self.index].copy()
        clocks = self.envs.next_page
        self._pages = [
            self._page(b, observations[b], clocks[b]) if (self.items[b] >= 0).any() else None
            for b in range(self.envs.num_envs)
        ]
        return self._pages

    def _page(self, b: int, observation: np.ndarray, clock: np.void) -> Page:
        envs, shape, hidden = self.envs, self.envs.shape, self._hidden

        def seen(name: str) -> np.ndarray | None:
            """A field of the observation without its squashing; None where the agent does not see it."""
            return None if name in hidden or name not in envs.observation_fields else plain(envs, observation, name)

        def one(name: str) -> float | None:
            value = seen(name)
            return None if value is None else float(value[0])

        visits, page, knows, profile = one("visits"), one("session_page"), seen("knows"), seen("profile")
        past = self._past.get((b, int(self._present[b])))
        known = Past() if past is None or envs.config.private else past
        anchor = "" if "anchor" in hidden or clock["anchor"] < 0 else str(envs.texts.titles[clock["anchor"]])
        return Page(
            agent=self.agent,
            slots=shape.slots,
            scene=envs.config.scenes[clock["scene"]].name if shape.scenes > 1 else "",
            visits=None if visits is None else round(visits),
            session_page=None if page is None else round(page),
            gap=one("visit_gap") if visits is not None and visits > 1.5 else None,
            satisfaction=one("observed_satisfaction") if one("satisfaction_pages") else None,
            likes=self._likes(profile),
            clicked=tuple(known.clicked),
            ignored=tuple(
                PastItem(self._title(item), f"{times} times" if times > 1 else "")
                for item, times in known.ignored.items()
            ),
            recent=tuple(self._recent(b)),
            private=envs.config.private,
            wants=() if knows is None else self._wants(int(knows.argmax())),
            request="" if "request" in hidden else self._request(b),
            anchor=anchor,
            heard=self._heard(seen("messages")),
            price_levels=self._price_levels(seen("price_levels"), past is not None),
            candidates=tuple(self._candidates(b, int(clock["tick"]))),
            levels=shape.levels,
            vocabulary=self.vocabulary,
        )

    def _recent(self, b: int) -> Iterator[PastItem]:
        """Yield what the person consumed last, newest first, without what the role does not see."""
        envs, hidden = self.envs, self._hidden
        if not tells_recent(envs.config, hidden):
            return
        state = envs.arrays
        view = self.index if envs.shape.views > 1 else 0  # its own, or the one that all agents share
        consumed = state.recent[b, state.copies["row"][b], view]
        for entry in consumed[: envs.shape.recent]:
            if entry["item"] < 0:
                break
            facts = ["bought" if entry["bought"] else "clicked"] * ("recent_bought" not in hidden)
            facts += [f"{counted(int(entry['pages']), 'page')} ago"] * ("recent_pages" not in hidden)
            yield PastItem(self._title(entry["item"]), ", ".join(facts))

    def _likes(self, profile: np.ndarray | None) -> tuple[str, ...]:
        if profile is None:
            return ()
        nearest = np.argsort(-(self.envs.world.centres @ profile), kind="stable")[:LIKED_TOPICS]
        return tuple(str(self.envs.texts.topics[t]) for t in nearest)

    def _wants(self, label: int) -> tuple[str, ...]:
        topics = zip(self.envs.texts.topics, self._role.knows, strict=True)
        return tuple(str(topic) for topic, known in topics if known == label)

    def _request(self, b: int) -> str:
        state = self.envs.arrays
        said = state.requests[b, state.copies["row"][b]]  # [1], or [0] where nobody says anything
        return str(self.envs.requests.texts[said[0]]) if said.size and said[0] >= 0 else ""

    def _heard(self, words: np.ndarray | None) -> dict[str, str]:
        said = np.zeros((0, 0)) if words is None else words.reshape(self.envs.num_agents, -1)
        agents = zip(self.envs.possible_agents, said, strict=False)
        return {agent: self.vocabulary[row.argmax()] for agent, row in agents if row.any()}

    def _title(self, item: int) -> str:
        return str(self.envs.texts.titles[item])

    def _price_levels(self, price_levels: np.ndarray | None, returns: bool) -> dict[str, int]:
        """Return the level of each agent that is known to have set one at this person's last page.

        An observed level of 0 is the middle one or none at all. It is known to be the middle one if the person has been
        shown a page before (`returns`) and all agents set prices on every page.
        """
        if price_levels is None:
            return {}
        priced = (price_levels != 0) | (self._all_price and (returns or price_levels.any()))
        levels = zip(self.envs.possible_agents, level_of(self.envs, price_levels).tolist(), priced, strict=True)
        return {agent: level for agent, level, known in levels if known}

    def _candidates(self, b: int, tick: int) -> list[Candidate]:
        positions = np.flatnonzero(self.items[b] >= 0)
        items, texts = self.items[b, positions], self.envs.texts
        sees_price = any(name == "price" for _, name in self.visible)
        prices = self.envs.prices_at(items, tick)[0].tolist()
        return [
            Candidate(
                position=int(position),
                title=self._title(item),
                said=str(texts.descriptions[item]),
                price=price if sees_price else None,
                features={name: unsquashed(float(self.features[b, position, f]), name) for f, name in self.visible},
            )
            for position, item, price in zip(positions, items, prices, strict=True)
        ]

    # -------------------------------------------------------------------------------------------- writing

    def write(self, answers: Sequence[Answer | None]) -> np.ndarray:
        """Return actions [B, ...] that carry out answers [B] to the pages that were read last.

        Raises:
            TypeError, ValueError: there is not one `Answer` for each page, or one names what its page does not have.
            RuntimeError: no pages have been read.
        """
        if not self._pages:
            raise RuntimeError("call read(observations) before write(answers)")
        if not is_sequence(answers) or not all(answer is None or isinstance(answer, Answer) for answer in answers):
            raise TypeError(f"answers = {shown(answers)} must be Answer or None, one for each copy")
        if len(answers) != len(self._pages):
            raise ValueError(f"answers = {shown(answers)} are {len(answers)}, but {len(self._pages)} pages were read")
        envs, slots = self.envs, self.envs.shape.slots
        slates, filled = np.zeros((envs.num_envs, slots), np.int64), np.zeros(envs.num_envs, np.int64)
        levels, words = np.full(envs.num_envs, envs.config.offer.list_level), np.zeros(envs.num_envs, np.int64)
        for b, (page, answer) in enumerate(zip(self._pages, answers, strict=True)):
            if page is None or answer is None:
                continue
            for name, given, most in (
                ("picks", answer.picks, len(page.candidates)),
                ("level", () if answer.level is None else (answer.level,), page.levels),
                ("word", (answer.word,), max(len(page.vocabulary), 1)),
            ):
                if not all(0 <= number < most for number in given):
                    raise ValueError(f"answers[{b}].{name} = {shown(given)}; allowed are numbers from 0 to {most - 1}")
            positions = [page.candidates[pick].position for pick in answer.picks[:slots]]
            slates[b, : len(positions)], filled[b], words[b] = positions, len(positions), answer.word
            if answer.level is not None:
                levels[b] = answer.level
        return say(envs, slate_action(envs, self.index, slates, filled, levels), words)

    # -------------------------------------------------------------------------------------------- remembering

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        for b, visitor in enumerate(self._present.tolist()):
            if visitor < 0:
                continue
            events = [(item, "bought later") for item in feedback["later_item"][b] if item >= 0]
            events += [
                (item, _outcome(feedback, b, k))
                for k, item in enumerate(feedback["shown"][b])
                if feedback["clicked"][b, k]
            ]
            past = self._past.setdefault((b, visitor), Past())
            for item, outcome in events:
                past.ignored.pop(int(item), None)
                past.clicked.append(PastItem(self._title(item), outcome))
            for item in feedback["shown"][b][~feedback["clicked"][b]]:
                if item >= 0:
                    past.ignore(int(item))

    def reset(self, done: np.ndarray) -> None:
        self._past = {key: past for key, past in self._past.items() if not done[key[0]]}


def vocabulary(words: Sequence[str], size: int) -> tuple[str, ...]:
    """Return the words of a game with this many messages.

    Raises:
        ValueError: the number of words is wrong, or words are equal, empty or not a line as `one_line` returns.
    """
    said = tuple(words) or tuple(map(str, range(size)))
    if not all(map(_is_word, said)) or not len(said) == size == len({word.casefold() for word in said}):
        raise ValueError(
            f"words = {shown(words)} must be {size} different words, each on a line, without brackets and quotation "
            f"marks (messages = {size})"
        )
    return said


def _is_word(word: object) -> bool:
    return isinstance(word, str) and word == one_line(word) != ""


def plain(envs: VectorEnv, observations: np.ndarray, name: str) -> np.ndarray:
    """Return a field of observations [..., O] without squashing."""
    found: np.ndarray = unsquashed(envs.field(observations, name), name)
    return found


def _outcome(feedback: Mapping[str, np.ndarray], b: int, k: int) -> str:
    """Describe what followed a click."""
    happened = most_specific({name: feedback[name][b, k] for name in NAMES})
    return ", ".join(response.prompt_words.format(value) for response, value in happened if response.prompt_words)
