"""schemathesis against a running service and its own description: `make check-api`; not part of `make test`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local import LocalService

HERE = Path(__file__).parent
ROOT_KEY = "root-key-of-check-api-" + "0" * 32
MAX_TIME_S = 240
OPTIONS = (
    f"--config-file {HERE}/schemathesis.toml run {{url}}/openapi.json -c all "
    "--phases examples,coverage,fuzzing,stateful "
    f"--max-examples 25 --max-time {MAX_TIME_S} --request-timeout 40 --max-response-time 40 "
    "--suppress-health-check all "
    "--generation-deterministic --continue-on-failure --no-color"
)


def main(st: str) -> int:
    """Its exit code: 0 when there was no failure."""
    environment = {"MERCER_ROOT_KEY": ROOT_KEY}
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalService(Path(folder, "data"), environment=environment, logs=Path(folder, "logs")) as local,
    ):
        command = [st, *OPTIONS.format(url=local.url).split(), "-H", f"Authorization: Bearer {ROOT_KEY}"]
        hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.serializing", "PYTHONPATH": str(HERE.parents[1])}
        return subprocess.run(command, env=hooks, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
