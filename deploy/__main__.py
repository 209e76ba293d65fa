"""`python -m deploy serve` runs the whole service until Ctrl-C; `python -m deploy demo` runs it once on real data."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from deploy.local import HOST, LocalService, NotReady, PortInUse, ask
from deploy.valkey import DataDirLocked, ValkeyError

EXIT_NOT_STARTED = 1
EXIT_BAD_SETTING = 2
EXIT_LOCKED = 3
EXIT_PORT_IN_USE = 4
EXIT_INTERRUPTED = 130

DEFAULT_PORT = 8000

EPILOG = """\
environment:
  MERCER_PORT       port of the service on 127.0.0.1 (8000)
  MERCER_DATA_DIR   folder of the queue, the data sets and the results (./data)
  MERCER_WORKERS    worker processes (1)
  MERCER_REDIS_URL  a Redis >= 7.0 or Valkey to use instead of starting one on the data folder
  MERCER_STORE_URL  s3://bucket/prefix to use for the data sets and results; AWS_* say how to reach it
service/settings.py and workers/settings.py list the others.
"""


def main() -> int:
    """Run one of the commands; the result is the exit code."""
    parser = argparse.ArgumentParser(
        "deploy", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("serve", "demo"))
    command = parser.parse_args().command
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # SIGTERM is Ctrl-C: both leave through the same `finally`s.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return serve() if command == "serve" else _demo()
    except KeyboardInterrupt:
        print("Stopped.")
        return EXIT_INTERRUPTED


def serve() -> int:
    """Run the service until Ctrl-C."""
    if (host := os.environ.get("MERCER_HOST", HOST)) != HOST:
        detail = "for another address run `python -m service` and `python -m workers`, as docs/08-keys.md shows"
        return _refuse(f"MERCER_HOST: this command listens on {HOST} alone, not on {host}; {detail}.", EXIT_BAD_SETTING)
    n_workers = _number("MERCER_WORKERS", 1)
    data_dir = Path(os.environ.get("MERCER_DATA_DIR", "data"))
    service = LocalService(data_dir, port=_number("MERCER_PORT", DEFAULT_PORT), workers=n_workers)
    try:
        with service:
            print(
                f"Mercer listens on {service.url}, its data is in {service.data_dir}. Ctrl-C drains and stops it.",
                flush=True,
            )
            if "MERCER_REDIS_URL" not in os.environ:
                print("Accepted jobs survive kill -9; a power cut may lose those of the last second.", flush=True)
            threading.Thread(target=_tell_workers, args=(service, n_workers), daemon=True).start()
            _wait_for_interrupt()
    except DataDirLocked:
        return _refuse(
            f"Another Mercer already runs on {service.data_dir}: stop it, or set MERCER_DATA_DIR.", EXIT_LOCKED
        )
    except PortInUse as error:
        return _refuse(f"Mercer cannot listen: {error}. Stop who has it, or set MERCER_PORT.", EXIT_PORT_IN_USE)
    except (NotReady, ValkeyError) as error:
        return _refuse(f"Mercer cannot start: {error}.", EXIT_NOT_STARTED)
    return 0


def _demo() -> int:
    from deploy import demo  # NumPy and the client take half a second, which `serve` need not wait for

    demo.run()
    return 0


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise SystemExit(_refuse(f"{name}: expected a whole number >= 0, got {text!r}", EXIT_BAD_SETTING))
    return int(text)


def _refuse(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3_600)
    except KeyboardInterrupt:
        print(
            "Draining: jobs that run now are finished or go back to the queue. Ctrl-C again ends them at once.",
            flush=True,
        )


def _tell_workers(service: LocalService, n_workers: int) -> None:
    """Print each worker once it is ready; the first compilation takes some seconds."""
    told: set[str] = set()
    while len(told) < n_workers:
        time.sleep(0.2)
        answer = ask(service.port, "/v1/workers", service.root_key)
        for worker in json.loads(answer or b'{"workers": []}')["workers"]:
            if worker["name"] not in told:
                told.add(worker["name"])
                print(f"Worker {worker['name']} is ready on {worker['device']}.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
