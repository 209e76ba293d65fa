"""A link between two processes that can be cut, go silent, or lose a reply."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

Address = Path | int
"""A unix socket, or a port of this machine."""

PIECE_BYTES = 2**16


async def connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To a unix socket or a port."""
    if isinstance(address, Path):
        return await asyncio.open_unix_connection(str(address))
    return await asyncio.open_connection("127.0.0.1", address)


class Proxy:
    """Passes bytes on from a thread of its own; a context manager.

    A black hole holds bytes back and delivers them when it ends, as a network does that was parted: commands of a
    process that has long been given up arrive late.

    Args:
        listen: Where it listens.
        target: Where it connects to.
    """

    def __init__(self, listen: Address, target: Address) -> None:
        self._listen = listen
        self._target = target
        self._losing = False
        self._open, self._end = asyncio.Event(), asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def silence(self) -> None:
        """Hold everything back from now on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """Deliver what was held back, and go on."""
        self._loop.call_soon_threadsafe(self._open.set)

    def lose_reply(self) -> None:
        """Pass the next request on, but not the reply to it: the connection is cut instead."""
        self._losing = True

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open.set()
        server = await self._listening()
        self._started.set()
        await self._end.wait()
        server.close()
        self._open.set()
        while self._writers:
            self._cut()
            await asyncio.sleep(0.01)

    async def _listening(self) -> asyncio.Server:
        if isinstance(self._listen, Path):
            return await asyncio.start_unix_server(self._serve, str(self._listen))
        return await asyncio.start_server(self._serve, "127.0.0.1", self._listen)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, requests = await connect(self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, requests}
        self._writers |= pair
        try:
            await asyncio.gather(self._pass(reader, requests, loses=False), self._pass(answers, writer, loses=True))
        except OSError:
            return
        finally:
            self._writers -= pair
            for one in pair:
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, loses: bool) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._open.wait()
            if loses and self._losing:
                self._losing = False
                break
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError

    def _cut(self) -> None:
        for writer in self._writers:
            with suppress(OSError):
                writer.transport.abort()
