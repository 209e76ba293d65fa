import pytest

from mercer.errors import ConnectionFailed
from mercer.events import EventStream

JOB = '{"id": "job_1", "kind": "gram", "state": "%s", "batch_key": "b", "created_at": "2026-01-01T00:00:00Z"}'

AWAY = ConnectionFailed("away")


def fed(stream, text):
    return [event for line in text.split("\n") if (event := stream.feed(line)) is not None]


def state(name, number=1):
    return f"id: {number}\nevent: state\ndata: {JOB % name}\n\n"


def test_a_state_event_holds_the_record():
    (event,) = fed(EventStream("job_1"), state("running"))
    assert (event.name, event.job.state) == ("state", "running")


def test_a_progress_event_holds_the_fraction():
    (event,) = fed(EventStream("job_1"), 'id: 1\nevent: progress\ndata: {"progress": 0.25}\n\n')
    assert event == ("progress", None, 0.25)


@pytest.mark.parametrize("text", [": ping\n\n", "\n\n", "id: 7\nevent: other\ndata: 1\n\n", "retry: 5\n\n"])
def test_what_says_nothing_of_the_job_is_passed_over(text):
    assert fed(EventStream("job_1"), text) == []


def test_the_stream_ends_with_the_job():
    stream = EventStream("job_1")
    fed(stream, state("running"))
    assert not stream.ended
    fed(stream, state("failed", 2))
    assert stream.ended


def test_a_lost_stream_is_taken_up_after_the_last_event():
    stream = EventStream("job_1")
    assert "Last-Event-ID" not in stream.request().headers
    fed(stream, state("running", "17-0") + "id: 18-0\nevent: progress\nda")
    assert stream.request().headers["Last-Event-ID"] == "17-0"
    assert fed(stream, "\n") == []


def test_an_early_end_is_a_lost_connection():
    with pytest.raises(ConnectionFailed, match="before the job did"):
        EventStream("job_1").check_end()


def test_a_service_that_stays_away_ends_the_stream():
    stream, rests = EventStream("job_1"), []
    while sum(rests) <= 60.0:
        rests.append(stream.rest_s(AWAY, 0.5))
    assert len(rests) > 20
    with pytest.raises(ConnectionFailed, match="away"):
        stream.rest_s(AWAY, 0.5)
