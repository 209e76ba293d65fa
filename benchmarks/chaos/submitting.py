"""A user of the client who does not give up: the same jobs with the same key until they are accepted."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import httpx2

import mercer
from benchmarks.chaos.checker import Checker
from benchmarks.chaos.jobs import job

REQUEST_TIMEOUT_S = 5.0


class WithoutKeys(httpx2.HTTPTransport):
    """The idempotency key taken away: no request carries one."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it without its key."""
        request.headers.pop("idempotency-key", None)
        return super().handle_request(request)


class Submitter(threading.Thread):
    """Submits jobs through a faulty link, and tells the checker of those for which it got an answer.

    Args:
        url: Of the service.
        checker: Is told.
        numbers: Which jobs.
        rate: How many in a second, on average.
        seed: Of the sizes of the submissions.
        keyed: False takes the idempotency keys away.
    """

    def __init__(
        self, url: str, checker: Checker, numbers: Sequence[int], *, rate: float, seed: int, keyed: bool = True
    ) -> None:
        super().__init__(daemon=True)
        transport = httpx2.HTTPTransport() if keyed else WithoutKeys()
        self._client = mercer.Client(url, timeout_s=REQUEST_TIMEOUT_S, transport=transport)
        self._checker = checker
        self._numbers = numbers
        self._rate = rate
        self._seed = seed
        self.given_up = threading.Event()

    def run(self) -> None:
        """Until all are accepted."""
        start, sent = time.monotonic(), 0
        for numbers in self._groups():
            self._submit(numbers)
            sent += len(numbers)
            if self.given_up.wait(max(0.0, start + sent / self._rate - time.monotonic())):
                return
        self._client.close()

    def _groups(self) -> Iterator[list[int]]:
        choose, numbers = random.Random(self._seed), iter(self._numbers)
        while group := list(islice(numbers, choose.choice((1, 1, 5, 20, 50)))):
            yield group

    def _submit(self, numbers: list[int]) -> None:
        specs, key = [job(number) for number in numbers], f"chaos-{numbers[0]}"
        while not self.given_up.is_set():
            try:
                if len(specs) == 1:
                    handles = [self._client.submit(specs[0], idempotency_key=key)]
                else:
                    handles = self._client.submit_many(specs, idempotency_key=key)
            except mercer.MercerError:
                time.sleep(0.1)
                continue
            self._checker.accepted |= {handle.id: number for handle, number in zip(handles, numbers, strict=True)}
            return
