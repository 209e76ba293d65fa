"""Batches: a file of JSON lines is checked whole, admitted in slices, counted, read while it runs, cancelled."""

import asyncio
import json

import pytest

import service.admitting
import service.batch_lines
from broker.files import Part
from broker.records import Submission
from mercer.specs import Gram
from service.app import create_app
from tests.service.conftest import SPEC, assert_problem
from workers.loading import parsed

STATES = ("queued", "running", "succeeded", "failed", "cancelled", "expired", "dead")


def lines(number, first=0):
    return [{"custom_id": f"job {n}", "spec": SPEC} for n in range(first, first + number)]


def jsonl(documents):
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in documents).encode()


@pytest.fixture
def post(client):
    async def send(documents, **headers):
        body = documents if isinstance(documents, bytes) else jsonl(documents)
        return await client.post("/v1/batches", content=body, headers={"content-type": "application/jsonl", **headers})

    return send


@pytest.fixture
def submit(post):
    async def send(number=5, **headers):
        answer = await post(lines(number), **headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    return send


@pytest.fixture
def look(client):
    """The batch as it is now, its law kept."""

    async def get(batch, **params):
        answer = await client.get(f"/v1/batches/{batch}", params=params)
        assert answer.status_code == 200, answer.text
        record = answer.json()
        assert sum(record["counts"][state] for state in STATES) == record["counts"]["total"]
        return record

    return get


@pytest.fixture
def read(client):
    async def get(batch, name="output", **params):
        answer = await client.get(f"/v1/batches/{batch}/{name}", params=params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.text.splitlines()]

    return get


@pytest.fixture
def admitted(broker):
    """Waits until so many jobs wait in the queue."""

    async def wait(number):
        async with asyncio.timeout(10):
            while (await broker.depth())[0] != number:
                await asyncio.sleep(0.01)

    return wait


async def test_a_batch_is_admitted_run_and_read(submit, look, read, admitted, worker, client):
    batch = await submit(5)
    assert (await look(batch))["status"] == "in_progress"
    await admitted(5)
    worker.finish()
    record = await look(batch)
    assert record["status"] == "completed"
    assert record["counts"]["succeeded"] == 5
    assert record["finished_at"] >= record["created_at"]
    found = await read(batch)
    assert sorted(line["custom_id"] for line in found) == [f"job {n}" for n in range(5)]
    assert {line["state"] for line in found} == {"succeeded"}
    assert found[0]["result"]["value"] == [[1, 0], [0, 1]]
    assert await read(batch, "errors") == []
    job = (await client.get(f"/v1/jobs/{found[0]['job_id']}")).json()
    assert job["state"] == "succeeded"


@pytest.mark.parametrize(("headers", "priority"), [({}, "low"), ({"job-priority": "high"}, "high")])
async def test_the_jobs_of_a_batch_have_its_priority_which_is_low_unless_it_says(
    submit, look, admitted, client, headers, priority
):
    batch = await submit(2, **headers)
    await admitted(2)
    assert (await look(batch))["priority"] == priority
    jobs = (await client.get("/v1/jobs")).json()["jobs"]
    assert [job["priority"] for job in jobs] == [priority] * 2


async def test_a_large_result_is_a_location(submit, read, admitted, worker, client):
    batch = await submit(1)
    await admitted(1)
    worker.finish(inline=False)
    (line,) = await read(batch)
    assert "value" not in line["result"]
    assert (await client.get(line["result"]["location"])).status_code == 200


async def test_output_goes_on_after_a_cursor_and_gives_each_id_once(submit, read, admitted, worker):
    batch = await submit(6)
    await admitted(6)
    worker.finish()
    whole = await read(batch)
    first = await read(batch, limit=4)
    rest = await read(batch, after=first[-1]["cursor"])
    assert first + rest == whole
    assert len({line["custom_id"] for line in whole}) == 6


async def test_a_reader_that_waits_gets_the_first_line_when_it_comes(submit, read, admitted, worker):
    batch = await submit(1)
    await admitted(1)
    reading = asyncio.create_task(read(batch, wait=20))
    await asyncio.sleep(0.05)
    assert not reading.done()
    await asyncio.to_thread(worker.finish)
    async with asyncio.timeout(5):
        assert len(await reading) == 1
        assert await read(batch, "errors", wait=20) == []  # it has ended: nothing will come


async def test_failed_jobs_are_apart_and_the_status_says_so(submit, look, read, admitted, worker):
    batch = await submit(3)
    await admitted(3)
    worker.finish(state="failed", error={"detail": "no"})
    assert (await look(batch))["status"] == "completed_with_errors"
    assert await read(batch) == []
    assert [line["error"]["detail"] for line in await read(batch, "errors")] == ["no"] * 3


async def test_a_job_that_is_tried_again_moves_from_the_errors_to_the_output(
    submit, look, read, admitted, worker, client
):
    batch = await submit(2)
    await admitted(2)
    worker.finish(state="failed", error={"detail": "no"})
    job = (await read(batch, "errors"))[0]["job_id"]
    assert (await client.post(f"/v1/jobs/{job}/retry")).status_code == 202
    record = await look(batch)
    assert (record["status"], record["counts"]["queued"], record["counts"]["failed"]) == ("in_progress", 1, 1)
    worker.finish()
    assert [line["job_id"] for line in await read(batch)] == [job]
    assert len(await read(batch, "errors")) == 1
    assert (await look(batch))["counts"]["succeeded"] == 1


async def test_running_jobs_are_counted_as_running(submit, look, admitted, worker):
    batch = await submit(4)
    await admitted(4)
    claim = worker.claim()
    assert (await look(batch))["counts"]["running"] == 4
    worker.broker.release(claim.lease, [job.id for job in claim.jobs])
    record = await look(batch)
    assert (record["counts"]["running"], record["counts"]["queued"]) == (0, 4)


async def test_waiting_for_a_batch_ends_when_it_has(submit, look, admitted, worker):
    batch = await submit(2)
    await admitted(2)
    waiting = asyncio.create_task(look(batch, wait=20))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(worker.finish)
    async with asyncio.timeout(5):
        assert (await waiting)["status"] == "completed"


async def test_cancel_keeps_what_is_finished(submit, look, read, admitted, worker, client):
    batch = await submit(4)
    await admitted(4)
    claim = worker.broker.claim("tester", "cpu", max_jobs=1, block_ms=1000)
    worker.broker.finish(claim.lease, [worker.succeeded(claim.jobs[0].id)])
    answer = await client.post(f"/v1/batches/{batch}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "cancelling"
    record = await look(batch, wait=10)
    assert record["status"] == "cancelled"
    assert (record["counts"]["succeeded"], record["counts"]["cancelled"]) == (1, 3)
    assert len(await read(batch)) == 1
    assert {line["state"] for line in await read(batch, "errors")} == {"cancelled"}


async def test_cancelling_a_batch_that_has_ended_changes_nothing(submit, look, admitted, worker, client):
    batch = await submit(1)
    await admitted(1)
    worker.finish()
    await client.post(f"/v1/batches/{batch}/cancel")
    assert (await look(batch))["status"] == "completed"


async def test_lines_that_meet_the_bound_later_wait_and_are_cancelled_without_ever_being_queued(
    submit, look, read, admitted, client, broker, app, monkeypatch
):
    monkeypatch.setattr(service.admitting, "LINES_AT_ONCE", 10)
    monkeypatch.setattr(service.admitting, "FULL_PAUSE_MS", 10)
    admitter = app.state.parts.admitter
    with monkeypatch.context() as asleep:
        asleep.setattr(admitter, "wake", lambda: None)
        batch, other = await submit(15), await submit(15)  # 20 may wait
    admitter.wake()
    await admitted(20)
    await asyncio.sleep(0.1)
    assert (await broker.depth())[0] == 20
    assert (await look(batch))["counts"]["queued"] + (await look(other))["counts"]["queued"] == 30
    for one in (batch, other):
        await client.post(f"/v1/batches/{one}/cancel")
    for one in (batch, other):
        assert (await look(one, wait=10))["counts"]["cancelled"] == 15
        assert len({line["custom_id"] for line in await read(one, "errors")}) == 15


async def test_lines_that_meet_the_bound_until_the_deadline_expire_without_ever_being_queued(
    submit, look, read, broker, app, monkeypatch
):
    monkeypatch.setattr(service.admitting, "LINES_AT_ONCE", 10)
    monkeypatch.setattr(service.admitting, "FULL_PAUSE_MS", 10)
    with monkeypatch.context() as asleep:
        asleep.setattr(app.state.parts.admitter, "wake", lambda: None)
        batch = await submit(15, **{"cancel-after": "1s"})
        assert "expires_at" in await look(batch)
    await asyncio.sleep(1.0)
    app.state.parts.admitter.wake()
    assert (await look(batch, wait=10))["counts"]["expired"] == 15
    assert {line["error"]["title"] for line in await read(batch, "errors")} == {"The job expired"}
    assert await broker.depth() == (0, 0)


@pytest.mark.parametrize("slice_", [1, 3, 500])
async def test_a_service_that_ends_in_the_middle_of_the_admission_loses_nothing_and_admits_nothing_twice(
    slice_, submit, app, look, settings, broker, objects, admitted, worker, read, monkeypatch
):
    monkeypatch.setattr(service.admitting, "LINES_AT_ONCE", slice_)
    monkeypatch.setattr(service.admitting, "LEASE_MS", 50)
    batch = await submit(12)
    await asyncio.sleep(0.005)
    await app.state.parts.admitter.close()
    again = create_app(settings, broker, objects).state.parts.admitter
    again.wake()
    await admitted(12)
    await again.close()
    worker.finish()
    found = await read(batch)
    assert sorted(line["custom_id"] for line in found) == sorted(f"job {n}" for n in range(12))
    assert (await look(batch))["status"] == "completed"


async def test_a_slice_that_is_admitted_again_changes_nothing(submit, admitted, broker, objects):
    batch = await submit(3)
    await admitted(3)
    again = Submission(id="x", kind="gram", batch_key="b", spec=b"{}", fingerprint="f", flops=1, bytes=1)
    assert await broker.admit([again], Part(batch, 0, 0)) == []
    assert (await broker.depth())[0] == 3


async def test_the_file_is_kept_only_until_every_line_is_a_job(submit, admitted, objects):
    await submit(3)
    assert len(list(objects.keys("batches/"))) == 1
    await admitted(3)
    async with asyncio.timeout(5):
        while list(objects.keys("batches/")):
            await asyncio.sleep(0.01)


async def test_the_same_key_and_file_are_the_same_batch_and_another_file_is_refused(post, submit, broker, admitted):
    key = {"idempotency-key": "k"}
    batch = await submit(3, **key)
    again = await post(lines(3), **key)
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (batch, "true")
    await admitted(3)
    assert_problem(await post(lines(4), **key), 422, "idempotency-conflict")
    assert (await broker.depth())[0] == 3


async def test_a_batch_that_the_queue_has_no_room_for_is_refused_as_a_whole(post, submit, broker, admitted, objects):
    await submit(15)
    await admitted(15)
    answer = await post(lines(6, first=100))
    assert_problem(answer, 429, "queue-full")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await broker.depth())[0] == 15
    assert list(objects.keys("batches/")) == []


async def test_a_batch_that_never_fits_the_queue_is_too_large(post):
    assert_problem(await post(lines(21)), 413, "too-large")


@pytest.mark.parametrize(
    ("bad", "pointer", "detail"),
    [
        ("{", "/lines/2", "expected a JSON document"),
        ("[]", "/lines/2", "an object"),
        ({"custom_id": "x"}, "/lines/2/spec", "expected this field"),
        ({"custom_id": 3, "spec": SPEC}, "/lines/2/custom_id", "text"),
        ({"custom_id": "", "spec": SPEC}, "/lines/2/custom_id", "1 character"),
        ({"custom_id": "a\nb", "spec": SPEC}, "/lines/2/custom_id", "text that matches"),
        ({"custom_id": "x", "spec": SPEC, "url": 1}, "/lines/2/url", "unknown field"),
        ({"custom_id": "x", "spec": {**SPEC, "kernel": {"family": "no"}}}, "/lines/2/spec/kernel/family", "one of"),
        (
            {"custom_id": "x", "spec": {**SPEC, "x": {"dataset": "sha256:" + "0" * 64}}},
            "/lines/2/spec/x",
            "No data set",
        ),
        ({"custom_id": "job 0", "spec": SPEC}, "/lines/2/custom_id", "got that of line 1"),
    ],
)
async def test_a_bad_line_is_named_by_its_number_and_nothing_is_queued(bad, pointer, detail, post, broker, client):
    answer = await post([*lines(1), bad, *lines(1, first=7)])
    problem = assert_problem(answer, 422, "invalid-spec", pointer, detail)
    assert problem["detail"].startswith("1 of the 3 lines")
    assert (await broker.depth())[0] == 0
    assert (await client.get("/v1/batches")).json()["batches"] == []


async def test_the_errors_are_capped_and_counted(post):
    problem = assert_problem(await post(["{"] * 150), 422, "invalid-spec")
    assert len(problem["errors"]) == 100
    assert problem["detail"].startswith("150 of the 150 lines")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('{"custom_id":"a b","spec":%s}', "a b"),
        (' { "custom_id" : "käse" ,\t"spec" : %s } \r', "käse"),
        ('{"spec":%s,"custom_id":"turned round"}', "turned round"),
        ('{"custom_id":"esc\\u0061ped \\"}","spec":%s}', 'escaped "}'),
        ('{"custom_id":"twice","spec":{},"spec":%s}', "twice"),
    ],
)
async def test_a_line_means_the_same_however_it_is_written(line, name, post, admitted, read, worker):
    assert (answer := await post((line % json.dumps(SPEC)).encode())).status_code == 202, answer.text
    await admitted(1)
    claim = worker.claim()
    assert parsed(claim.jobs[0].spec).kernel == Gram.model_validate(SPEC).kernel
    worker.finish_claimed(claim)
    assert [job["custom_id"] for job in await read(answer.json()["id"])] == [name]


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        ('{"custom_id":"a","spec":%s,"more":{}}', "/lines/1/more"),
        ('{"custom_id":"a","spec":%s}, {}', None),
        ('{"custom_id":"a","spec":{"kind":"gram"}}', "/lines/1/spec/x"),
        ('{"custom_id":"a\\u0001","spec":%s}', "/lines/1/custom_id"),
        (b'{"custom_id":"a\xff","spec":{}}', None),
    ],
)
async def test_a_line_that_nearly_is_one_is_refused(line, pointer, post):
    body = line if isinstance(line, bytes) else line.replace("%s", json.dumps(SPEC)).encode()
    assert_problem(await post(body), 422, "invalid-spec", pointer or "/lines/1")


