import json

import pytest
from pydantic_core import to_json

from broker.files import Entry
from broker.records import Record
from mercer.jobs import Job, Priority, State
from service.batch_records import line_json
from service.records import job_json

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
        {"queue_position": 7, "attempt": 1},
        {"state": State.RUNNING, "attempt": 2, "worker": 'w"1', "device": "cpu", "started_ms": 1, "progress": 1e-7},
        {"state": State.FAILED, "attempt": 1, "batch_size": 3, "finished_ms": 2, "error": b'{"title":"k\xc3\xa4se"}'},
        {"state": State.SUCCEEDED, "timings": {"queued_ms": 1.0, "transfer_ms": 0.25, "compute_ms": 0.0}},
    ],
)
def test_a_job_is_written_field_by_field(changes):
    record = WAITING._replace(**changes)
    assert Job.model_validate_json(job_json(record)) == job_of(record)
    assert None not in json.loads(job_json(record)).values()


def job_of(record):
    """The same through the model."""
    same = record._asdict().keys() & Job.model_fields.keys()
    return Job.model_validate(
        {name: getattr(record, name) for name in same}
        | {name.replace("_ms", "_at"): record._asdict()[name] / 1000 for name in TIMES if record._asdict()[name]}
        | {"error": json.loads(record.error) if record.error else None}
    )


TIMES = ("created_ms", "started_ms", "finished_ms", "expires_ms")
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
