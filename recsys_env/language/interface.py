"""What a language model is to the package: it answers messages, and perhaps says how likely texts are.

Messages are those of OpenAI's protocol: `[{"role": "system", "content": ...}, {"role": "user", ...}]`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Messages = Sequence[Mapping[str, str]]


@dataclass
class Usage:
    """What a model has done so far.

    Attributes:
        calls: calls made, also those that failed and those that tried again.
        read, written: tokens.
        estimated: calls whose tokens the endpoint did not report; a token counts for four characters then.
        failed: calls that failed, by reason: `timeout`, `no connection`, `status 429` (or another one), `invalid JSON`,
            `no text`, `empty`, `cut off`, `no answer`.
    """

    calls: int = 0
    read: int = 0
    written: int = 0
    estimated: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + value for name, value in vars(other).items()})

    def __sub__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) - value for name, value in vars(other).items()})


class ModelError(RuntimeError):
    """The model gave no answer: it took too long, was not reached, or returned something unexpected.

    Attributes:
        reason: the kind of failure in a few words, by which failures are counted.
    """

    def __init__(self, message: str, reason: str = "no answer") -> None:
        super().__init__(message)
        self.reason = reason


class ModelRefused(ValueError):
    """The endpoint refuses the key, has no such path or model, or has answered none of the first pages.

    Asking about other pages would not help.
    """


class LanguageModel:
    """A model that reads prompts. A subclass defines `generate`, and `log_likelihoods` if it can.

    Attributes:
        name: the name by which it was opened.
        rates: whether it has `log_likelihoods`.
        answer_tokens: tokens of an answer, reasoning included, unless a policy asks for another number.
        most_at_once: how many threads may call `generate` at once.
    """

    name: str
    rates: bool = False
    answer_tokens: int = 256
    most_at_once: int = 1

    @functools.cached_property
    def usage(self) -> Usage:
        """What the model has done so far."""
        return Usage()

    @property
    def settings(self) -> str:
        """All besides the messages and their number of tokens that decides an answer; no secrets."""
        return self.name

    def generate(self, messages: Messages, tokens: int, seconds: float | None = None) -> str:
        """Return an answer of limited length, decoded greedily unless the model was opened with other options.

        Args:
            messages: each with "role" ("system", "user" or "assistant") and "content".
            tokens: length of the answer at most.
            seconds: time that the answer may take; None = as long as it does.

        Raises:
            ModelError: there is no answer in time, or none at all.
            ModelRefused: asking again would not help.
        """
        raise NotImplementedError

    def log_likelihoods(self, context: str, options: Sequence[str]) -> np.ndarray:
        """Return log P(option | context) [I] in nats, summed over the tokens of each option."""
        raise NotImplementedError

    def prior(self, context: str, options: Sequence[str]) -> np.ndarray:
        """Return `log_likelihoods` of the model as it was before tuning."""
        return self.log_likelihoods(context, options)
