"""CUDA sources and their kernels: the only module that asks CuPy to compile.

An instance of a template is named by an expression such as `gram_leaf<float, float, Base::SQUARED, Function::EXP>`,
made here from enums and dtypes alone, so that no text of a client's reaches the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent

OPTIONS = ("--std=c++17",)
"""No fast mathematics: it would be global. CuPy adds -ftz=true by itself."""

C_TYPES = {
    "float32": "float",
    "float64": "double",
    "int64": "long long",
    "uint64": "unsigned long long",
    "int32": "int",
    "uint8": "unsigned char",
}

_INCLUDE = re.compile(r'^#include "([\w.]+)"$')
_KERNEL = re.compile(
    r"template <(?P<parameters>[^>]*)>\s*__global__ void (?:__launch_bounds__\(.*\)\s*)?"
    r"(?P<name>\w+)\((?P<arguments>[^)]*)\)"
)


@cache
def source(file: str) -> str:
    """The text of a .cu file with each project header inlined once.

    CuPy's disk cache knows a kernel by its source text: a header that it includes by itself could change unnoticed.
    """
    return "\n".join(_inlined(file, set()))


def _inlined(file: str, seen: set[str]) -> list[str]:
    seen.add(file)
    lines = [f'#line 1 "{file}"']
    for number, line in enumerate((FOLDER / file).read_text().splitlines(), 1):
        include = _INCLUDE.match(line)
        if include and include[1] not in seen:
            lines += [*_inlined(include[1], seen), f'#line {number + 1} "{file}"']
        else:
            lines.append("" if include or line == "#pragma once" else line)
    return lines


def expression(template: str, *arguments: np.dtype[Any] | IntEnum) -> str:
    """The name of an instance, as C++ writes it."""
    return f"{template}<{', '.join(_argument(argument) for argument in arguments)}>"


def _argument(argument: np.dtype[Any] | IntEnum) -> str:
    if isinstance(argument, IntEnum):
        return f"{type(argument).__name__}::{argument.name}"
    return C_TYPES[argument.name]


@cache
def signature(file: str, expression: str) -> tuple[str, ...]:
    """The C++ types of an instance's parameters, without const, such as ("unsigned char*", "long long", "float*").

    Raises:
        ValueError: the file has no such template.
    """
    name, _, rest = expression.partition("<")
    found = next((kernel for kernel in _KERNEL.finditer(source(file)) if kernel["name"] == name), None)
    if found is None:
        raise ValueError(f"expected a kernel template of {file}, got {name}")
    parameters = [parameter.split()[-1] for parameter in found["parameters"].split(",")]
    values = dict(zip(parameters, rest.removesuffix(">").split(", "), strict=True))
    return tuple(_type(argument, values) for argument in found["arguments"].split(","))


def _type(declaration: str, values: dict[str, str]) -> str:
    words = declaration.replace("__restrict__", "").replace("*", " * ").split()[:-1]
    return " ".join(values.get(word, word) for word in words if word != "const").replace(" *", "*")


def check(signature: Sequence[str], arguments: Sequence[Any]) -> None:
    """Refuse arguments that the kernel would read as something else: CuPy checks neither count nor type.

    Raises:
        TypeError: naming the first one that does not fit.
    """
    if len(signature) != len(arguments):
        raise TypeError(f"expected {len(signature)} arguments, got {len(arguments)}")
    for position, (wanted, argument) in enumerate(zip(signature, arguments, strict=True)):
        if (got := _type_of(argument)) != wanted:
            raise TypeError(f"argument {position}: expected {wanted}, got {got}")


def _type_of(argument: Any) -> str:
    """The C++ type that the argument arrives as."""
    if not hasattr(argument, "dtype"):
        return f"a Python {type(argument).__name__} of no certain size"
    if isinstance(argument, np.generic):
        return C_TYPES[argument.dtype.name]
    if not argument.flags.c_contiguous:
        return "an array that is not C-contiguous"
    return f"{C_TYPES[argument.dtype.name]}*"


@cache
def kernel(file: str, expression: str) -> Any:
    """The compiled instance, from CuPy's disk cache when this source was compiled before."""
    import cupy

    module = cupy.RawModule(code=source(file), options=OPTIONS, name_expressions=(expression,))
    return module.get_function(expression)
