"""The only way out of the service to addresses that clients name: looked at anew each time, and used as looked at."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import httpcore2
from starlette.concurrency import run_in_threadpool

from service.addresses import Network, may_connect, parse_address

TIMEOUT_S = 20.0
"""Of one request, from the look-up of the name to the first line of the answer."""

CONNECT_TIMEOUT_S = 5.0
LOOK_UPS_AT_ONCE = 4
"""In threads of their own: a name server that does not answer must hold up nothing else."""

READ_BYTES = 4_096
READ_S = 1.0
"""How much of an answer's body is taken, and for how long: nobody looks at it."""

NOT_PUBLIC = "expected a host that resolves, and to public addresses only"

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]")
_TARGET = re.compile(r"[!-~]*", re.ASCII)

Resolve = Callable[[str, int], list[str]]


class Refused(Exception):
    """The address may not be connected to; the text says what was expected."""


class Unreachable(Exception):
    """No answer came; the text says why."""


class Target(NamedTuple):
    """An address, parsed once: what was checked is what is used."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as the system finds them; OSError when there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressGuard:
    """What may be connected to.

    Args:
        allow_http: Hosts that may be reached without TLS.
        allow_private: Networks that may be reached though they are not public.
        resolve: Finds the addresses of a host.
    """

    def __init__(
        self, allow_http: Collection[str], allow_private: Iterable[Network], resolve: Resolve = resolve
    ) -> None:
        self._allow_http = frozenset(allow_http)
        self._allow_private = tuple(allow_private)
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(LOOK_UPS_AT_ONCE, "egress-names")

    def close(self) -> None:
        """Start no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def target(self, url: str) -> Target:
        """An address of the kind that may be connected to.

        Raises:
            Refused: not https, or with a user, a fragment, or no plain host.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise Refused("expected an https address, got one that cannot be read") from None
        bare = parts.netloc.lower().removesuffix(f":{port}")
        if not _HOST.fullmatch(bare) or parts.fragment or not _TARGET.fullmatch(url):
            raise Refused("expected an https address of a host in ASCII, without user, blank or fragment")
        if parts.scheme != "https" and (parts.scheme != "http" or host not in self._allow_http):
            raise Refused("expected an address that begins with https://")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of which may be connected to.

        Raises:
            Refused: there are none, or one may not be connected to. The text does not tell which, as that would tell
                the names of a private network.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                found = await loop.run_in_executor(self._threads, self._resolve, host, port)
            addresses = [parse_address(text) for text in found]
        except (TimeoutError, OSError, ValueError):
            raise Refused(NOT_PUBLIC) from None
        if not addresses or not all(may_connect(address, self._allow_private) for address in addresses):
            raise Refused(NOT_PUBLIC)
        return found


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the very addresses that the guard has looked at; TLS still asks for the host's name."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            Refused: the guard allows none.
            ConnectError: none answers.
        """
        error: Exception = httpcore2.ConnectError("no address")
        for address in await self._guard.addresses(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error


class Egress:
    """Sends requests to addresses that clients name: no redirects, no proxies, no connection used twice.

    Args:
        guard: What may be connected to.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self.guard = guard
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def close(self) -> None:
        """Hang up."""
        self.guard.close()
        if self._pool is not None:
            await self._pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status that the receiver answers.

        Raises:
            Refused: the address may not be connected to, now.
            Unreachable: no answer came.
        """
        target = self.guard.target(url)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._post(target, headers, body)
        except (TimeoutError, httpcore2.TimeoutException):
            raise Unreachable(f"expected an answer within {TIMEOUT_S:g} s, got none") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise Unreachable(_reason(error)) from None

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> int:
        if self._pool is None:
            # Loading the certificate authorities takes 25 ms.
            self._pool = self._new_pool(await run_in_threadpool(httpcore2.default_ssl_context))
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        sent = [("Host", target.authority), ("Connection", "close"), *headers.items()]
        extensions = {"timeout": {"connect": CONNECT_TIMEOUT_S}}
        async with self._pool.stream("POST", url, headers=sent, content=body, extensions=extensions) as response:
            await _take_some(response)
            return response.status

    def _new_pool(self, context: ssl.SSLContext) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            context, max_connections=None, max_keepalive_connections=0, network_backend=GuardedBackend(self.guard)
        )


async def _take_some(response: httpcore2.Response) -> None:
    """A small answer whole, so that its sender sees no broken connection."""
    taken = 0
    with suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(READ_S):
            async for chunk in response.aiter_stream():
                taken += len(chunk)
                if taken >= READ_BYTES:
                    return


def _reason(error: Exception) -> str:
    """Why there was no answer; nothing that the network around us looks like."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"expected a certificate that is valid for the host, got: {cause.verify_message}"
    if cause is not None:
        return "expected TLS, got something else"
    if isinstance(error, httpcore2.ConnectError):
        return "the connection could not be made"
    return "the connection broke off before the answer"
