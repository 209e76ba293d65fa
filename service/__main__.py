"""`python -m service`: one process of the HTTP service, until SIGTERM or SIGINT drains it."""

from __future__ import annotations

import gc
import socket
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from broker.durability import require_durable, tell_promise
from broker.faults import UnsuitableRedis
from broker.service_broker import ServiceBroker
from mercer.errors import MercerError
from service.app import create_app
from service.corked import CorkedProtocol
from service.draining import Draining
from service.settings import Settings
from service.threads import SWITCH_S
from store.objects import UnsuitableStore
from store.opening import open_objects
from telemetry import logs
from telemetry.tracing import Tracing, start

KEEP_ALIVE_S = 65
"""Longer than a client's pause between two requests, so that a connection does not close under its next one."""


class Server(uvicorn.Server):
    """A uvicorn server whose long polls and event streams end first, so that it need not wait for them."""

    def __init__(self, config: uvicorn.Config, draining: Draining) -> None:
        super().__init__(config)
        self._draining = draining

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """After SIGTERM or SIGINT."""
        self._draining.start()
        await super().shutdown(sockets)


def main() -> int:
    """Serve until a signal.

    Returns:
        0 after a signal, 1 when Redis or the store cannot be used, 2 when the settings are not valid.
    """
    try:
        settings = Settings()
        logs.configure(settings.log_format)
        tracing = start("service")
        app = _app(settings, tracing)
    except ValidationError as error:
        for fault in error.errors():
            sys.stderr.write(f"MERCER_{'_'.join(str(step) for step in fault['loc']).upper()}: {fault['msg']}\n")
        return 2
    except (MercerError, UnsuitableRedis, UnsuitableStore) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    gc.freeze()  # what is imported stays: to look through it again and again costs each small job 15 us
    sys.setswitchinterval(SWITCH_S)
    config = _config(settings, app)
    Server(config, app.state.parts.draining).run([_listener(config, settings.stalled_s)])
    return 0


def _app(settings: Settings, tracing: Tracing | None) -> FastAPI:
    objects = open_objects(settings.store_url, settings.data_dir, cache_bytes=0)
    if settings.require_durable:
        require_durable(settings.redis_url, settings.namespace, trusted=settings.trust_durability)
    else:
        tell_promise(settings.redis_url)
    broker = ServiceBroker.connect(
        settings.redis_url,
        namespace=settings.namespace,
        result_ttl_s=settings.result_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
        max_queued=settings.max_queued,
        max_tenant_queued=settings.max_tenant_queued,
        memory_share=settings.memory_share,
    )
    return create_app(settings, broker, objects, tracing)


def _config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=CorkedProtocol,
        ws="none",
        proxy_headers=False,
        log_config=None,  # its lines go where ours go
        access_log=False,  # it would cost as much as a small job; /metrics counts requests
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,
    )


def _listener(config: uvicorn.Config, stalled_s: float) -> socket.socket:
    """The socket to listen on; the kernel cuts off a connection whose client takes nothing for so long, or is gone."""
    listener = config.bind_socket()
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stalled_s * 1_000))
    return listener


if __name__ == "__main__":
    sys.exit(main())
