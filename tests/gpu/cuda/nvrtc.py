"""gram.cu as CuPy will compile it for a real device, and what the compiler says; needs neither a driver nor a GPU.

`python -m tests.gpu.cuda.nvrtc` writes registers.json anew, after a change that is meant to use more.
"""

import io
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cupy._core.core import assemble_cupy_compiler_options
from cupy.cuda.compiler import _NVRTCProgram

from gpu.cuda import loader
from tests.gpu.cuda.programs import LEAVES

REGISTERS = Path(__file__).with_name("registers.json")
ARCHITECTURES = ("80", "90")
SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")
TYPES = {"float32": (SINGLE, SINGLE), "mixed": (SINGLE, DOUBLE), "float64": (DOUBLE, DOUBLE)}


class Usage(NamedTuple):
    """What one instance takes of a multiprocessor."""

    registers: int
    spilled_bytes: int


class Report(NamedTuple):
    """What the compiler says of all instances of some types."""

    usage: dict[str, Usage]
    warnings: list[str]

    @property
    def most_registers(self) -> dict[str, int]:
        """Of each kernel."""
        kernels = {expression.partition("<")[0] for expression in self.usage}
        return {
            kernel: max(used.registers for name, used in self.usage.items() if name.startswith(kernel))
            for kernel in sorted(kernels)
        }


def report(architecture: str, types: str) -> Report:
    """Compiles every instance of these types."""
    leaves = [loader.expression("gram_leaf", *TYPES[types], *leaf) for leaf in LEAVES]
    expressions = [loader.expression("gram_program", *TYPES[types]), *leaves]
    # What RawModule adds to the loader's options; a compile without -ftz differs in registers.
    added = ("-ftz=true", f"-arch=sm_{architecture}", "--device-as-default-execution-space", "--ptxas-options=-v")
    program = _NVRTCProgram(loader.source("gram.cu"), "gram.cu", name_expressions=expressions, method="cubin")
    log = io.StringIO()
    _, mangled = program.compile((*assemble_cupy_compiler_options(loader.OPTIONS), *added), log)
    by_entry = _usage(log.getvalue())
    warnings = [line for line in log.getvalue().splitlines() if "warning" in line]
    return Report({expression: by_entry[mangled[expression]] for expression in expressions}, warnings)


def _usage(log: str) -> dict[str, Usage]:
    usage = {}
    for part in log.split("Compiling entry function '")[1:]:
        registers = re.search(r"Used (\d+) registers", part)
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        usage[part.partition("'")[0]] = Usage(int(registers[1]), spilled)
    return usage


if __name__ == "__main__":
    snapshot = {
        architecture: {types: report(architecture, types).most_registers for types in TYPES}
        for architecture in ARCHITECTURES
    }
    REGISTERS.write_text(json.dumps(snapshot, indent=2) + "\n")
