"""HTTP by hand over a raw socket, so that a request may be as wrong as it likes."""

import json
import socket
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

JSON = "application/json"
TIMEOUT_S = 30.0


class Sent(NamedTuple):
    """A request: its head, and the pieces of its body."""

    head: bytes
    body: tuple[bytes, ...] = ()


class Answer(NamedTuple):
    """What came back; status 0 when the connection ended without an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any] | None:
        """The problem document, when it is one."""
        is_problem = self.headers.get("content-type") == "application/problem+json"
        return json.loads(self.body) if is_problem else None


def request(method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Sent:
    """A request with an honest Content-Length, unless the headers name another or chunks."""
    given = {"Host": "edge", "Connection": "close", **(headers or {})}
    if not {"Content-Length", "Transfer-Encoding"} & set(given):
        given["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return Sent("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n", (body,) if body else ())


def posted(path: str, body: bytes, content_type: str = JSON) -> Sent:
    """A POST."""
    return request("POST", path, {"Content-Type": content_type}, body)


def chunked(pieces: Iterable[bytes], *, end: bool = True) -> tuple[bytes, ...]:
    """A body in chunks; without its end the server has to wait."""
    coded = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]
    return (*coded, b"0\r\n\r\n") if end else tuple(coded)


def exchange(port: int, sent: Sent, timeout_s: float = TIMEOUT_S) -> Answer:
    """Send it and read the answer; a server may answer and hang up before it has read everything."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        try:
            connection.sendall(sent.head)
            for piece in sent.body:
                connection.sendall(piece)
        except OSError:
            pass
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """The answer, until the connection ends or its Content-Length is reached."""
    got = bytearray()
    try:
        while b"\r\n\r\n" not in got and (piece := connection.recv(65_536)):
            got += piece
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        headers = _headers(head)
        expected = int(headers.get("content-length", "-1"))
        while (expected < 0 or len(body) < expected) and (piece := connection.recv(65_536)):
            body += piece
    except OSError:
        head, _, body = bytes(got).partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, _headers(head), body)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
