import json

import pytest
from pydantic_core import to_json

from broker.records import Record
from mercer.jobs import Job, Priority, State
from service.records import job_document, job_json

WAITING = Record(
    id="1f", kind="gram", state=State.QUEUED, batch_key="gram:float64:small:gaussian", created_ms=1_700_000_000_123
)


@pytest.mark.parametrize(
    "changes",
    [
        {"queue_position": 0},
        {"queue_position": 7, "priority": Priority.HIGH, "created_ms": 1_700_000_000_000},
        {"queue_position": 7, "expires_ms": 1_700_000_060_001},
        {"queue_position": 7, "batch_key": 'a "quoted" \\ key', "kind": "käse"},
        {"queue_position": 7, "attempt": 1, "worker": "w"},
    ],
)
def test_a_waiting_job_is_written_as_every_other_is(changes):
    record = WAITING._replace(**changes)
    assert job_json(record) == to_json(job_document(record))
    assert Job.model_validate_json(job_json(record)).id == json.loads(job_json(record))["id"]
