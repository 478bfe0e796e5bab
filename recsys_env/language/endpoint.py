"""A language model behind an address: a server with OpenAI's chat protocol."""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ..addresses import HIDDEN, with_secrets, without_secrets
from ..checks import is_number, shown
from ..libraries import library
from .connections import LONGEST_REPLY, basic_credentials, http_client, within
from .interface import LanguageModel, Messages, ModelError, ModelRefused, Usage
from .prompts import spoken

KEY = "OPENAI_API_KEY"
PAUSES = (0.5, 1.0)  # seconds, after which an endpoint that fails is asked again
SECONDS = 120.0  # that an answer of an endpoint may take by default
MOST_AT_ONCE = 8  # requests under way to an endpoint
LONGEST_ERROR = 300  # characters of an endpoint's error that a message quotes
CHARACTERS = 4  # of a token, where an endpoint does not report how many there were


class Endpoint(LanguageModel):
    """A server that speaks OpenAI's chat protocol.

    An answer has one deadline, which holds for all that is done for it: connections, replies of which a byte comes now
    and then, pauses, and further attempts. At the deadline the connection is closed. A call that fails for a reason
    that may pass, such as a lost connection or a status of `429` or `503`, is tried again after a pause, or after the
    time that the server asks for (`retry-after`), if there is enough left. Of a reply no more than 4 MiB are read.

    Models that refuse `max_tokens` are sent `max_completion_tokens`, and those that refuse the temperature of 0 are
    sent none.

    Redirections are not followed. For an address with a password or a query, the proxies of the environment are not
    used.

    Args:
        address: with the name of the model after a #. Once an address was given, its name with `***` in place of
            secrets is accepted, too.
        options: as for `open_model`.
    """

    answer_tokens = 2048
    most_at_once = MOST_AT_ONCE

    def __init__(self, address: str, options: Mapping[str, Any] | None = None) -> None:
        self.name = without_secrets(address)
        given, _, self._model = with_secrets(address).partition("#")
        try:
            url = urlsplit(given)
            known = bool(url.hostname) and url.port != 0 and given.isprintable() and " " not in given
        except ValueError:
            known = False
        if not known:
            raise ValueError(
                f"address {shown(self.name)} names no host and port; in a password / is written as %2F, ? as %3F, "
                "# as %23"
            )
        if not self._model:
            raise ValueError(f"address {shown(self.name)} names no model: http://host:port/v1#name")
        self._options = checked_options(options)
        self._defaults: dict[str, Any] = {} if "temperature" in self._options else {"temperature": 0}
        self._limit = "max_tokens"
        self.usage, self._counting = Usage(), threading.Lock()
        self._library, key = library("openai", "text"), os.environ.get(KEY, "none")
        values = [value for part in url.query.split("&") for value in (part.partition("=")[2] or part,)]
        secrets = {*filter(None, (url.username, url.password, basic_credentials(url), *values, os.environ.get(KEY)))}
        self._secrets = sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True)
        self._client = self._library.AsyncOpenAI(
            base_url=url._replace(netloc=url.netloc.rpartition("@")[2], query="").geturl(),
            api_key=key,
            max_retries=0,
            timeout=None,
            http_client=http_client(url, self._library),
        )

    @property
    def settings(self) -> str:
        return f"{self.name} {json.dumps(self._options, sort_keys=True)}"

    def generate(self, messages: Messages, tokens: int, seconds: float | None = None) -> str:
        ends = time.monotonic() + (SECONDS if seconds is None else seconds)
        pauses = iter(PAUSES)
        while True:
            request = {"model": self._model, "messages": messages, self._limit: tokens, **self._defaults}
            request = {name: value for name, value in (request | self._options).items() if value is not None}
            try:
                return self._ask(request, tokens, ends - time.monotonic())
            except ModelRefused:
                raise
            except Exception as error:  # of a library, a connection, or whatever a server sent
                failed, adapted = self._failed(error), self._adapted(error, request)
            if adapted and time.monotonic() < ends:
                continue
            pause = max(next(pauses, math.inf), failed.wait) if failed.passing else math.inf
            if time.monotonic() + pause >= ends:
                raise ModelError(f"{self.name}: {failed.message}", failed.reason)
            time.sleep(pause)

    def _ask(self, request: dict[str, Any], most: int, seconds: float) -> str:
        """Send one request for an answer of at most `most` tokens and return the text of the answer."""
        with self._counting:
            self.usage.calls += 1
        create = self._client.chat.completions.with_raw_response.create
        messages, model = request.pop("messages"), request.pop("model")
        reply = within(seconds, create(messages=messages, model=model, extra_body=request)).content
        if len(reply) > LONGEST_REPLY:
            raise ModelError(f"it sent more than {LONGEST_REPLY:,} bytes", "too long")
        try:
            value = json.loads(reply)
        except (ValueError, RecursionError):
            raise ModelError("its reply is not JSON", "invalid JSON") from None
        text = _text_of(value)
        self._count(value, messages, text, most)
        if text is None or not spoken(text).strip():
            raise _without_answer(value, text)
        return text

    def _count(self, value: Any, messages: Messages, text: str | None, most: int) -> None:
        """Count the tokens of a reply, as it reports them if that is possible, else by their characters.

        A token has at least one character. Reasoning need not be in the text, so what was written may also have as many
        tokens as were allowed (`most`).
        """
        usage = value.get("usage") if isinstance(value, Mapping) else None
        counts: list[Any] = [usage.get(name) if isinstance(usage, Mapping) else None for name in _COUNTS]
        lengths = sum(len(message["content"]) for message in messages), len(text or "")
        possible = zip(counts, (lengths[0], max(lengths[1], most)), strict=True)
        believed = all(is_number(count, int) and 1 <= count <= longest for count, longest in possible)
        read, written = counts if believed else [math.ceil(count / CHARACTERS) for count in lengths]
        with self._counting:
            self.usage.read += read
            self.usage.written += written
            self.usage.estimated += not believed

    def _failed(self, error: Any) -> _Failure:
        """Count a failed call.

        Raises:
            ModelRefused: it would fail on every page.
        """
        ai, message = self._library, self._hidden(error)
        status = error.status_code if isinstance(error, ai.APIStatusError) else 0
        if status:
            reason = f"status {status}"
            message += "; redirections are not followed: give the address that they lead to" * (300 <= status < 400)
        elif isinstance(error, ModelError):
            reason, message = error.reason, self._hidden(error, kind=False)
        elif isinstance(error, (asyncio.TimeoutError, ai.APITimeoutError)):
            reason, message = "timeout", "Timeout: there was no answer in time"
        else:
            reason = "no connection" if isinstance(error, ai.APIConnectionError) else "no answer"
        with self._counting:
            self.usage.failed[reason] += 1
        if status in (401, 403, 404):
            raise ModelRefused(
                f"{self.name} refuses every page: {message}; check the address, the name of the model behind the # and "
                f"the key in {KEY}"
            ) from None
        passing = status in (408, 409, 429) or status >= 500 or reason == "no connection"
        return _Failure(reason, message, passing, _asked_to_wait(error.response.headers) if status else 0.0)

    def _adapted(self, error: Exception, request: Mapping[str, Any]) -> bool:
        """Whether the model refuses a field of this request that it can do without, as reasoning models do."""
        if not isinstance(error, self._library.BadRequestError):
            return False
        if "max_tokens" in request and "max_completion_tokens" in str(error):
            self._limit = "max_completion_tokens"
        elif "temperature" in request and "temperature" not in self._options and "temperature" in str(error):
            self._defaults = {}
        else:
            return False
        return True

    def _hidden(self, error: Exception, kind: bool = True) -> str:
        """Return an error as one line without secrets: a server may repeat what it was asked."""
        text = " ".join((f"{type(error).__name__}: {error}" if kind else str(error)).split())
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."


