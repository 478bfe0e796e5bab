"""Policies that read pages in words: functions from prompt to answer, and language models.

TextPolicy(answer)                      answer(prompt) -> text
LanguagePolicy("smollm2")               ranks candidates by the likelihood that their titles are chosen next
LanguagePolicy(model, rank="list")      asks for a list
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..checks import as_numbers, did_you_mean, is_number, is_sequence, shown
from .models import LanguageModel, ModelError, Usage, open_model
from .pages import Answer, Page, Reader, as_retrieved
from .prompts import describe, parse

RANKS = ("likelihood", "list")
KEPT_ANSWERS = 10_000  # answers to the last prompts that are kept
TOKENS_OF_SLOT, TOKENS_OF_LINE = 8, 16  # tokens that an answer may take
NOBODY = "A visitor chose:"  # context of the likelihood that titles are compared with


class TextPolicy(Reader):
    """A function from prompt to answer as a policy, for evaluations, tournaments and as a fixed agent.

    Args:
        answer: called with each page's prompt (`describe`); `parse` reads what it returns.
        words: vocabulary of the messages, as many words as `messages`; by default the numbers from 0 on.

    Attributes:
        repairs: how often each of `prompts.REPAIRS` was needed.

    Raises:
        TypeError: `answer` is not a function, or `words` is not a list of words.
    """

    def __init__(self, answer: Callable[[str], str], words: Sequence[str] = ()) -> None:
        super().__init__(words)
        if not callable(answer):
            raise TypeError(f"answer = {shown(answer)} must be a function from a prompt to a text")
        self._function = answer
        self.repairs: Counter[str] = Counter()

    def answer(self, pages: Sequence[Page | None]) -> list[Answer | None]:
        return [None if page is None else self._counted(parse(self._function(describe(page)), page)) for page in pages]

    def _counted(self, answer: Answer) -> Answer:
        self.repairs.update(answer.repairs)
        return answer

    def costs(self) -> dict[str, float]:
        return {"repairs": float(self.repairs.total())}


@dataclass(frozen=True)
class Limits:
    """Limits on what a policy may spend in total; beyond them, pages show what retrieval returned, in its order.

    Attributes:
        calls: calls of the model.
        tokens: tokens read and written.
        seconds: seconds of the model's time.
        page_seconds: seconds that one page may take; None: no limit.

    Raises:
        TypeError: a limit is not a number.
        ValueError: it is not above 0.
    """

    calls: float = float("inf")
    tokens: float = float("inf")
    seconds: float = float("inf")
    page_seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "page_seconds" and value is None:
                continue
            if not is_number(value):
                raise TypeError(f"Limits.{name} = {shown(value)} must be a number above 0")
            if not value > 0:
                raise ValueError(f"Limits.{name} = {shown(value)} must be a number above 0")


class LanguagePolicy(Reader):
    """A language model that ranks the candidates of each page. It does not learn.

    Ranking by likelihood takes one pass: candidates are in the order of log P(title | what is known of the visitor) -
    log P(title | a visitor), so titles do not gain from being likely in general (Holtzman et al. 2021). It always sends
    word 0. Ranking by list: the model reads the whole prompt (`describe`) and writes numbers, which `parse` reads. If
    the model fails or a limit is reached, the page shows what retrieval returned, in its order, and is counted in
    `fallbacks`.

    Args:
        model: a name, path or address (`models.open_model`), or a model.
        rank: "likelihood" or "list"; by default likelihood if the model supports it.
        limits: limits on what it may spend.
        prices: prices of a million tokens read and of a million tokens written, in any currency.
        words: vocabulary of the messages, as many words as `messages`; by default the numbers from 0 on.

    Attributes:
        usage: calls of the model for this agent, tokens read and written.
        seconds: time of these calls.
        repairs: how often each of `prompts.REPAIRS` was needed.
        remembered: pages whose prompt had been answered before.
        fallbacks: pages without an answer of the model.
        error: why the last failed page failed; None if none did.

    Raises:
        TypeError, ValueError: an argument is of a wrong kind, or there is no such model.
        ImportError: the model's library is missing.
    """

    def __init__(
        self,
        model: str | Path | LanguageModel,
        rank: str | None = None,
        limits: Limits | None = None,
        prices: tuple[float, float] = (0.0, 0.0),
        words: Sequence[str] = (),
    ) -> None:
        super().__init__(words)
        self.model = model if isinstance(model, LanguageModel) else open_model(model)
        self.rank = ("likelihood" if self.model.rates else "list") if rank is None else rank
        if not isinstance(self.rank, str) or self.rank not in RANKS:
            raise ValueError(f"rank = {shown(rank)} is not allowed{did_you_mean(rank, RANKS)}; choose one of {RANKS}")
        if self.rank == "likelihood" and not self.model.rates:
            raise ValueError(f"rank = 'likelihood' needs a model on this machine; {self.model.name} only writes lists")
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f"limits = {shown(limits)} must be Limits or None")
        if not is_sequence(prices) or len(prices) != 2 or not all(is_number(p) and 0 <= p < np.inf for p in prices):
            raise ValueError(f"prices = {shown(prices)} must be two numbers, 0 or more")
        self.limits, self.prices = limits or Limits(), prices
        self.usage, self.seconds = Usage(), 0.0
        self.repairs: Counter[str] = Counter()
        self.remembered = self.fallbacks = 0
        self.error: ModelError | None = None
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._usual: dict[str, float] = {}  # log P(title | a visitor)

    def answer(self, pages: Sequence[Page | None]) -> list[Answer | None]:
        return [None if page is None else self._answer_to(page) for page in pages]

    def _answer_to(self, page: Page) -> Answer:
        prompt = describe(page)
        if prompt in self._answers:
            self._answers.move_to_end(prompt)
            self.remembered += 1
        elif (asked := self._ask(prompt, page)) is not None:
            self._answers[prompt] = asked
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        else:
            self.fallbacks += 1
            return as_retrieved(page)
        self.repairs.update(self._answers[prompt].repairs)
        return self._answers[prompt]

    def costs(self) -> dict[str, float]:
        used = self.usage
        price = (self.prices[0] * used.read + self.prices[1] * used.written) / 1e6
        spent = {"tokens": used.read + used.written, "repairs": self.repairs.total(), "fallbacks": self.fallbacks}
        return {**spent, **({"price": price} if any(self.prices) else {})}

    @property
    def failure(self) -> str | None:  # type: ignore[override]
        """Why no page has been answered; None if one was, or if no page was asked about."""
        if self._answers or not self.usage.calls:
            return None
        return f"{self.model.name} has answered none of {self.fallbacks} pages: {self.error or 'it was too late'}"

    def _ask(self, prompt: str, page: Page) -> Answer | None:
        """Return the model's answer; None if it has none in time or a limit is reached."""
        if self._spent():
            return None
        began, before = time.perf_counter(), replace(self.model.usage)
        try:
            found = self._likeliest(page) if self.rank == "likelihood" else self._listed(prompt, page)
        except ModelError as error:
            self.error, found = error, None
        took, after = time.perf_counter() - began, self.model.usage
        self.seconds += took
        self.usage.calls += after.calls - before.calls
        self.usage.read += after.read - before.read
        self.usage.written += after.written - before.written
        late = self.limits.page_seconds is not None and took > self.limits.page_seconds
        return None if late else found

    def _spent(self) -> bool:
        used, limits = self.usage, self.limits
        return used.calls >= limits.calls or used.read + used.written >= limits.tokens or self.seconds >= limits.seconds

    def _likeliest(self, page: Page) -> Answer:
        titles = [candidate.title for candidate in page.candidates]
        missing = sorted(set(titles) - self._usual.keys())
        if missing:
            usual = self._rated("prior", NOBODY, missing)
            self._usual.update(zip(missing, usual.tolist(), strict=True))
        gains = self._rated("log_likelihoods", story(page), titles) - [self._usual[title] for title in titles]
        best = np.argsort(-gains, kind="stable")[: page.slots]
        return Answer(tuple(best.tolist()))

    def _rated(self, method: str, context: str, titles: list[str]) -> np.ndarray:
        """Return the model's `log_likelihoods` or `prior` of titles [I].

        Raises:
            TypeError, ValueError: it did not return this many finite numbers.
        """
        name = f"{method}() of the model {shown(self.model.name)}"
        found = as_numbers(name, getattr(self.model, method)(context, [f" {title}" for title in titles]))
        if found.shape != (len(titles),):
            raise ValueError(f"{name} = {shown(found)} has shape {found.shape}, expected ({len(titles)},)")
        return found

    def _listed(self, prompt: str, page: Page) -> Answer:
        lines = bool(page.levels) + bool(page.vocabulary)
        tokens = TOKENS_OF_SLOT * page.slots + TOKENS_OF_LINE * lines
        return parse(self.model.generate(prompt, tokens, self.limits.page_seconds), page)


def story(page: Page) -> str:
    """Return what is known of the visitor, as a text that a title continues."""
    lines = [f"A visitor likes: {'; '.join(page.likes)}."] if page.likes else []
    lines += [f"Wants one of: {'; '.join(page.wants)}."] if page.wants else []
    lines += [f"Came from: {page.anchor}."] if page.anchor else []
    lines += [f"A visitor chose: {title.split(' (')[0]}." for title in page.clicked]
    return "\n".join([*lines, NOBODY])


class ListingPolicy(LanguagePolicy):
    """A language model that is asked to list the candidates to show; otherwise like `LanguagePolicy`."""

    def __init__(
        self,
        model: str | Path | LanguageModel,
        limits: Limits | None = None,
        prices: tuple[float, float] = (0.0, 0.0),
        words: Sequence[str] = (),
    ) -> None:
        super().__init__(model, "list", limits, prices, words)
