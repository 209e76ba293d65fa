"""In every process of a service whose PYTHONPATH begins here: it is killed at the step that the file KILL_AT names."""

import functools
import os
import signal
from pathlib import Path

from broker.service_broker import ServiceBroker
from service.spending import Spending
from store.releases import Releases

ASKED = Path(os.environ["KILL_AT"])


def killed(step):
    """Once: the file goes first."""
    if ASKED.exists() and ASKED.read_text() == step:
        ASKED.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def around(name, function):
    """Killed before it or after it."""

    @functools.wraps(function)
    def steps(*given, **named):
        killed(f"before {name}")
        done = function(*given, **named)
        killed(f"after {name}")
        return done

    return steps


def around_async(name, function):
    @functools.wraps(function)
    async def steps(*given, **named):
        killed(f"before {name}")
        done = await function(*given, **named)
        killed(f"after {name}")
        return done

    return steps


Releases.publish = around("the release is published", Releases.publish)
Spending.settled = around("the charge", Spending.settled)
ServiceBroker.admit = around_async("the job is queued", ServiceBroker.admit)
