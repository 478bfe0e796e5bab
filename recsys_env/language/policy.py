"""Policies that read pages in words: functions from prompt to answer, and language models.

TextPolicy(answer)                      answer(prompt) -> text
LanguagePolicy("smollm2")               ranks candidates by the likelihood that their titles are chosen next
LanguagePolicy(model, rank="list")      asks for a list
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import as_numbers, check_count, check_flag, did_you_mean, is_number, is_sequence, shown
from ..files import FileError, read_json, signed, write_json
from .encoders import CACHE, cache_folder
from .interface import LanguageModel, ModelError, ModelRefused, Usage
from .models import open_model
from .pages import Answer, Page, Reader, as_retrieved
from .prompts import describe, names_candidate, parse

RANKS = ("likelihood", "list")
KEPT_ANSWERS = 10_000  # answers to the last prompts that are kept
HOPELESS = 10  # pages, after which a model that has named a candidate on none of them is not asked any more
ANY_VISITOR = "A visitor chose:"  # context of the likelihood that titles are compared with


class TextPolicy(Reader):
    """A function from prompt to answer as a policy, for evaluations, tournaments and as a fixed agent.

    Args:
        answer: called with each page's prompt (`describe`); `parse` reads what it returns. The rules of the task are in
            `rules`, once the policy is bound.
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

    They are checked before each page. Pages that are asked about at once may therefore exceed them by a few calls.

    Attributes:
        calls, tokens: of the model; tokens read and written.
        seconds: of the model's time, of which pages that are asked about at once spend several in one.
        page_seconds: that one page may take; None: `endpoint.SECONDS` for a model behind an address, else no limit.

    Raises:
        ValueError: a limit is not a number above 0.
    """

    calls: float = float("inf")
    tokens: float = float("inf")
    seconds: float = float("inf")
    page_seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            optional = name == "page_seconds" and value is None
            if not optional and not (is_number(value) and value > 0):
                raise ValueError(f"Limits.{name} = {shown(value)} must be a number above 0")


class LanguagePolicy(Reader):
    """A language model that ranks the candidates of each page. It does not learn.

    Ranking by likelihood takes one pass: candidates are in the order of log P(title | what is known of the visitor) -
    log P(title | a visitor), so titles do not gain from being likely in general (Holtzman et al. 2021). It always sends
    word 0. Ranking by list: the model reads the rules of the task (`rules`) and the page (`describe`) and writes an
    answer, which `parse` reads. The pages of a step are asked about at once, as far as the model allows. A page without
    an answer shows what retrieval returned, in its order, and is counted in `fallbacks`.

    Args:
        model: a name, path or address (`models.open_model`), or a model.
        rank: "likelihood" or "list"; by default likelihood if the model supports it.
        limits: limits on what it may spend.
        prices: prices of a million tokens read and of a million tokens written, in any currency.
        words: vocabulary of the messages, as many words as `messages`; by default the numbers from 0 on.
        tokens: most tokens of an answer, reasoning included; None: the model's `answer_tokens`.
        options: fields of each request to an address, as for `open_model`.
        cache: whether to keep answers on disk, by all that decides them. An answer found there costs no call.

    Attributes:
        usage, seconds: what the model did for this agent, and the time of these calls.
        repairs: how often each of `prompts.REPAIRS` was needed.
        remembered: pages whose prompt had been answered before.
        fallbacks: pages without an answer of the model, by reason: that of its last failed call, "no candidate" if the
            answer names none, "too late", "limit", "refused", or "not asked" because the run had failed before.
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
        tokens: int | None = None,
        options: Mapping[str, Any] | None = None,
        cache: bool = False,
    ) -> None:
        super().__init__(words)
        if isinstance(model, LanguageModel) and options is not None:
            raise ValueError(f"options = {shown(options)} are given where a model is opened: open_model(name, options)")
        self.model = model if isinstance(model, LanguageModel) else open_model(model, options)
        self.rank = ("likelihood" if self.model.rates else "list") if rank is None else rank
        if not isinstance(self.rank, str) or self.rank not in RANKS:
            raise ValueError(f"rank = {shown(rank)} is not allowed{did_you_mean(rank, RANKS)}; choose one of {RANKS}")
        if self.rank == "likelihood" and not self.model.rates:
            raise ValueError(f"rank = 'likelihood' needs a model on this machine; {self.model.name} only writes lists")
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f"limits = {shown(limits)} must be Limits or None")
        if not is_sequence(prices) or len(prices) != 2 or not all(is_number(p) and 0 <= p < np.inf for p in prices):
            raise ValueError(f"prices = {shown(prices)} must be two numbers, 0 or more")
        if tokens is not None:
            check_count("tokens", tokens, 1, 10**6)
        check_flag("cache", cache)
        if cache and self.rank == "likelihood":
            raise ValueError("cache = True keeps answers in words; rank = 'likelihood' has none")
        self.limits, self.prices, self._cache = limits or Limits(), prices, cache
        self.tokens = self.model.answer_tokens if tokens is None else tokens
        self._settings = self.model.settings if cache else ""
        self.usage, self.seconds = Usage(), 0.0
        self.repairs: Counter[str] = Counter()
        self.fallbacks: Counter[str] = Counter()
        self.remembered = 0
        self.error: ModelError | None = None
        self._answered, self._unanswered = False, 0  # whether a page was ever, and pages that the model failed at
        self._refused: ModelRefused | None = None  # in this step
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._usual: dict[str, float] = {}  # log P(title | a visitor)
        self._spending = threading.Lock()

    def answer(self, pages: Sequence[Page | None]) -> list[Answer | None]:
        """Return the model's answers [B] to pages [B]; None where there is no page.

        Raises:
            ModelRefused: the endpoint refuses every page, or the model has answered none of the first `HOPELESS` pages.
                The pages are counted.
        """
        keys = ["" if page is None else self._key(page) for page in pages]
        new = {key: page for key, page in zip(keys, pages, strict=True) if page is not None}
        found: dict[str, Answer | str] = {}
        for key, page in list(new.items()):
            if (answer := self._recalled(key, page)) is not None:
                found[key] = answer
                del new[key]
        found |= self._ask_all(new)
        answers = [
            None if page is None else self._counted(page, found[key], new.pop(key, None) is None)
            for key, page in zip(keys, pages, strict=True)
        ]
        if self._refused:
            raise self._refused
        if self._hopeless() and self.failure:
            raise ModelRefused(self.failure)
        return answers

    def _counted(self, page: Page, found: Answer | str, known: bool) -> Answer:
        """Count what was found for a page, an answer or why there is none, and return what is shown."""
        if isinstance(found, str):
            self.fallbacks[found] += 1
            return as_retrieved(page)
        self.remembered += known
        self.repairs.update(found.repairs)
        return found

    def costs(self) -> dict[str, float]:
        used, price = self.usage, (self.prices[0] * self.usage.read + self.prices[1] * self.usage.written) / 1e6
        return {
            "calls": used.calls,
            "tokens": used.read + used.written,
            "repairs": self.repairs.total(),
            "fallbacks": self.fallbacks.total(),
            **{f"fallbacks: {reason}": pages for reason, pages in sorted(self.fallbacks.items())},
            **{f"failed calls: {reason}": calls for reason, calls in sorted(used.failed.items())},
            **({"calls with estimated tokens": used.estimated} if used.estimated else {}),
            **({"price": price} if any(self.prices) else {}),
        }

    @property
    def failure(self) -> str | None:  # type: ignore[override]
        """Why no page has been answered; None if one was, or if no page was asked about."""
        if self._answered or not self._unanswered:
            return None
        return f"{self.model.name} has answered none of {self._unanswered} pages: {self.error or 'it was too late'}"

    # -------------------------------------------------------------------------------------------- asking

    def _ask_all(self, new: Mapping[str, Page]) -> dict[str, Answer | str]:
        """Ask about new pages, by their keys, and return the answers, or why there are none."""
        self._used, self._began, self._refused = self.usage, self.model.usage + Usage(), None  # a copy
        workers = min(self.model.most_at_once if self.rank == "list" else 1, len(new))
        try:
            if workers > 1:
                with ThreadPoolExecutor(workers) as pool:
                    found = dict(zip(new, pool.map(self._ask, new, new.values()), strict=True))
            else:
                found = {key: self._ask(key, page) for key, page in new.items()}
        finally:
            self.usage = self._used + (self.model.usage - self._began)
        for key, answer in found.items():
            if isinstance(answer, Answer):
                self._remember(key, answer)
        return found

    def _ask(self, key: str, page: Page) -> Answer | str:
        """Return the model's answer, or why there is none. Several threads may call this at once."""
        with self._spending:
            if self._refused or self._hopeless():
                return "not asked"
            if self._spent():
                return "limit"
        began, error, found = time.perf_counter(), None, None
        try:
            found = (self._likeliest(page), "") if self.rank == "likelihood" else self._listed(page)
        except ModelRefused as refused:
            self._refused = refused
            return "refused"
        except ModelError as failed:
            error = failed
        took = time.perf_counter() - began
        late = self.limits.page_seconds is not None and took > self.limits.page_seconds
        with self._spending:
            self.seconds += took
            self.error = error or self.error
            if found is None or late:
                self._unanswered += 1
                return error.reason if error else "too late"
            self._answered = True
        answer, text = found
        if self._cache:
            self._keep(key, text)
        return answer

    def _spent(self) -> bool:
        used, now, before, limits = self._used, self.model.usage, self._began, self.limits
        calls = used.calls + now.calls - before.calls
        tokens = used.read + used.written + now.read + now.written - before.read - before.written
        return calls >= limits.calls or tokens >= limits.tokens or self.seconds >= limits.seconds

    def _hopeless(self) -> bool:
        return not self._answered and self._unanswered >= HOPELESS

    def _listed(self, page: Page) -> tuple[Answer, str]:
        """Return the model's answer to a page, and its text."""
        messages = [{"role": "system", "content": self.rules}, {"role": "user", "content": describe(page)}]
        text = self.model.generate(messages, self.tokens, self.limits.page_seconds)
        answer = parse(text, page)
        if not names_candidate(answer):
            raise ModelError(f"its answer names no candidate: {shown(text)}", "no candidate")
        return answer, text

    # -------------------------------------------------------------------------------------------- remembering

    def _key(self, page: Page) -> str:
        """Return a digest of all that decides the answer to a page."""
        decides = [self._settings, self.tokens, self.rules, describe(page)]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()

    def _recalled(self, key: str, page: Page) -> Answer | None:
        """Return the answer that was given to this page before: to this policy, or one on disk."""
        if key in self._answers:
            self._answers.move_to_end(key)
        elif self._cache and (text := _kept(_path(key))) and names_candidate(answer := parse(text, page)):
            self._answered = True
            self._remember(key, answer)
        return self._answers.get(key)

    def _remember(self, key: str, answer: Answer) -> None:
        self._answers[key] = answer
        if len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)

    @staticmethod
    def _keep(key: str, text: str) -> None:
        try:
            _path(key).parent.mkdir(parents=True, exist_ok=True)
            write_json(_path(key), signed({"answer": text}))
        except OSError as error:
            warnings.warn(f"answers are not kept: {error}; {CACHE} names another folder", stacklevel=2)

    # -------------------------------------------------------------------------------------------- likelihoods

    def _likeliest(self, page: Page) -> Answer:
        titles = [candidate.title for candidate in page.candidates]
        missing = sorted(set(titles) - self._usual.keys())
        if missing:
            usual = self._rated("prior", ANY_VISITOR, missing)
            self._usual.update(zip(missing, usual.tolist(), strict=True))
        gains = self._rated("log_likelihoods", story(page), titles) - [self._usual[title] for title in titles]
        best = np.argsort(-gains, kind="stable")[: page.slots]
        return Answer(tuple(best.tolist()))

    def _rated(self, method: str, context: str, titles: list[str]) -> np.ndarray:
        """Return the model's `log_likelihoods` or `prior` of titles [I]."""
        name = f"{method}() of the model {shown(self.model.name)}"
        found = as_numbers(name, getattr(self.model, method)(context, [f" {title}" for title in titles]))
        if found.shape != (len(titles),):
            raise ValueError(f"{name} = {shown(found)} has shape {found.shape}, expected ({len(titles)},)")
        return found


