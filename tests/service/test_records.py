import json

import pytest
from pydantic_core import to_json

from broker.files import Entry
from broker.records import Record
from mercer.jobs import Job, Priority, State
from service.batch_records import line_json
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


ENDED = WAITING._replace(state=State.SUCCEEDED, attempt=1)
FORM = {"shape": [1, 2], "dtype": "float64", "size_bytes": 144, "facts": {"note": 'an "object": {}'}}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({"value": [[0.1, 1e-300]]}, {"value": [[0.1, 1e-300]]}),
        ({"object": "results/ab/cd", "offset": 128, "length": 144}, {"location": "/v1/jobs/1f/result"}),
    ],
)
def test_a_result_is_shown_without_its_place_in_the_store(stored, shown):
    record = ENDED._replace(result=to_json(FORM | stored))
    assert json.loads(job_json(record))["result"] == FORM | shown
    line = line_json(Entry("1-1", "1f", "mine", State.SUCCEEDED), record)
    assert json.loads(line)["result"] == FORM | shown


def test_what_has_no_result_shows_none():
    assert "result" not in json.loads(job_json(ENDED._replace(state=State.FAILED, error=b"{}")))
    assert "result" not in json.loads(line_json(Entry("1-1", "1f", "mine", State.FAILED), None))
