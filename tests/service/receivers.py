"""Receivers of webhooks: real HTTP servers on free ports that answer as told and verify with standardwebhooks."""

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from standardwebhooks import Webhook

CERTIFICATE = Path(__file__).parent / "data" / "receiver.test.pem"


class Received(NamedTuple):
    path: str
    headers: dict
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    def verified(self, secret):
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """Keeps what it gets. `answers` are the next statuses, then 204; `hold` keeps it from answering until it is set."""

    def __init__(self, tls=False):
        self.received, self.answers, self.answer_headers, self.body = [], [], {}, b""
        self.names, self.hold = [], threading.Event()
        self.hold.set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self.port = self._server.server_port
        self.url = f"https://receiver.test:{self.port}/hook?a=1" if tls else f"http://localhost:{self.port}/hook"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            context.sni_callback = lambda _, name, __: self.names.append(name)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a sender that hangs up is what some tests are about


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        receiver.hold.wait(30)
        self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
        for name, value in receiver.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(receiver.body)

    def log_message(self, *_):
        pass


@contextmanager
def receiving(tls=False):
    receiver = Receiver(tls)
    try:
        yield receiver
    finally:
        receiver.close()
