"""A command for each kind of job, made of the fields of its spec: files, options, and what comes out."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mercer.client import Client
from mercer.errors import InvalidRequest
from mercer.kernels import Family
from mercer.kernels.text import parse
from mercer.plots import heat_map
from mercer.points import Column, DatasetReference, Points, PrivateReference, ReleaseReference
from mercer.selections import selection
from mercer.specs import KINDS, Spec

KEPT_BACK = frozenset({"kind", "release_id"})
NAMES: dict[type[BaseModel], str] = {PrivateReference: "NAME", ReleaseReference: "RELEASE"}
"""How the fields are called that name what the service has."""


def add(command: argparse.ArgumentParser, spec: type[Spec]) -> None:
    """The arguments of one kind: files of points first, an option for everything else."""
    points = [name for name, field in spec.model_fields.items() if _is(field, Points)]
    for name, field in spec.model_fields.items():
        if name not in KEPT_BACK:
            _add_field(command, name, field, several="sizes" in spec.model_fields)
    command.add_argument("--columns", help="of the points, by name or index from 0, such as a,b or 0,3")
    for index, name in enumerate(points):
        flags = ["--rows", f"--{name}-rows"] if index == 0 else [f"--{name}-rows"]
        command.add_argument(
            *flags, dest=f"{name}_rows", metavar="ROWS", help=f"of {name}, such as 0:100, 0:100:2 or 4,7,9"
        )


def _add_field(command: argparse.ArgumentParser, name: str, field: FieldInfo, *, several: bool) -> None:
    flag, about = "--" + name.replace("_", "-"), _about(field)
    if _is(field, Points) and field.is_required():
        command.add_argument(name, type=Path, nargs="+" if several else None, metavar=f"{name}.csv", help=about)
    elif (reference := _reference(field)) is not None:
        command.add_argument(name, metavar=NAMES[reference], help=about)
    elif _is(field, Points):
        command.add_argument(flag, type=Path, metavar="FILE", help=about)
    elif _is(field, Column):
        command.add_argument(flag, metavar="FILE_OR_COLUMN", help=f"{about} A file, or a column of the points.")
    elif field.annotation is bool:
        command.add_argument(flag, action="store_true", default=None, help=about)
    elif choices := _choices(field):
        command.add_argument(flag, type=_value, choices=choices, required=field.is_required(), help=about)
    else:
        read = str if _is_kernel(field) else _value
        # Several files have their sizes themselves.
        required = field.is_required() and name != "sizes"
        command.add_argument(flag, type=read, required=required, metavar=name.upper(), help=about)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _is(field: FieldInfo, marker: type) -> bool:
    return any(isinstance(part, marker) for part in (*field.metadata, *_parts(field.annotation)))


def _reference(field: FieldInfo) -> type[BaseModel] | None:
    """PrivateReference or ReleaseReference, where the field is one."""
    return next((part for part in _parts(field.annotation) if part in NAMES), None)


def _is_kernel(field: FieldInfo) -> bool:
    return any(isinstance(part, type) and issubclass(part, Family) for part in _parts(field.annotation))


def _about(field: FieldInfo) -> str:
    about = (field.description or "").replace("%", "%%")
    known = field.default not in (None, False) and not field.is_required()
    return f"{about} (default: {field.default})" if known else about


def _choices(field: FieldInfo) -> list[Any] | None:
    """The words or numbers that the field takes, where it takes nothing else."""
    literals = [part for part in _parts(field.annotation) if get_origin(part) is Literal]
    return [word for literal in literals for word in get_args(literal)] or None


def _value(text: str) -> Any:
    """A number, a list such as 1,2,3, or the text itself."""
    for document in (text, f"[{text}]"):
        try:
            return json.loads(document)
        except ValueError:
            continue
    return text


def made(client: Client, kind: type[Spec], arguments: Namespace) -> Spec:
    """The spec that the arguments describe, its files uploaded.

    Raises:
        ValidationError: a value does not fit its field.
        InvalidRequest: rows or files cannot be read.
    """
    fields: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if (given := getattr(arguments, name, None)) is None or name in KEPT_BACK:
            continue
        if _is(field, Points):
            fields |= _points(client, name, given, arguments)
        elif (reference := _reference(field)) is not None:
            fields[name] = reference(**{next(iter(reference.model_fields)): given})
        elif not _is(field, Column):
            fields[name] = parse(given) if _is_kernel(field) else given
    return kind(**(fields | dict(_columns(client, kind, arguments, fields))))


def _points(client: Client, name: str, given: Path | list[Path], arguments: Namespace) -> dict[str, Any]:
    rows = getattr(arguments, f"{name}_rows")
    if isinstance(given, list) and len(given) > 1:
        if rows or arguments.columns:
            raise InvalidRequest("expected --rows and --columns with one file only, got several")
        return _stacked(name, given)
    path = given[0] if isinstance(given, list) else given
    return {name: selection(client.datasets.upload(path), arguments.columns, rows)}


def _stacked(name: str, paths: list[Path]) -> dict[str, Any]:
    """Several measures, a file each, one on another."""
    if wrong := [path for path in paths if path.suffix != ".npy"]:
        raise InvalidRequest(f"expected several .npy files, or one file and --sizes, got {wrong[0].name}")
    arrays = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    return {name: np.concatenate(arrays), "sizes": tuple(len(array) for array in arrays)}


def _columns(
    client: Client, kind: type[Spec], arguments: Namespace, fields: dict[str, Any]
) -> Iterator[tuple[str, DatasetReference]]:
    """Weights: a file of their own, or a column of the points that they weigh."""
    for name, field in kind.model_fields.items():
        if not _is(field, Column) or (given := getattr(arguments, name)) is None:
            continue
        points = name.removesuffix("_weights") if name != "weights" else "points"
        if Path(given).is_file():
            yield name, selection(client.datasets.upload(Path(given)), None, getattr(arguments, f"{points}_rows"))
        else:
            whole = fields[points]
            if not isinstance(whole, DatasetReference):
                raise InvalidRequest(f"expected a file of {name}, got {given}")
            yield name, DatasetReference(dataset=whole.dataset, columns=(given,), rows=whole.rows)


def check_drawn(kind: str) -> None:
    """Find out before a job runs whether its result has a picture.

    Raises:
        InvalidRequest: it has none.
    """
    returned = get_type_hints(KINDS[kind].answer)["return"]
    if returned is not Any and not hasattr(returned, "plot"):
        raise InvalidRequest(f"expected no --plot: a result of {kind} is a few numbers")


def draw(answer: Any, path: Path, title: str) -> None:
    """Save the picture of a result: its own, or a heat map of an array."""
    if isinstance(answer, np.ndarray):
        heat_map(answer, path, title=title)
    else:
        answer.plot(path)


def text_of(answer: Any) -> str:
    """A result as it is printed: arrays shortened."""
    return np.array2string(answer, precision=6) if isinstance(answer, np.ndarray) else str(answer)
