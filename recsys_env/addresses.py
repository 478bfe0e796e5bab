"""Addresses of models on a network. Passwords and keys are sent to the server, and never stored or printed.

name = without_secrets("llm:http://me:word@host/v1?api_key=abc#tiny")    # llm:http://***@host/v1?api_key=***#tiny
with_secrets("http://***@host/v1?api_key=***#tiny")                      # the address that this process was given

Commands take the names of policies through `without_secrets` once, so that results, folders and all that is printed
hold names alone.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HIDDEN = "***"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_given: dict[str, str] = {}  # address without secrets, up to the #, -> the one that was given last


def without_secrets(text: str) -> str:
    """Return the text with `***` in place of the user, the password and all query values of its addresses.

    Of an address that cannot be parsed, for example because its password contains a / that is not written as %2F, only
    the scheme is kept. The process remembers the full addresses, for `with_secrets`.
    """
    return _ADDRESS.sub(_named, text)


def with_secrets(address: str) -> str:
    """Return the full address for a name that `without_secrets` returned; other text is returned unchanged."""
    url, mark, model = address.partition("#")
    return _given.get(url, url) + mark + model


def _named(found: re.Match[str]) -> str:
    address, mark, rest = found[0].partition("#")
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises if there is none that is a number
    except ValueError:
        return f"{address.partition(':')[0]}://{HIDDEN}"
    name = address
    if "@" in parts.netloc:
        name = name.replace(f"{parts.netloc.rpartition('@')[0]}@", f"{HIDDEN}@", 1)
    if parts.query:
        masked = "&".join(_masked(part) for part in parts.query.split("&"))
        name = f"{name.partition('?')[0]}?{masked}"
    if name != address:
        _given[name] = address
    return name + mark + without_secrets(rest)


def _masked(part: str) -> str:
    """A part of a query without its value."""
    key, equals, _ = part.partition("=")
    return f"{key}={HIDDEN}" if equals else HIDDEN
