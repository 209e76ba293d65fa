"""Kernel functions as text, such as `0.7 * matern(nu=2.5) + white(variance=0.01)`: read without executing anything.

`str(kernel)` writes what `parse` reads. The text is Python's grammar for expressions, cut down to calls of kernel
functions by their names, numbers, lists of numbers, `+`, `*`, `**` and parentheses.
"""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import Any, NoReturn, cast

from pydantic import ValidationError

from mercer.errors import FieldError, InvalidSpec
from mercer.kernels import FAMILIES, Kernel, KernelFunction

MAX_CHARACTERS = 4_000
"""A sum of 32 families with a hundred lengthscales each is shorter; the parser's stack is bounded with it."""

MAX_NUMBER = 1e300
"""Python's whole numbers have no end; arithmetic in float64 has."""


def parse(text: str) -> Kernel:
    """The kernel function that a text describes.

    Raises:
        InvalidSpec: with the position of the fault, counted from 1, and what is allowed there.
    """
    if len(text) > MAX_CHARACTERS:
        raise _fault(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    line = " ".join(text.splitlines())
    try:
        return cast("Kernel", _kernel(ast.parse(line.strip(), mode="eval").body))
    except SyntaxError as error:
        raise _fault(f"character {error.offset or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise _fault("expected an expression such as 0.7 * matern(nu=2.5) + white(0.01)") from None


def _fault(detail: str) -> InvalidSpec:
    return InvalidSpec("The kernel function cannot be read.", errors=(FieldError("/kernel", detail),))


def _refuse(node: ast.AST, expected: str) -> NoReturn:
    raise _fault(f"character {getattr(node, 'col_offset', 0) + 1}: expected {expected}")


def _kernel(node: ast.expr) -> KernelFunction:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return _family(name, node)
        case ast.BinOp(op=ast.Pow(), left=base, right=ast.Constant(value=int() as exponent)):
            return _made(node, lambda: _kernel(base) ** exponent)
        case ast.BinOp(op=ast.Add() | ast.Mult()):
            return _composed(node)
        case ast.Name(id=name) if name in FAMILIES:
            _refuse(node, f"{name}() with parentheses")
    _refuse(node, "a kernel function such as gaussian(lengthscale=2), composed with +, * and ** of a whole number")


def _composed(node: ast.BinOp) -> KernelFunction:
    """A sum or a product, of which one side may be a number."""
    left, right = (_number_or_kernel(side) for side in (node.left, node.right))
    if not isinstance(left, KernelFunction) and not isinstance(right, KernelFunction):
        _refuse(node, "a kernel function on one side at least")
    if isinstance(node.op, ast.Add):
        return _made(node, lambda: left + right)
    return _made(node, lambda: left * right)


def _number_or_kernel(node: ast.expr) -> Any:
    return _number(node) if isinstance(node, ast.Constant | ast.UnaryOp) else _kernel(node)


def _family(name: str, node: ast.Call) -> KernelFunction:
    if (family := FAMILIES.get(name)) is None:
        near = get_close_matches(name.lower(), FAMILIES, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        _refuse(node, f"one of {', '.join(FAMILIES)}, got {name}{meant}")
    names = [field for field in family.model_fields if field not in ("family", "active_dimensions")]
    names.append("active_dimensions")
    arguments = _only_parameter(node, names)
    for keyword in node.keywords:
        if keyword.arg not in names or keyword.arg in arguments:
            _refuse(keyword, f"{name} to take each of {', '.join(names)} at most once; got {keyword.arg}")
        arguments[keyword.arg] = _value(keyword.value)
    return _made(node, lambda: family(**arguments))


def _only_parameter(node: ast.Call, names: list[str]) -> dict[str, Any]:
    """What stands without a name, as in white(0.01): allowed where there is only one parameter to mean."""
    own = names[:-1]  # without active_dimensions
    if len(node.args) > 1 or (node.args and len(own) != 1):
        _refuse(node.args[0], f"parameters by name, such as {', '.join(f'{name}=...' for name in names)}")
    return {own[0]: _value(node.args[0])} if node.args else {}


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.List | ast.Tuple):
        return [_number(element) for element in node.elts]
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    return _number(node)


def _number(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=float() | int() as number) if not isinstance(number, bool) and number <= MAX_NUMBER:
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
    _refuse(node, "a number, or a list of numbers in brackets")


def _made(node: ast.expr, make: Any) -> KernelFunction:
    """What `make` gives; its complaint gets the position."""
    try:
        return make()
    except ValidationError as error:
        faults = "; ".join(_sentence(fault) for fault in error.errors(include_url=False, include_input=False))
        raise _fault(f"character {node.col_offset + 1}: {faults}") from None


def _sentence(fault: Any) -> str:
    sentence = fault["msg"].removeprefix("Value error, ")
    return f"{fault['loc'][0]}: {sentence}" if fault["loc"] else sentence
