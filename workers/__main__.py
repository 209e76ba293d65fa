"""`python -m workers`: one worker, until SIGTERM or SIGINT drains it: a process that works, and its parent."""

from __future__ import annotations

import sys
from functools import partial

from pydantic import ValidationError

from gpu.warm import preload
from telemetry import logs
from workers.child import connected, work
from workers.crashes import Crashes
from workers.drain import Drain
from workers.leases import HeldLease
from workers.parent import Parent
from workers.settings import Settings


def main() -> int:
    """Work until a signal.

    Returns:
        2 when the settings are not valid, 1 when the queue or the store is not suitable, else 0.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            sys.stderr.write(f"MERCER_{'_'.join(str(step) for step in fault['loc']).upper()}: {fault['msg']}\n")
        return 2
    logs.configure(settings.log_format)
    drain, held = Drain(settings.drain_s), HeldLease()
    crashes = Crashes(partial(connected, settings), held, lambda: drain.begun)
    parent = Parent(drain, partial(work, settings, drain, held, crashes), crashes.report)
    preload(settings.device)
    return parent.run()


if __name__ == "__main__":
    sys.exit(main())
