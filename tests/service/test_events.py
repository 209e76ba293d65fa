import asyncio
import json

import pytest

from tests.service.conftest import SPEC


def events_in(text):
    """(id, name, data) of each event."""
    frames = [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    fields = [dict(line.split(": ", 1) for line in frame.splitlines()) for frame in frames]
    return [(event["id"], event["event"], json.loads(event["data"])) for event in fields]


@pytest.fixture
def follow(client):
    async def read(job, **headers):
        answer = await client.get(f"/v1/jobs/{job}/events", headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        return events_in(answer.text)

    return read


@pytest.fixture
async def job(client):
    return (await client.post("/v1/jobs", json=SPEC)).json()["id"]


async def test_a_job_is_followed_to_its_end(follow, job, worker):
    following = asyncio.create_task(follow(job))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(worker.finish)
    states = [data["state"] for _, name, data in await following if name == "state"]
    assert (states[0], states[-1]) == ("queued", "succeeded")


async def test_progress_is_an_event(follow, job, worker):
    claim = await asyncio.to_thread(worker.claim)
    worker.broker.progress(claim.lease, job, 0.25)
    following = asyncio.create_task(follow(job))
    await asyncio.sleep(0.2)
    worker.broker.progress(claim.lease, job, 0.5)
    await asyncio.sleep(0.2)
    worker.broker.finish(claim.lease, [worker.failed(job)])
    events = await following
    assert [data for _, name, data in events if name == "progress"] == [{"progress": 0.25}, {"progress": 0.5}]
    assert events[-1][2]["state"] == "failed"


async def test_the_end_of_a_stream_is_the_record(client, follow, job, worker):
    await asyncio.to_thread(worker.finish)
    (_, name, data), *rest = await follow(job)
    assert (name, rest) == ("state", [])
    assert data == (await client.get(f"/v1/jobs/{job}")).json()


async def test_a_stream_goes_on_after_the_last_event_seen(follow, job, worker):
    claim = await asyncio.to_thread(worker.claim)
    worker.broker.progress(claim.lease, job, 0.25)
    worker.broker.finish(claim.lease, [worker.failed(job)])
    events = await follow(job)
    for seen, (identity, _, _) in enumerate(events, 1):
        assert await follow(job, **{"last-event-id": identity}) == events[seen:]


async def test_a_last_event_that_nobody_sent_starts_anew(follow, job, worker):
    await asyncio.to_thread(worker.finish)
    assert len(await follow(job, **{"last-event-id": "nonsense"})) == 1
