"""What can be computed: kinds of jobs and kernel functions, derived from the registries of the contract."""

from __future__ import annotations

from inspect import getdoc
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from mercer.arrays import MAX_INLINE
from mercer.kernels import FUNCTIONS, Family, KernelFunction
from mercer.kernels.expression import MAX_LEAVES
from mercer.specs import KINDS, Spec
from service.admission import MAX_JOBS
from service.parts import PartsDep
from service.settings import Settings

router = APIRouter(prefix="/v1", tags=["catalogue"])


class Kind(BaseModel):
    """One kind of job."""

    kind: str
    description: str = Field(description="The formula, the shapes and the source.")
    json_schema: dict[str, Any] = Field(description="JSON Schema of its spec.")
    examples: list[dict[str, Any]] = Field(description="Specs that can be submitted as they are.")


class Kinds(BaseModel):
    """Every kind of job, and what one job may take."""

    kinds: list[Kind]
    limits: dict[str, int] = Field(description="Numbers in an inline array, jobs in one submission, and bytes.")


class Kernel(BaseModel):
    """One kernel function."""

    family: str
    name: str = Field(description="Of the class in mercer.kernels.")
    formula: str
    source: str
    composition: bool = Field(description="Whether it is made of other kernel functions.")
    positive_definite: bool | None = Field(
        None, description="Whether every Gram matrix is positive semi-definite; a composition is when its parts are."
    )
    non_negative_inputs: bool = Field(False, description="Whether the points must be >= 0, as histograms are.")
    per_dimension: list[str] = Field([], description="Fields that may hold one number for each active dimension.")
    json_schema: dict[str, Any] = Field(description="JSON Schema of the kernel function.")
    examples: list[dict[str, Any]]


class Kernels(BaseModel):
    """Every kernel function."""

    kernels: list[Kernel]
    limits: dict[str, int] = Field(description="Families in one expression.")


@router.get("/kinds")
async def list_kinds(parts: PartsDep) -> Kinds:
    """List the kinds of jobs with their schemas, examples and limits."""
    return Kinds(kinds=[_kind(name, spec) for name, spec in KINDS.items()], limits=limits(parts.settings))


@router.get("/kernels", response_model_exclude_none=True)
async def list_kernels() -> Kernels:
    """List the kernel functions with their formulas, sources, schemas and examples."""
    kernels = [_kernel(name, function) for name, function in FUNCTIONS.items()]
    return Kernels(kernels=kernels, limits={"families": MAX_LEAVES})


def limits(settings: Settings) -> dict[str, int]:
    """What one job and one submission may take."""
    return {
        "inline_numbers": MAX_INLINE,
        "jobs_per_submission": MAX_JOBS,
        "job_bytes": settings.max_job_bytes,
        "result_bytes": settings.max_result_bytes,
        "upload_bytes": settings.max_upload_bytes,
    }


def _kind(name: str, spec: type[Spec]) -> Kind:
    return Kind(
        kind=name, description=getdoc(spec) or "", json_schema=spec.model_json_schema(), examples=list(spec.examples)
    )


def _kernel(name: str, function: type[KernelFunction]) -> Kernel:
    common: dict[str, Any] = {
        "family": name,
        "name": function.__name__,
        "formula": function.formula,
        "source": function.source,
        "json_schema": function.model_json_schema(),
    }
    if not issubclass(function, Family):
        return Kernel(**common, composition=True, examples=[])
    return Kernel(
        **common,
        composition=False,
        positive_definite=function(**function.examples[0]).positive_definite,
        non_negative_inputs=function.non_negative_inputs,
        per_dimension=list(function.per_dimension),
        examples=[{"family": name, **parameters} for parameters in function.examples],
    )
