"""Policies that read prompts and write answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from .pages import Answer, Page, Reader
from .prompts import describe, parse


class TextPolicy(Reader):
    """A function from prompt to answer as a policy, for evaluations, tournaments and as company.

    Args:
        answer: called with each page's prompt (`describe`); what it returns is read by `parse`.
        words: that agents talk with, as many as `messages`; by default the numbers from 0 on.

    Attributes:
        repairs: how often each of `prompts.REPAIRS` was needed.
    """

    def __init__(self, answer: Callable[[str], str], words: Sequence[str] = ()) -> None:
        super().__init__(words)
        self._function = answer
        self.repairs: Counter[str] = Counter()

    def answer(self, pages: Sequence[Page | None]) -> list[Answer | None]:
        answers = [None if page is None else parse(self._function(describe(page)), page) for page in pages]
        self.repairs.update(repair for answer in answers if answer is not None for repair in answer.repairs)
        return answers
