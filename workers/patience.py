"""Redis goes away and comes back: what a worker asks of it is asked again until it answers."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from mercer.errors import Unavailable

FIRST_DELAY_S = 0.05
MAX_DELAY_S = 1.0

Reply = TypeVar("Reply")

log = logging.getLogger(__name__)


def patiently(ask: Callable[[], Reply], *, until: Callable[[], bool]) -> Reply | None:
    """The reply, however long it takes; None when it is no longer worth waiting.

    Args:
        ask: What may run twice.
        until: Whether to stop asking.
    """
    delay_s = FIRST_DELAY_S
    while True:
        try:
            return ask()
        except Unavailable as error:
            log.warning("asking again: %s", error.detail)
        if until():
            return None
        # Not all workers at once when it is back.
        time.sleep(delay_s * random.uniform(0.5, 1.5))
        delay_s = min(2 * delay_s, MAX_DELAY_S)
