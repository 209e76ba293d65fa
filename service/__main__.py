"""`python -m service`: one process of the HTTP service, until SIGTERM or SIGINT drains it."""

from __future__ import annotations

import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from broker.service_broker import ServiceBroker
from service.app import create_app
from service.draining import Draining
from service.settings import Settings
from store.datasets import Datasets
from store.local import LocalObjects
from store.results import Results

KEEP_ALIVE_S = 65
"""Longer than a client's pause between two requests, so that a connection does not close under its next one."""


class Server(uvicorn.Server):
    """A uvicorn server whose long polls and event streams end first, so that it need not wait for them."""

    def __init__(self, config: uvicorn.Config, draining: Draining) -> None:
        super().__init__(config)
        self._draining = draining

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM and SIGINT."""
        self._draining.start()
        super().handle_exit(sig, frame)


def main() -> int:
    """Serve until a signal.

    Returns:
        2 when the settings are not valid, else 0.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            sys.stderr.write(f"MERCER_{'_'.join(str(step) for step in fault['loc']).upper()}: {fault['msg']}\n")
        return 2
    objects = LocalObjects(settings.data_dir)
    broker = ServiceBroker.connect(
        settings.redis_url,
        namespace=settings.namespace,
        result_ttl_s=settings.result_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
        max_queued=settings.max_queued,
    )
    app = create_app(settings, broker, Datasets(objects, settings.max_upload_bytes), Results(objects))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        proxy_headers=False,
        access_log=False,  # it would cost as much as a small job; /metrics counts requests
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,
    )
    Server(config, app.state.parts.draining).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
