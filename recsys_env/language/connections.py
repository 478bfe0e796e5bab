"""Connections to the servers of language models: an event loop, deadlines, short replies, and an address's secrets."""

from __future__ import annotations

import asyncio
import base64
import functools
import os
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote

LONGEST_REPLY = 2**22  # bytes of an endpoint's reply that are read


@functools.lru_cache(1)
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """Return the event loop of all endpoints, in a thread of its own; that of a parent process does not run in a fork.

    Coroutines can be cancelled at whatever they wait for, which threads that read from a socket cannot.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="recsys_env endpoints", daemon=True).start()
    return loop


def within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns. After `seconds` it is cancelled, which closes its connection.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), _loop(os.getpid()))
    try:
        return future.result()
    except BaseException:  # such as KeyboardInterrupt
        future.cancel()
        raise


def http_client(url: SplitResult, openai: Any) -> Any:
    """Return a client that reads no more than `LONGEST_REPLY` bytes, and one more, of a reply.

    It follows no redirection, which would send the prompt elsewhere and make requests that nobody counts. It keeps no
    connection open: connections of a client that is used by several processes would mix their replies.
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
    options: dict[str, Any] = {"limits": limits, "event_hooks": {"response": [shorten]}, "follow_redirects": False}
    if url.query or "@" in url.netloc:
        options["transport"] = _transport(url, httpx, limits)
    return openai.DefaultAsyncHttpxClient(headers={"Accept-Encoding": "identity"}, **options)


def basic_credentials(url: SplitResult) -> str:
    """Return user and password of an address as HTTP sends them; "" if it has none."""
    user = ":".join(unquote(part or "") for part in (url.username, url.password))
    return base64.b64encode(user.encode()).decode() if "@" in url.netloc else ""


def _transport(url: SplitResult, httpx: Any, limits: Any) -> Any:
    """Return a transport that adds the secrets of an address to its requests. No log or message of the client contains
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
            if user := basic_credentials(url):
                sent.headers["Authorization"] = f"Basic {user}"
            return await super().handle_async_request(sent)

    return Transport(limits=limits)
