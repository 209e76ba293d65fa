"""`python -m workers` with an operation that kills its own process: by signal s at a lengthscale of 1000 + s.

Until there is a file `mended` in its data folder.
"""

import os
import sys
from pathlib import Path

from gpu.ops import gram
from workers.__main__ import main

_run = gram.run


def run(tasks, device):
    for task in tasks:
        lengthscale = getattr(task.spec.kernel, "lengthscale", 0.0)
        if isinstance(lengthscale, float) and lengthscale > 1000 and not mended.exists():
            os.kill(os.getpid(), int(lengthscale) - 1000)
    return _run(tasks, device)


if __name__ == "__main__":
    mended = Path(os.environ["MERCER_DATA_DIR"]) / "mended"
    gram.run = run
    sys.exit(main())
