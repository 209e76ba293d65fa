"""A receiver of webhooks that verifies what it gets, and one job that it hears of.

It listens on this machine without TLS, so the service must allow that:

    MERCER_WEBHOOKS_ALLOW_HTTP=localhost MERCER_WEBHOOKS_ALLOW_PRIVATE=127.0.0.0/8,::1/128 make serve
    pip install standardwebhooks
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread

from standardwebhooks import Webhook

import mercer
from mercer import kernels as k

heard: Queue[dict] = Queue()
secrets: list[str] = []


class Receiver(BaseHTTPRequestHandler):
    """Answers at once and leaves the work to whoever reads the queue: a slow receiver is sent things twice."""

    seen: set[str] = set()

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            message = Webhook(secrets[0]).verify(body, dict(self.headers))
        except Exception as error:  # noqa: BLE001 - whoever it was, it was not the service
            self.send_error(400, f"not verified: {error}")
            return
        if self.headers["webhook-id"] not in self.seen:  # delivered at least once: the id tells what came before
            self.seen.add(self.headers["webhook-id"])
            heard.put(message)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


server = ThreadingHTTPServer(("localhost", 0), Receiver)
Thread(target=server.serve_forever, daemon=True).start()

with mercer.Client() as client:
    webhook = client.webhooks.add(f"http://localhost:{server.server_port}/hook", ["job.succeeded", "job.failed"])
    secrets.append(webhook.secret)
    try:
        print("test event:", client.webhooks.test(webhook.id).status, heard.get(timeout=30)["type"])
        job = client.submit(mercer.Gram(kernel=k.Gaussian(lengthscale=2), x=[[0.0, 0.0], [3.0, 4.0]]))
        print(job.result())
        message = heard.get(timeout=30)
        assert message["data"]["id"] == job.id
        print(message["type"], message["data"]["links"]["result"])
    finally:
        client.webhooks.remove(webhook.id)
server.server_close()