def _path(key: str) -> Path:
    return cache_folder("answers") / f"{key}.json"


def _kept(path: Path) -> str | None:
    """Return the text of an answer on disk; None if there is none, or a damaged one."""
    try:
        value = read_json(path, {"answer": str, "digest": str}, "answer")
    except FileError:
        return None
    return str(value["answer"]) if signed(value) == value else None


def story(page: Page) -> str:
    """Return what is known of the visitor, as a text that a title continues."""
    lines = [f"A visitor likes: {'; '.join(page.likes)}."] if page.likes else []
    lines += [f"Wants one of: {'; '.join(page.wants)}."] if page.wants else []
    lines += [f"Came from: {page.anchor}."] if page.anchor else []
    lines += [f"A visitor chose: {past.title}." for past in page.clicked]
    chosen = {past.title for past in page.clicked}
    lines += [f"A visitor consumed: {past.title}." for past in reversed(page.recent) if past.title not in chosen]
    lines += [f'A visitor says: "{page.request}"'] if page.request else []
    return "\n".join([*lines, ANY_VISITOR])


class ListingPolicy(LanguagePolicy):
    """A language model that is asked to list the candidates to show; otherwise like `LanguagePolicy`.

    Args:
        model, limits: as for `LanguagePolicy`.
        options: further arguments of `LanguagePolicy`.
    """

    def __init__(self, model: str | Path | LanguageModel, limits: Limits | None = None, **options: Any) -> None:
        super().__init__(model, "list", limits, **options)
