"""A PostgreSQL server of the tests' own, where its programs are installed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

START_S = 60
UNPRIVILEGED = "postgres"
"""PostgreSQL refuses to run as root."""


def programs():
    """initdb and postgres; None when one is missing."""
    places = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
    found = [shutil.which(name, path=places) for name in ("initdb", "postgres")]
    return found if all(found) else None


class PostgreSQL:
    """A running server; a context manager."""

    def __enter__(self):
        self._user = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []} if os.getuid() == 0 else {}
        self._folder = tempfile.TemporaryDirectory(prefix="mercer-pg-", dir="/tmp")
        if self._user:
            shutil.chown(self._folder.name, UNPRIVILEGED, UNPRIVILEGED)
        initdb, postgres = programs()
        data = f"{self._folder.name}/data"
        options = ["-U", UNPRIVILEGED, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._run([initdb, "-D", data, *options]).wait()
        self._server = self._run([postgres, "-D", data, "-k", self._folder.name, "-c", "listen_addresses="])
        until = time.monotonic() + START_S
        while not self._answers():
            assert self._server.poll() is None, "PostgreSQL ended"
            assert time.monotonic() < until, "PostgreSQL did not start"
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self._server.send_signal(signal.SIGQUIT)  # at once: nobody needs what is in it
        self._server.wait()
        self._folder.cleanup()

    def schema(self, name):
        """A new schema, in which its address finds and makes everything; a database has 300 files, a schema none."""
        import psycopg

        with psycopg.connect(self._conninfo) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
        return f"postgresql+psycopg://{UNPRIVILEGED}@/postgres?host={self._folder.name}&options=-csearch_path%3D{name}"

    def _answers(self):
        import psycopg

        try:
            psycopg.connect(self._conninfo).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _conninfo(self):
        return f"host={self._folder.name} user={UNPRIVILEGED} dbname=postgres"

    def _run(self, command):
        return subprocess.Popen(command, cwd="/tmp", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._user)
