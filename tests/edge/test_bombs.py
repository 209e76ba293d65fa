"""Every bomb is refused with a problem document, and costs the service little."""

import json

import pytest

from benchmarks.edge.bombing import refused, sent
from benchmarks.edge.bombs import bombs
from benchmarks.edge.faulty_specs import SPEC
from benchmarks.edge.wire import exchange, posted

MAX_CPU_MS = 200
"""Of the service's processor time: on a busy machine the wall's clock says nothing. The batch of 10 million line ends
takes half of it."""

MAX_GROWTH_MIB = 50
MAX_ANSWER_BYTES = 8_000


@pytest.mark.parametrize("bomb", [pytest.param(bomb, id=bomb.name) for bomb in bombs()])
def test_a_bomb_is_refused_and_costs_little(local, bomb):
    answer, cost = sent(local, bomb, pause_s=0.05)
    assert refused(bomb, answer), answer
    assert len(answer.body) < MAX_ANSWER_BYTES
    assert cost.cpu_ms < MAX_CPU_MS
    assert cost.growth_mib < MAX_GROWTH_MIB


def test_an_honest_job_is_taken_after_all_that(local):
    assert exchange(local.port, posted("/v1/jobs", json.dumps(SPEC).encode())).status == 202
