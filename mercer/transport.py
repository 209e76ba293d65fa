"""Performs the steps of a flow over httpx2, blocking or with await: the only file that does network I/O."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2

from mercer.errors import ConnectionFailed, MercerError
from mercer.steps import Chunks, Flow, Pause, Reply, Request, Step, T, Together, Work, error_of

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_TIMEOUT_S = 5.0
"""A service that is up accepts a connection in milliseconds; a longer wait only hides that it is down."""


def service_url(url: str | None) -> str:
    """The service's address: the argument, else MERCER_URL, else this machine.

    Raises:
        ValueError: it is not an http address.
    """
    chosen = (url or os.environ.get("MERCER_URL") or DEFAULT_URL).rstrip("/")
    if not chosen.startswith(("http://", "https://")):
        raise ValueError(f"expected an address that begins with http:// or https://, got {chosen!r}")
    return chosen


def _headers(api_key: str | None) -> dict[str, str]:
    key = api_key or os.environ.get("MERCER_API_KEY")
    return {"User-Agent": "mercer-python"} | ({"Authorization": f"Bearer {key.strip()}"} if key else {})


def _options(url: str, api_key: str | None) -> dict[str, Any]:
    # Loading the certificate authorities takes 25 ms, which plain http has no use for; this context trusts nobody.
    verify = True if url.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {"base_url": url, "verify": verify, "headers": _headers(api_key)}


def _arguments(request: Request, timeout_s: float) -> dict[str, Any]:
    connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.params) or None,
        "headers": {**request.headers, **(request.sink.headers() if request.sink else {})},
        "timeout": httpx2.Timeout(timeout_s, connect=connect_s, read=timeout_s + request.held_s),
    }


@contextmanager
def _connection_errors(url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.TransportError as error:
        reason = str(error) or type(error).__name__
        raise ConnectionFailed(f"No connection to the service at {url}: {reason}") from error


class SyncTransport:
    """Performs flows with blocking calls."""

    def __init__(
        self, url: str, timeout_s: float, transport: httpx2.BaseTransport | None = None, api_key: str | None = None
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._http = httpx2.Client(transport=transport, **_options(url, api_key))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Perform a flow's steps until it returns."""
        outcome: Any = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = self._perform(step)

    def lines(self, request: Request) -> Iterator[str]:
        """The lines of a response, as they come.

        Raises:
            ConnectionFailed: the connection could not be made, or was lost.
            MercerError: the service refused the request.
        """
        with _connection_errors(self._url), self._http.stream(**_arguments(request, self._timeout_s)) as response:
            if response.is_error:
                raise error_of(Reply(response.status_code, response.headers, response.read()))
            yield from response.iter_lines()

    def _perform(self, step: Step) -> Any:
        match step:
            case Request():
                return self._outcome(step)
            case Work():
                return step.function()
            case Pause():
                return time.sleep(step.seconds)
            case Together():
                with ThreadPoolExecutor(1) as beside:
                    second = beside.submit(self._ended, step.second)
                    return self._ended(step.first), second.result()

    def _ended(self, flow: Flow[Any]) -> Any:
        try:
            return self.run(flow)
        except MercerError as error:
            return error

    def _outcome(self, request: Request) -> Reply | ConnectionFailed:
        try:
            return self._send(request)
        except ConnectionFailed as error:
            return error

    def _send(self, request: Request) -> Reply:
        body = request.body() if callable(request.body) else request.body
        arguments = _arguments(request, self._timeout_s)
        with _connection_errors(self._url), self._http.stream(content=body, **arguments) as response:
            if request.sink is None or response.is_error:
                return Reply(response.status_code, response.headers, response.read())
            request.sink.begin(response.status_code, response.headers)
            for chunk in response.iter_raw():
                request.sink.write(chunk)
            return Reply(response.status_code, response.headers)


class AsyncTransport:
    """Performs flows with await; work and the reading of files go to threads."""

    def __init__(
        self, url: str, timeout_s: float, transport: httpx2.AsyncBaseTransport | None = None, api_key: str | None = None
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._http = httpx2.AsyncClient(transport=transport, **_options(url, api_key))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Perform a flow's steps until it returns."""
        outcome: Any = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = await self._perform(step)

    async def lines(self, request: Request) -> AsyncIterator[str]:
        """The lines of a response, as they come.

        Raises:
            ConnectionFailed: the connection could not be made, or was lost.
            MercerError: the service refused the request.
        """
        with _connection_errors(self._url):
            async with self._http.stream(**_arguments(request, self._timeout_s)) as response:
                if response.is_error:
                    raise error_of(Reply(response.status_code, response.headers, await response.aread()))
                async for line in response.aiter_lines():
                    yield line

    async def _perform(self, step: Step) -> Any:
        match step:
            case Request():
                return await self._outcome(step)
            case Work():
                return await asyncio.to_thread(step.function)
            case Pause():
                return await asyncio.sleep(step.seconds)
            case Together():
                return await asyncio.gather(self._ended(step.first), self._ended(step.second))

    async def _ended(self, flow: Flow[Any]) -> Any:
        try:
            return await self.run(flow)
        except MercerError as error:
            return error

    async def _outcome(self, request: Request) -> Reply | ConnectionFailed:
        try:
            return await self._send(request)
        except ConnectionFailed as error:
            return error

    async def _send(self, request: Request) -> Reply:
        body = _in_thread(request.body) if callable(request.body) else request.body
        arguments = _arguments(request, self._timeout_s)
        with _connection_errors(self._url):
            async with self._http.stream(content=body, **arguments) as response:
                if request.sink is None or response.is_error:
                    return Reply(response.status_code, response.headers, await response.aread())
                request.sink.begin(response.status_code, response.headers)
                async for chunk in response.aiter_raw():
                    request.sink.write(chunk)
                return Reply(response.status_code, response.headers)


async def _in_thread(chunks: Chunks) -> AsyncIterator[bytes]:
    iterator = chunks()
    while (chunk := await asyncio.to_thread(next, iterator, None)) is not None:
        yield chunk