async def test_empty_lines_are_skipped_and_counted_as_lines(post):
    answer = await post([*lines(1), "", "{", ""])
    assert_problem(answer, 422, "invalid-spec", "/lines/3")


async def test_a_file_without_lines_is_refused(post):
    assert_problem(await post(b"\n\n"), 422, "invalid-spec")


async def test_a_line_that_is_too_long_is_refused_without_being_read_whole(post):
    answer = await post([*lines(1), '{"custom_id": "' + "x" * 3_000_000, *lines(1, first=3)])
    problem = assert_problem(answer, 422, "invalid-spec", "/lines/2", "at most")
    assert problem["detail"].startswith("1 of the 3 lines")


async def test_more_lines_than_allowed_are_refused(post, monkeypatch):
    monkeypatch.setattr(service.batch_lines, "MAX_LINES", 5)
    assert_problem(await post(lines(6)), 422, "invalid-spec", detail="at most 5 lines")


async def test_another_media_type_is_refused(post):
    assert_problem(await post(lines(1), **{"content-type": "application/json"}), 415, "unsupported-format")


@pytest.mark.parametrize("path", ["", "/output", "/errors"])
async def test_an_unknown_batch_is_not_found(path, client):
    assert_problem(await client.get(f"/v1/batches/nope{path}"), 404, "unknown-batch")
    assert_problem(await client.post("/v1/batches/nope/cancel"), 404, "unknown-batch")


async def test_batches_are_listed_newest_first_page_by_page(submit, client):
    made = [await submit(1, **{"idempotency-key": str(n)}) for n in range(3)]
    page = (await client.get("/v1/batches", params={"limit": 2})).json()
    rest = (await client.get("/v1/batches", params={"limit": 2, "cursor": page["next"]})).json()
    assert [one["id"] for one in page["batches"] + rest["batches"]] == made[::-1]
    assert "next" not in rest
