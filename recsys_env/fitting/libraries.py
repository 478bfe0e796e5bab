"""The libraries of the extra `fit`, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def library(name: str) -> Any:
    """The module of this name.

    Raises:
        ImportError: it is missing; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'recsys_env.fitting needs {name.split(".")[0]}: pip install "recsys_env[fit]"') from error
