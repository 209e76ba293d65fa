"""Delivers webhooks. Any service process does it, for any endpoint; one that dies is replaced when its lease ends."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from broker import webhooks
from broker.tasks import end
from broker.webhooks import Message, Outcome, Taken
from mercer.errors import Unavailable
from service.egress import TIMEOUT_S, Egress, Refused, Unreachable
from service.webhook_messages import Answer, after, body_of, headers_of
from service.webhook_metrics import WebhookMetrics
from store.webhooks import Disabled, Registration, Registrations

ENDPOINTS_AT_ONCE = 32
"""Delivered to by one process."""

DELIVERIES_AT_ONCE = 8
"""To one endpoint; to one that fails a single one."""

LEASE_MS = round(1000 * (TIMEOUT_S + 10))
"""After which another process delivers what this one has not settled: longer than an attempt takes."""

LOOK_S = 0.5
"""How often to look for what has become due: it costs the queue's server some microseconds."""

SYNC_S = 60.0
"""How often the registrations are told to the queue, should it have lost them."""

DISABLE_AFTER_S = 5 * 86_400
"""Of failures without one success: longer than all attempts of one event."""

GONE = 410
REDIRECTS = range(300, 400)

log = logging.getLogger("mercer.service")


class Sender:
    """The task that delivers webhooks.

    Args:
        hooks: What is to be delivered.
        registrations: Where to, and signed with what.
        egress: The way out.
        metrics: Counts attempts.
    """

    def __init__(
        self, hooks: webhooks.Webhooks, registrations: Registrations, egress: Egress, metrics: WebhookMetrics
    ) -> None:
        self._hooks = hooks
        self._registrations = registrations
        self.egress = egress
        self._metrics = metrics
        self._bell = asyncio.Event()
        self._slots = asyncio.Semaphore(ENDPOINTS_AT_ONCE)
        self._serving: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """There is something to deliver."""
        self._bell.set()
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._run(), name="webhook sender"),
                asyncio.create_task(self._keep_synced(), name="webhook registrations"),
            ]

    async def close(self) -> None:
        """Stop at once: what is under way is delivered again by the next process."""
        await end(*self._tasks, *self._serving)
        await self.egress.close()

    async def _run(self) -> None:
        while True:
            self._bell.clear()
            await self._slots.acquire()
            taken = await self._take()
            if taken is not None:
                task = asyncio.create_task(self._serve(taken))
                self._serving.add(task)
                task.add_done_callback(self._served)
                continue
            self._slots.release()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._bell.wait()

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        self._slots.release()
        self._bell.set()

    async def _take(self) -> Taken | None:
        try:
            return await self._hooks.take(LEASE_MS, DELIVERIES_AT_ONCE)
        except Unavailable:
            return None
        except Exception:
            log.exception("looking for webhooks to deliver failed")
            return None

    async def _serve(self, taken: Taken) -> None:
        """Deliver what is due at one endpoint."""
        try:
            registration = await self._registration(taken)
            if registration is not None:
                await asyncio.gather(*(self._deliver(taken, registration, one) for one in taken.messages))
            await self._hooks.rest(taken)
        except Unavailable:  # the queue is away: what was delivered and could not be settled is delivered again
            log.warning("webhook %s: deliveries are put off", taken.endpoint)
        except Exception:
            log.exception("webhook %s: deliveries failed", taken.endpoint)

    async def _registration(self, taken: Taken) -> Registration | None:
        """Where to deliver; None when nothing is to be delivered there any more."""
        tenant, endpoint = taken.tenant, taken.endpoint
        found = await run_in_threadpool(self._registrations.version, tenant, endpoint, taken.version)
        if found is None:  # replaced, or removed, by a process that could not tell the queue
            found = await run_in_threadpool(self._registrations.newest, tenant, endpoint)
            await self._tell(found) if found else await self._hooks.remove(endpoint, tenant)
        return None if found is None or found.disabled else found

    async def _deliver(self, taken: Taken, registration: Registration, message: Message) -> None:
        started = time.perf_counter()
        answer = await self._attempt(taken, registration, message)
        outcome, tries, again_ms = after(message, answer, taken.now_ms, random.uniform(-1, 1))
        self._metrics.observe(outcome, time.perf_counter() - started)
        await self._hooks.settle(taken.endpoint, message.id, outcome, tries, again_ms)
        if outcome is not Outcome.DELIVERED and (reason := why_disabled(taken, answer)):
            await self._disable(registration, reason, taken.now_ms / 1000)

    async def _attempt(self, taken: Taken, registration: Registration, message: Message) -> Answer:
        body, now_s = body_of(message), taken.now_ms / 1000
        headers = headers_of(message, body, registration.secrets_at(now_s), int(now_s))
        try:
            status = await self.egress.post(registration.url, headers, body)
        except (Refused, Unreachable) as error:
            return Answer(None, str(error))
        return Answer(status, failure(status))

    async def _disable(self, registration: Registration, reason: str, now_s: float) -> None:
        log.warning("webhook %s is disabled: %s", registration.id, reason)

        def changed(current: Registration) -> Registration:
            return current.model_copy(update={"disabled": current.disabled or Disabled(reason=reason, at_s=now_s)})

        disabled = await run_in_threadpool(self._registrations.change, registration.tenant, registration.id, changed)
        if disabled is not None:
            await self._tell(disabled)

    async def _keep_synced(self) -> None:
        while True:
            try:
                await self._sync()
            except Unavailable:
                pass
            except Exception:
                log.exception("telling the queue of the webhooks failed")
            await asyncio.sleep(SYNC_S)

    async def _sync(self) -> None:
        for registration in await run_in_threadpool(lambda: list(self._registrations.all())):
            await self._tell(registration)

    async def _tell(self, registration: Registration) -> None:
        await tell(self._hooks, self._registrations, registration)


async def tell(hooks: webhooks.Webhooks, registrations: Registrations, registration: Registration) -> None:
    """Make a version of a registration count, and delete those before it."""
    if not await hooks.put(registration.id, registration.tenant, registration.version, registration.wanted):
        return
    await run_in_threadpool(registrations.tidy, registration)
    # Looked at again afterwards: had it been removed meanwhile, the queue would go on with it.
    if await run_in_threadpool(registrations.newest, registration.tenant, registration.id) is None:
        await hooks.remove(registration.id, registration.tenant)


def failure(status: int) -> str | None:
    """Why a status is none of success; None when it is."""
    if 200 <= status < 300:
        return None
    if status in REDIRECTS:
        return f"expected a status from 200 to 299, got {status}: redirects are not followed"
    return f"expected a status from 200 to 299, got {status}"


def why_disabled(taken: Taken, answer: Answer) -> str | None:
    """Why an endpoint is not to be delivered to any more, after an attempt that failed; None when it is."""
    if answer.status == GONE:
        return "the receiver answered 410 Gone"
    since = taken.failing_since_ms
    if since is not None and taken.now_ms - since > DISABLE_AFTER_S * 1000:
        return f"every delivery failed for {DISABLE_AFTER_S // 86_400} days; at last: {answer.reason}"
    return None
