"""Every .cu as CuPy will compile it for a real device, and what the compiler says; needs neither a driver nor a GPU.

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
from gpu.cuda.sliced_large import KEY, Keys
from gpu.cuda.sliced_packing import Capacity, Instance, Mass
from tests.gpu.cuda.programs import LEAVES

REGISTERS = Path(__file__).with_name("registers.json")
ARCHITECTURES = ("80", "90")
SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")
DTYPES = (SINGLE, DOUBLE)


def _gram(*types):
    leaves = [loader.expression("gram_leaf", *types, *leaf) for leaf in LEAVES]
    return "gram.cu", [loader.expression("gram_program", *types), *leaves]


def _sliced(dtype, mass):
    return "sliced_wasserstein.cu", [Instance(dtype, mass, capacity).expression for capacity in Capacity]


def _sliced_large():
    kernels = [("project", SINGLE, Keys.WITH_SLICE), ("rank", KEY), ("accumulate", KEY), ("compare", KEY)]
    kernels += [("project", dtype, Keys.PLAIN) for dtype in DTYPES]
    kernels += [("compare", DOUBLE), *((name, dtype) for name in ("gather", "transport") for dtype in DTYPES)]
    return "sliced_large.cu", [loader.expression(f"sliced_{name}", *arguments) for name, *arguments in kernels]


GROUPS = {
    "float32": _gram(SINGLE, SINGLE),
    "mixed": _gram(SINGLE, DOUBLE),
    "float64": _gram(DOUBLE, DOUBLE),
    **{f"sliced {dtype} {mass.name.lower()}": _sliced(dtype, mass) for dtype in DTYPES for mass in Mass},
    "sliced, large": _sliced_large(),
}
"""A file and its instances, all of those that the loader is asked for."""


class Usage(NamedTuple):
    """What one instance takes of a multiprocessor."""

    registers: int
    spilled_bytes: int


class Report(NamedTuple):
    """What the compiler says of all instances of a group."""

    usage: dict[str, Usage]
    warnings: list[str]

    @property
    def most_registers(self) -> dict[str, int]:
        """Of each kernel."""
        kernels = {expression.partition("<")[0] for expression in self.usage}
        return {
            kernel: max(used.registers for name, used in self.usage.items() if name.startswith(f"{kernel}<"))
            for kernel in sorted(kernels)
        }


def report(architecture: str, group: str) -> Report:
    """Compiles every instance of the group."""
    file, expressions = GROUPS[group]
    # What RawModule adds to the loader's options; a compile without -ftz differs in registers.
    added = ("-ftz=true", f"-arch=sm_{architecture}", "--device-as-default-execution-space", "--ptxas-options=-v")
    program = _NVRTCProgram(loader.source(file), file, name_expressions=expressions, method="cubin")
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
        architecture: {group: report(architecture, group).most_registers for group in GROUPS}
        for architecture in ARCHITECTURES
    }
    REGISTERS.write_text(json.dumps(snapshot, indent=2) + "\n")
