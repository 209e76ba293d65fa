"""What a job would take: checked as a submission is, and then nothing is queued and nothing spent."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from mercer.private import Plan
from service.admission import parse
from service.bodies import JsonBody
from service.documented import body_of, problems
from service.long_bodies import MAX_JSON_BYTES
from service.parts import Parts, PartsDep
from service.principals import PrincipalDep

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post("/plan", responses=problems(400, 409, 413, 415, 422, 423, 503), openapi_extra=body_of("JobSpec"))
async def plan(request: Request, parts: PartsDep, principal: PrincipalDep) -> Plan:
    """What a job would take, and what a private release would cost."""
    async with JsonBody(request, MAX_JSON_BYTES) as body:
        return await run_in_threadpool(_planned, parts, principal.tenant, bytes(body))


def _planned(parts: Parts, tenant: str, body: bytes) -> Plan:
    (spec,) = parse(body).specs
    infos = parts.admission_of(tenant).checked(spec)
    made = Plan(**spec.cost(infos)._asdict(), details=spec.plan(infos))
    if not spec.releases:
        return made
    price, affordable = parts.spending.offer(spec, tenant)
    epsilon = None if price.loss.gaussians else price.loss.epsilon * 1e-6
    mu = (price.loss.mu2 * 2.0**-40) ** 0.5
    return made.model_copy(update={"epsilon": epsilon, "mu": mu, "affordable": affordable})
