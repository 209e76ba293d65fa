"""What pydantic found wrong with a JSON body, as the client may read it.

A pointer is found by walking the client's own document, so the names of union branches that pydantic puts into its
locations (`gram`, `sum`, `rows`) fall away. A detail says what was expected and what was got, never a long input.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pydantic_core
from pydantic import ValidationError

from mercer.errors import FieldError, InvalidRequest, InvalidSpec, MercerError
from mercer.kernels import FUNCTIONS
from mercer.points import DatasetReference
from mercer.specs import KINDS

MAX_ERRORS = 20
"""Shown in one problem document; nobody mends more at once."""

MAX_COUNTED = 10_000
"""Beyond it the single errors are not looked at: each costs about 1 kB."""

MAX_SHOWN = 40
"""Characters of the client's input in a message."""

REGISTRIES: dict[str, dict[str, type[Any]]] = {"kind": dict(KINDS), "family": dict(FUNCTIONS)}
"""By the field that names the variant."""

EXPECTED = {
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "{expected}",
    "greater_than": "a number > {gt}",
    "greater_than_equal": "a number >= {ge}",
    "less_than": "a number < {lt}",
    "less_than_equal": "a number <= {le}",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "string_pattern_mismatch": "text that matches {pattern}",
}
"""By pydantic's name of the error; what is not here keeps pydantic's own sentence."""

POINTS = 'a list of rows or {"dataset": "sha256:..."}'
"""Pydantic names the object alone, because a union decided by the type of what it got."""

MAX_STEP = 100
"""Characters of one step of a pointer."""

MAX_SENTENCE = 300
"""Characters of one detail: a validator may have put a long number into it."""

_MISSING = object()


class _Found(NamedTuple):
    """One error at one place, before those of several union branches are joined."""

    path: tuple[str | int, ...]
    expected: str | None
    sentence: str


def problem_of(error: ValidationError, body: bytes) -> MercerError:
    """InvalidRequest when the body is no JSON, else InvalidSpec with the fields at fault.

    Args:
        error: As validate_json raised it.
        body: What it was given.
    """
    count = error.error_count()
    if count > MAX_COUNTED:
        return InvalidSpec(f"{count} fields are not valid; send a smaller part of it to see which.")
    details = error.errors(include_url=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        return InvalidRequest(f"expected a JSON document, got {details[0]['ctx']['error']}")
    fields = field_errors(details, pydantic_core.from_json(body))
    plural = "field is" if len(fields) == 1 else "fields are"
    return InvalidSpec(f"{len(fields)} {plural} not valid.", errors=fields[:MAX_ERRORS])


def field_errors(details: list[Any], document: Any) -> tuple[FieldError, ...]:
    """One error for each place, in the order of the document.

    A place above another faulty place is left out: it is the complaint of a union branch that the client did not mean.
    """
    joined: dict[tuple[str | int, ...], list[_Found]] = {}
    for detail in details:
        found = _found(detail, document)
        joined.setdefault(found.path, []).append(found)
    above = {path[:depth] for path in joined for depth in range(len(path))}
    return tuple(
        FieldError(pointer(path), _joined(several, _at(document, path)) + _index(path))
        for path, several in joined.items()
        if path not in above
    )


def pointer(path: tuple[str | int, ...]) -> str:
    """The RFC 6901 pointer; of a key longer than any field's name, its beginning."""
    return "".join("/" + str(step)[:MAX_STEP].replace("~", "~0").replace("/", "~1") for step in path)


def _found(detail: Any, document: Any) -> _Found:
    kind, context = detail["type"], detail.get("ctx", {})
    path = _walk(detail["loc"], document)
    if kind == "missing":
        return _Found((*path, detail["loc"][-1]), None, "expected this field, got none")
    if kind == "extra_forbidden":
        return _Found(path, None, _unknown_field(_at(document, path[:-1])))
    if kind.startswith("union_tag"):
        tag = context["discriminator"].strip("'")
        return _Found((*path, tag), f"one of {', '.join(REGISTRIES[tag])}", "")
    if kind == "value_error":
        return _Found(path, None, str(context["error"]))
    if context.get("class_name") == DatasetReference.__name__:
        return _Found(path, POINTS, "")
    if kind in EXPECTED:
        return _Found(path, EXPECTED[kind].format_map(_whole(context)), "")
    return _Found(path, None, detail["msg"])


def _whole(context: dict[str, Any]) -> dict[str, Any]:
    """Bounds as people write them: 0, not 0.0."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in context.items()
    }


def _walk(location: tuple[str | int, ...], document: Any) -> tuple[str | int, ...]:
    """The steps of a location that exist in the document; the others name union branches."""
    path: list[str | int] = []
    node = document
    for step in location:
        in_object = isinstance(node, dict) and step in node
        if in_object or (isinstance(node, list) and isinstance(step, int) and step < len(node)):
            node = node[step]
            path.append(step)
    return tuple(path)


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    node = document
    for step in path:
        if isinstance(node, dict) and step not in node:
            return _MISSING
        node = node[step]
    return node


def _unknown_field(parent: Any) -> str:
    for tag, registry in REGISTRIES.items():
        name = parent.get(tag)
        if isinstance(name, str) and name in registry:
            return f"unknown field; expected one of {', '.join(registry[name].model_fields)}"
    return "unknown field"


def _joined(several: list[_Found], value: Any) -> str:
    expected = list(dict.fromkeys(found.expected for found in several if found.expected))
    if not expected:
        return several[0].sentence[:MAX_SENTENCE]
    return f"expected {' or '.join(expected)}, got {shown(value)}"


def _index(path: tuple[str | int, ...]) -> str:
    """Where it is in an array of two dimensions, as NumPy counts."""
    row_and_column = path[-2:]
    return f" at index {row_and_column}" if all(isinstance(step, int) for step in row_and_column) and path[1:] else ""


def shown(value: Any) -> str:
    """The value when it is short, else what kind of value it is."""
    if value is _MISSING:
        return "none"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    text = json.dumps(value)
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[:MAX_SHOWN]}... ({len(text)} characters)"
