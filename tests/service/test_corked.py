import asyncio

from service.corked import LARGE_BYTES, CorkedTransport


class Sink(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.closed = False

    def write(self, data):
        self.written.append(bytes(data))

    def close(self):
        self.closed = True

    abort = close

    def is_closing(self):
        return self.closed


async def test_what_is_written_in_one_turn_leaves_together_in_order():
    corked = CorkedTransport(sink := Sink())
    corked.write(b"head ")
    corked.write(b"body")
    assert sink.written == []
    await asyncio.sleep(0)
    corked.write(b"more")
    await asyncio.sleep(0)
    assert sink.written == [b"head body", b"more"]


async def test_a_large_piece_follows_what_came_before_it():
    corked = CorkedTransport(sink := Sink())
    corked.write(b"head")
    corked.write(b"x" * LARGE_BYTES)
    await asyncio.sleep(0)
    assert [len(data) for data in sink.written] == [4, LARGE_BYTES]


async def test_closing_sends_what_is_held_first():
    corked = CorkedTransport(sink := Sink())
    corked.write(b"last words")
    corked.close()
    await asyncio.sleep(0)
    assert (sink.written, corked.is_closing()) == ([b"last words"], True)


async def test_what_is_held_is_dropped_when_the_connection_is_lost():
    corked = CorkedTransport(sink := Sink())
    corked.write(b"too late")
    sink.close()
    await asyncio.sleep(0)
    assert sink.written == []
