"""A language model behind an address: a server with OpenAI's chat protocol."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import math
import os
import sys
import threading
import time
from collections.abc import Coroutine, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..addresses import HIDDEN, with_secrets, without_secrets
from ..checks import is_number, shown
from ..libraries import library
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

    An answer has one deadline for all that is done for it, pauses and further attempts included. At the deadline the
    connection is closed. A call that fails for a reason that may pass, such as a lost connection or a status of `429`
    or `503`, is tried again after a pause, or after the time that the server asks for (`retry-after`, in seconds), if
    there is enough left.

    Models that refuse `max_tokens` are sent `max_completion_tokens`, and those that refuse the temperature of 0 are
    sent none. Redirections are not followed. For an address with a password or a query, the proxies of the environment
    are not used.

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
            known = bool(url.hostname) and url.port != 0
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
        self._library, key = library("openai", "text"), os.environ.get(KEY)
        values = [value for part in url.query.split("&") for value in (part.partition("=")[2] or part,)]
        secrets = {*filter(None, (url.username, url.password, _basic_credentials(url), *values, key))}
        self._secrets = sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True)
        self._client = self._library.AsyncOpenAI(
            base_url=url._replace(netloc=url.netloc.rpartition("@")[2], query="").geturl(),
            api_key=key or "none",
            max_retries=0,
            timeout=None,
            http_client=_http_client(url, self._library),
        )

    @property
    def settings(self) -> str:
        return f"{self.name} {json.dumps(self._options, sort_keys=True)}"

    def generate(self, messages: Messages, tokens: int, seconds: float | None = None) -> str:
        ends = time.monotonic() + (SECONDS if seconds is None else seconds)
        pauses = iter(PAUSES)
        while True:
            request = {self._limit: tokens, **self._defaults, **self._options}
            request = {name: value for name, value in request.items() if value is not None}
            try:
                return self._ask(messages, request, ends - time.monotonic())
            except Exception as error:  # of a library, a connection, or whatever a server sent
                failed, wait = self._failed(error)
                adapted = self._adapted(error, request)
            if adapted and time.monotonic() < ends:
                continue
            pause = math.inf if wait is None else max(next(pauses, math.inf), wait)
            if time.monotonic() + pause >= ends:
                raise failed
            time.sleep(pause)

    def _ask(self, messages: Messages, request: dict[str, Any], seconds: float) -> str:
        """Send one request and return the text of the answer."""
        with self._counting:
            self.usage.calls += 1
        create = self._client.chat.completions.with_raw_response.create
        reply = _within(seconds, create(messages=messages, model=self._model, extra_body=request)).content
        try:
            value = json.loads(reply)
        except (ValueError, RecursionError):
            raise ModelError("its reply is not JSON", "invalid JSON") from None
        text, reason = (_at(value, "choices", 0, *path) for path in (("message", "content"), ("finish_reason",)))
        text = text if isinstance(text, str) else None
        self._count(value, messages, text or "")
        if text and spoken(text).strip():
            return text
        if reason == "length":
            raise ModelError(
                "its tokens were spent before it answered (finish_reason = 'length'); allow more", "cut off"
            )
        if text is None:
            raise ModelError(f"it answered without a text: {shown(value)}", "no text")
        raise ModelError(f"its answer holds no word besides thoughts: {shown(text)}", "empty")

    def _count(self, reply: Any, messages: Messages, text: str) -> None:
        """Count the tokens of a reply: as it reports them, else by their characters."""
        counts = [_at(reply, "usage", name) for name in ("prompt_tokens", "completion_tokens")]
        reported = all(is_number(count, int) and 0 < count < 10**9 for count in counts)
        lengths = sum(len(message["content"]) for message in messages), len(text)
        read, written = counts if reported else [math.ceil(length / CHARACTERS) for length in lengths]
        with self._counting:
            self.usage.read += read
            self.usage.written += written
            self.usage.estimated += not reported

    def _failed(self, error: Any) -> tuple[ModelError, float | None]:
        """Count a failed call; return its error, and how many seconds to wait before another one (None: do not ask)."""
        ai = self._library
        status = error.status_code if isinstance(error, ai.APIStatusError) else 0
        message = self._hidden(str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}")
        if status:
            reason = f"status {status}"
            message += "; redirections are not followed: give the address that they lead to" * (300 <= status < 400)
        elif isinstance(error, ModelError):
            reason = error.reason
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
        wait = _asked_to_wait(error.response.headers) if status else 0.0
        return ModelError(f"{self.name}: {message}", reason), wait if passing else None

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

    def _hidden(self, message: str) -> str:
        """Return a message as one line without secrets: a server may repeat what it was asked."""
        text = " ".join(message.split())
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."


def _at(value: Any, *path: str | int) -> Any:
    """Return what lies at a path of keys and indices in a value of JSON; None if there is nothing."""
    try:
        return functools.reduce(lambda inner, key: inner[key], path, value)
    except (LookupError, TypeError):
        return None


def _asked_to_wait(headers: Mapping[str, str]) -> float:
    """Return the seconds that a server asks to wait for (`retry-after`); 0 if it names no number."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return 0.0


# ------------------------------------------------------------------------------------------------ connections


@functools.lru_cache(1)
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """Return the event loop of all endpoints, in a thread of its own; that of a parent process does not run in a fork.

    Coroutines can be cancelled at whatever they wait for, which threads that read from a socket cannot.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="recsys_env endpoints", daemon=True).start()
    return loop


def _within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns. After `seconds` it is cancelled, which closes its connection."""
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), _loop(os.getpid()))
    try:
        return future.result()
    except BaseException:  # such as KeyboardInterrupt
        future.cancel()
        raise


def _http_client(url: SplitResult, openai: Any) -> Any:
    """Return a client that follows no redirection, which would send the prompt elsewhere, and keeps no connection open:
    connections of a client that is used by several processes would mix their replies."""
    httpx: Any = sys.modules[openai.DefaultAsyncHttpxClient.__base__.__module__.partition(".")[0]]  # later httpx2
    options: dict[str, Any] = {"limits": httpx.Limits(max_keepalive_connections=0)}
    if url.query or "@" in url.netloc:
        options["transport"] = _transport(url, httpx, options["limits"])
    return openai.DefaultAsyncHttpxClient(follow_redirects=False, **options)


def _transport(url: SplitResult, httpx: Any, limits: Any) -> Any:
    """Return a transport that adds the secrets of an address to its requests, so that no log of the client contains
    them."""
    more = parse_qsl(url.query, keep_blank_values=True)

    class Transport(httpx.AsyncHTTPTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            sent = httpx.Request(
                request.method,
                request.url.copy_merge_params(more),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            if user := _basic_credentials(url):
                sent.headers["Authorization"] = f"Basic {user}"
            return await super().handle_async_request(sent)

    return Transport(limits=limits)


def _basic_credentials(url: SplitResult) -> str:
    """Return user and password of an address as HTTP sends them; "" if it has none."""
    user = ":".join(unquote(part or "") for part in (url.username, url.password))
    return base64.b64encode(user.encode()).decode() if "@" in url.netloc else ""


# ------------------------------------------------------------------------------------------------ options

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
    if not isinstance(options, Mapping):
        raise TypeError(f"options = {shown(options)} must be a dict of a request's fields by name, or None")
    for name, value in options.items():
        if name in _DECIDED:
            raise ValueError(f"options[{name!r}] = {shown(value)} is not allowed: {_DECIDED[name]}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise TypeError(f"options[{shown(name)}] = {shown(value)} must be a value of JSON") from None
    return dict(options)
