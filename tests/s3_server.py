"""A local S3 server in a process of its own, and a forwarder before it that does what broken stores do."""

import os
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.config import Config

BUCKET = "mercer-test"
HOST = "127.0.0.1"
START_S = 60.0
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


class S3Server:
    """A running moto server with one bucket; a context manager."""

    def __enter__(self):
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            self.port = taken.getsockname()[1]
        arguments = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        self.client().create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    @property
    def environment(self):
        """What reaches it."""
        return environment(self.port)

    def client(self):
        """Of boto3, to look behind the store's back."""
        names = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        endpoint = self.environment["AWS_ENDPOINT_URL"]
        return boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}), **names)

    def _wait(self):
        until = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, "the S3 server ended"
            assert time.monotonic() < until, "the S3 server did not start"
            try:
                socket.create_connection((HOST, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)


def environment(port):
    """What reaches an S3 server on a port, and no other account of this machine."""
    nowhere = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return CREDENTIALS | nowhere | {"AWS_ENDPOINT_URL": f"http://{HOST}:{port}", "NO_PROXY": HOST}


class Forwarder(BaseHTTPRequestHandler):
    """Passes requests on to the S3 server, as `faults` of its server says."""

    protocol_version = "HTTP/1.1"

    def forward(self):
        """One request and its answer."""
        faults = self.server.faults
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(f"{self.command} {self.path}")
        if (refusal := faults.refuse(self)) is not None:
            return self._refuse(*refusal)
        time.sleep(faults.delay_s)
        ignored = {"connection", *faults.ignores(self)}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ignored}
        connection = HTTPConnection(HOST, self.server.behind, timeout=60)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if (refusal := faults.misreports(self)) is not None:
            return self._refuse(*refusal)
        return self._answer(answer, data, faults.cuts(self))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, answer, data, cut):
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        if cut:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, status, code):
        data = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Faults:
    """What is wrong with a store; nothing, to begin with."""

    def __init__(self):
        self.ignores = lambda request: set()
        """The names of headers that it takes no notice of."""
        self.delay_s = 0.0
        self.refuse = lambda request: None
        """The status and code with which it refuses a request."""
        self.misreports = lambda request: None
        """The status and code with which it answers a request that it has done."""
        self.cuts = lambda request: False
        """Whether it breaks off in the middle of an answer."""


class FaultyS3:
    """A forwarder in a thread; a context manager."""

    def __init__(self, behind):
        self._server = ThreadingHTTPServer((HOST, 0), Forwarder)
        self._server.daemon_threads = True
        self._server.behind = behind
        self._server.seen = self.seen = []
        self.mend()
        self.environment = environment(self._server.server_address[1])

    @property
    def faults(self):
        """What is wrong now."""
        return self._server.faults

    def mend(self):
        """From now on nothing is wrong."""
        self._server.faults = Faults()

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
