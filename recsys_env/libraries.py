"""The libraries of an extra, imported when they are needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def is_missing(module: str, error: ModuleNotFoundError) -> bool:
    """Whether an import failed because there is no such module, and not because of what the module imports."""
    return error.name is not None and f"{module}.".startswith(f"{error.name}.")


def library(name: str, extra: str) -> Any:
    """The module of this name, which `pip install "recsys_env[extra]"` brings.

    Raises:
        ImportError: it is missing; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'this needs {name.split(".")[0]}: pip install "recsys_env[{extra}]"') from error


@contextmanager
def needed(what: str, install: str, more: str = "") -> Iterator[None]:
    """Say what to install where an import of this block fails.

    Args:
        what: what needs the libraries, for the message.
        install: what brings them, such as "recsys_env[train]"; `more` is said behind it.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{what} needs {error.name}: pip install "{install}"{more}') from error