_COUNTS = ("prompt_tokens", "completion_tokens")  # of the "usage" of a reply


class _Failure(NamedTuple):
    """A failed call: why, in a few words and in a line; whether that may pass; and how many seconds to wait."""

    reason: str
    message: str
    passing: bool
    wait: float


def _text_of(reply: Any) -> str | None:
    """Return the text of a reply; None if it has none."""
    try:
        text = reply["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        return None
    return text if isinstance(text, str) else None


def _without_answer(reply: Any, text: str | None) -> ModelError:
    """Return the error of a reply without a text, or whose text holds nothing but thoughts."""
    try:
        cut = reply["choices"][0]["finish_reason"] == "length"
    except (LookupError, TypeError):
        cut = False
    if cut:
        return ModelError("its tokens were spent before it answered (finish_reason = 'length'); allow more", "cut off")
    if text is None:
        return ModelError(f"it answered without a text: {shown(reply)}", "no text")
    return ModelError(f"its answer holds no word besides thoughts: {shown(text)}", "empty")


def _asked_to_wait(headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to wait for (`retry-after`: seconds, or a date); 0 if it does not."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return seconds if seconds > 0 else 0.0  # NaN is not above 0


# Fields of a request that are no options, and what decides them.
_DECIDED = {
    "model": "the address names the model, behind a #",
    "messages": "they are the prompt",
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "the policy's tokens= sets the number"),
    **dict.fromkeys(("stream", "n"), "an answer is one text"),
}


def checked_options(options: Any) -> dict[str, Any]:
    """Return the options of a request.

    Raises:
        TypeError: they are not a mapping of JSON values by name.
        ValueError: one of them is decided elsewhere.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) and name for name in options):
        raise TypeError(f"options = {shown(options)} must be a dict of a request's fields by name, or None")
    for name, value in options.items():
        if name in _DECIDED:
            raise ValueError(f"options[{name!r}] = {shown(value)} is not allowed: {_DECIDED[name]}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise TypeError(f"options[{shown(name)}] = {shown(value)} must be a value of JSON") from None
    return dict(options)
