import asyncio
import json
from datetime import datetime
from functools import partial

import pytest

import mercer
from mercer.specs import Gram
from service.admission import KEPT_BYTES
from tests.kinds import EXAMPLES
from tests.service.conftest import SPEC, assert_problem
from workers.loading import parsed


@pytest.mark.parametrize("spec", EXAMPLES)
async def test_every_example_of_every_kind_is_queued(client, spec):
    answer = await client.post("/v1/jobs", json=spec)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["state"], job["kind"]) == ("queued", spec["kind"])
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_answer_to_a_submission_is_the_record(client):
    submitted = (await client.post("/v1/jobs", json=SPEC)).json()
    assert (await client.get(f"/v1/jobs/{submitted['id']}")).json() == submitted


async def test_a_submitted_job_reaches_a_worker_and_its_result_the_client(client, worker):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    await asyncio.to_thread(worker.finish)
    shown = (await client.get(f"/v1/jobs/{job['id']}")).json()
    assert shown["state"] == "succeeded"
    assert shown["result"]["value"] == [[1.0, 0.0], [0.0, 1.0]]
    assert shown["result"]["facts"] == {"plan": "test"}
    assert set(shown["timings"]) == {"queued_ms", "transfer_ms", "compute_ms"}


async def test_what_a_worker_claims_is_the_spec_that_was_sent(client, worker):
    await client.post("/v1/jobs", json=SPEC)
    claim = await asyncio.to_thread(worker.claim)
    claimed = json.loads(claim.jobs[0].spec)
    assert mercer.Gram(**claimed).x.tolist() == SPEC["x"]
    assert claimed["kernel"]["lengthscale"] == SPEC["kernel"]["lengthscale"]


async def test_prefer_wait_answers_as_soon_as_the_job_is_done(client, worker):
    submission = asyncio.create_task(client.post("/v1/jobs", json=SPEC, headers={"prefer": "wait=20"}))
    await asyncio.to_thread(worker.finish)
    answer = await submission
    assert answer.status_code == 200
    assert answer.json()["state"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in answer.headers


async def test_prefer_wait_answers_202_when_the_time_is_over(client):
    answer = await client.post("/v1/jobs", json=SPEC, headers={"prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.json()["state"] == "queued"


async def test_respond_async_is_acknowledged(client):
    answer = await client.post("/v1/jobs", json=SPEC, headers={"prefer": "respond-async"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")


async def test_a_job_can_be_waited_for(client, worker):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    shown = asyncio.create_task(client.get(f"/v1/jobs/{job['id']}?wait=20"))
    await asyncio.to_thread(worker.finish)
    assert (await shown).json()["state"] == "succeeded"


async def test_the_same_key_and_spec_give_the_same_job(client):
    headers = {"idempotency-key": "one"}
    first, second = [await client.post("/v1/jobs", json=SPEC, headers=headers) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


async def test_fifty_parallel_submissions_with_one_key_are_one_job(client):
    headers = {"idempotency-key": "one"}
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=SPEC, headers=headers) for _ in range(50)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1


async def test_a_key_stands_for_one_spec_however_it_is_written(client):
    headers = {"idempotency-key": "one", "content-type": "application/json"}
    bodies = (json.dumps(SPEC), json.dumps(dict(reversed(SPEC.items())), indent=2))
    first, second = [await client.post("/v1/jobs", content=body, headers=headers) for body in bodies]
    assert first.json()["id"] == second.json()["id"]


@pytest.mark.parametrize("indent", [None, 100])
async def test_a_worker_reads_a_spec_however_it_was_written(client, worker, indent):
    await client.post("/v1/jobs", content=json.dumps(SPEC, indent=indent), headers={"content-type": "application/json"})
    (job,) = worker.claim().jobs
    assert len(job.spec) <= KEPT_BYTES
    assert parsed(job.spec).kernel == Gram.model_validate(SPEC).kernel


async def test_a_bad_submission_harms_none_of_the_same_moment(client):
    bodies = [SPEC, SPEC | {"dtype": "int8"}, SPEC | {"x": {"dataset": f"sha256:{'0' * 64}"}}, SPEC, {"jobs": [SPEC]}]
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [202, 422, 422, 202, 202]
    assert_problem(answers[1], 422, "invalid-spec", pointer="/dtype")


async def test_the_same_key_with_another_spec_is_refused(client):
    headers = {"idempotency-key": "one"}
    await client.post("/v1/jobs", json=SPEC, headers=headers)
    answer = await client.post("/v1/jobs", json=SPEC | {"dtype": "float32"}, headers=headers)
    assert_problem(answer, 422, "idempotency-conflict")


async def test_a_conflict_harms_no_other_submission_of_the_same_moment(client):
    headers = {"idempotency-key": "one"}
    await client.post("/v1/jobs", json=SPEC, headers=headers)
    other = SPEC | {"dtype": "float32"}
    bad, *good = await asyncio.gather(
        client.post("/v1/jobs", json=other, headers=headers), *(client.post("/v1/jobs", json=other) for _ in range(4))
    )
    assert bad.status_code == 422
    assert [answer.status_code for answer in good] == [202] * 4


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
async def test_a_key_that_is_no_token_is_refused(client, key):
    answer = await client.post("/v1/jobs", json=SPEC, headers={"idempotency-key": key})
    assert_problem(answer, 400, "invalid-request", detail="Idempotency-Key")


async def test_a_deadline_is_shown_and_holds_for_each_of_several(client, broker):
    headers = {"cancel-after": "10m"}
    answers = [await client.post("/v1/jobs", json=body, headers=headers) for body in (SPEC, {"jobs": [SPEC, SPEC]})]
    jobs = [answers[0].json(), *answers[1].json()["jobs"]]
    for job in jobs:
        made, expires = (datetime.fromisoformat(job[name]) for name in ("created_at", "expires_at"))
        assert (expires - made).total_seconds() == 600
        assert (await client.get(f"/v1/jobs/{job['id']}")).json() == job


async def test_a_priority_holds_for_each_of_several_and_is_shown(client, worker):
    low = (await client.post("/v1/jobs", json=SPEC, headers={"job-priority": "low"})).json()
    usual = (await client.post("/v1/jobs", json=SPEC)).json()
    high = (await client.post("/v1/jobs", json={"jobs": [SPEC, SPEC]}, headers={"job-priority": "high"})).json()["jobs"]
    assert [job["priority"] for job in (low, usual, *high)] == ["low", "normal", "high", "high"]
    for several in (high, [usual], [low]):
        claim = await asyncio.to_thread(worker.claim)
        assert {job.id for job in claim.jobs} == {job["id"] for job in several}


@pytest.mark.parametrize("value", ["urgent", "u=1, i", ""])
async def test_a_priority_that_is_none_is_refused(client, value):
    answer = await client.post("/v1/jobs", json=SPEC, headers={"job-priority": value})
    assert_problem(answer, 400, "invalid-request", detail="high, normal, low")


async def test_a_deadline_that_cannot_be_read_is_refused(client):
    assert_problem(await client.post("/v1/jobs", json=SPEC, headers={"cancel-after": "1"}), 400, "invalid-request")


async def test_several_jobs_are_admitted_together_in_order(client):
    specs = [SPEC | {"dtype": dtype} for dtype in ("float32", "float64", "float32")]
    answer = await client.post("/v1/jobs", json={"jobs": specs})
    assert answer.status_code == 202
    assert [job["batch_key"].split(":")[1] for job in answer.json()["jobs"]] == ["float32", "float64", "float32"]


async def test_the_key_of_several_jobs_stands_for_each(client):
    headers = {"idempotency-key": "many"}
    body = {"jobs": [SPEC, SPEC]}
    first, second = [await client.post("/v1/jobs", json=body, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert len({job["id"] for job in first.json()["jobs"]}) == 2
    assert second.headers["idempotent-replayed"] == "true"


async def test_one_bad_spec_refuses_all_and_is_named(client):
    body = {"jobs": [SPEC, SPEC, SPEC | {"kernel": {"family": "rbf"}}]}
    assert_problem(
        await client.post("/v1/jobs", json=body), 422, "invalid-spec", "/jobs/2/kernel/family", "one of gaussian"
    )
    assert (await client.get("/v1/jobs")).json()["jobs"] == []


async def test_a_spec_that_does_not_fit_its_points_is_named_among_several(client):
    misfit = SPEC | {"y": [[1.0, 2.0, 3.0]]}
    answer = await client.post("/v1/jobs", json={"jobs": [SPEC, misfit]})
    assert_problem(answer, 422, "invalid-spec", "/jobs/1/y", "expected shape (m, 2)")


async def test_more_jobs_than_a_submission_may_have_are_refused(client):
    answer = await client.post("/v1/jobs", json={"jobs": [SPEC] * 1001})
    assert_problem(answer, 422, "invalid-spec", "/jobs", "at most 1000 items")


async def test_a_full_queue_refuses_with_the_time_to_come_back(client):
    assert (await client.post("/v1/jobs", json={"jobs": [SPEC] * 20})).status_code == 202
    answer = await client.post("/v1/jobs", json=SPEC)
    assert_problem(answer, 429, "queue-full", detail="20 jobs wait already")
    assert int(answer.headers["retry-after"]) >= 1


async def test_as_many_of_a_moments_submissions_as_fit_are_queued(client):
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=SPEC) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [202] * 20 + [429] * 10


async def test_a_submission_too_large_for_the_queue_harms_no_other_of_the_same_moment(client):
    several, *single = await asyncio.gather(
        client.post("/v1/jobs", json={"jobs": [SPEC] * 21}), *(client.post("/v1/jobs", json=SPEC) for _ in range(4))
    )
    assert several.status_code == 429
    assert [answer.status_code for answer in single] == [202] * 4


async def test_a_tenant_at_its_bound_is_refused_with_the_time_to_come_back_and_counted(client, broker):
    broker.limits.max_tenant_queued = 2
    await client.post("/v1/jobs", json={"jobs": [SPEC] * 2})
    answer = await client.post("/v1/jobs", json=SPEC)
    assert_problem(answer, 429, "tenant-queue-full", detail="2 jobs of this tenant wait already")
    assert int(answer.headers["retry-after"]) >= 1
    assert 'mercer_jobs_refused_total{reason="tenant-queue-full"} 1.0' in (await client.get("/metrics")).text


async def test_a_queue_short_of_memory_refuses_until_there_is_some(client, broker):
    broker.limits.note_memory({"used_memory": 90, "maxmemory": 100})
    answer = await client.post("/v1/jobs", json=SPEC)
    assert_problem(answer, 503, "memory-full", detail="90%")
    assert answer.headers["retry-after"] == "5"
    shown = (await client.get("/metrics")).text
    assert 'mercer_queue_memory_bytes{state="used"} 90.0' in shown
    assert 'mercer_queue_waiting_jobs{priority="high"} 0.0' in shown
    broker.limits.note_memory({"used_memory": 70, "maxmemory": 100})
    assert (await client.post("/v1/jobs", json=SPEC)).status_code == 202


async def test_a_full_queue_still_answers_with_the_job_of_a_known_key(client):
    headers = {"idempotency-key": "one"}
    first = await client.post("/v1/jobs", json=SPEC, headers=headers)
    await client.post("/v1/jobs", json={"jobs": [SPEC] * 19})
    new, again = await asyncio.gather(
        client.post("/v1/jobs", json=SPEC), client.post("/v1/jobs", json=SPEC, headers=headers)
    )
    assert (new.status_code, again.status_code) == (429, 202)
    assert again.json()["id"] == first.json()["id"]


async def test_an_unknown_data_set_is_named(client):
    answer = await client.post("/v1/jobs", json=SPEC | {"x": {"dataset": "sha256:" + "0" * 64}})
    assert_problem(answer, 422, "invalid-spec", "/x", "PUT it to /v1/datasets/sha256:000")


async def test_an_uploaded_data_set_can_be_used(client, upload):
    digest = await upload([[0.0, 1.0], [2.0, 3.0]])
    answer = await client.post("/v1/jobs", json=SPEC | {"x": {"dataset": digest, "rows": [1]}})
    assert answer.status_code == 202, answer.text


async def test_a_column_that_a_data_set_has_not_is_named(client, upload):
    digest = await upload([[0.0, 1.0], [2.0, 3.0]])
    answer = await client.post("/v1/jobs", json=SPEC | {"x": {"dataset": digest, "columns": [0, 2]}})
    assert_problem(answer, 422, "invalid-spec", "/x/columns/1", "expected a column below 2, got 2")


async def test_a_job_that_needs_too_much_is_refused_with_both_numbers(client, upload):
    digest = await upload([[0.0]] * 8_000)
    answer = await client.post("/v1/jobs", json=SPEC | {"x": {"dataset": digest}})
    assert_problem(answer, 422, "cost-exceeded", detail="at most 134,217,728 bytes, got one of 512,000,000")


async def test_jobs_are_listed_newest_first_and_page_by_page(client):
    ids = [(await client.post("/v1/jobs", json=SPEC)).json()["id"] for _ in range(5)]
    first = (await client.get("/v1/jobs?limit=3")).json()
    second = (await client.get("/v1/jobs", params={"limit": 3, "cursor": first["next"]})).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert "next" not in second


async def test_jobs_are_listed_by_state(client, worker):
    done = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
    await asyncio.to_thread(worker.finish)
    await client.post("/v1/jobs", json=SPEC)
    shown = (await client.get("/v1/jobs?state=succeeded")).json()["jobs"]
    assert [job["id"] for job in shown] == [done]


@pytest.mark.parametrize(
    "query", ["limit=101", "limit=0", "limit=x", "state=lost", "cursor=x", "cursor=9" + "9" * 30 + "-0"]
)
async def test_a_bad_query_parameter_is_named(client, query):
    answer = await client.get(f"/v1/jobs?{query}")
    assert_problem(answer, 400, "invalid-request", detail=query.split("=")[0])


async def test_a_queued_job_is_cancelled_at_once(client):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


async def test_cancelling_a_running_job_is_only_accepted(client, worker):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    claim = await asyncio.to_thread(worker.claim)
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert worker.broker.renew(claim.lease).cancelled == {job["id"]}


async def test_a_cancelled_job_can_be_tried_again(client):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    await client.post(f"/v1/jobs/{job['id']}/cancel")
    answer = await client.post(f"/v1/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


async def test_a_job_that_did_not_fail_cannot_be_tried_again(client):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    assert_problem(await client.post(f"/v1/jobs/{job['id']}/retry"), 409, "not-retryable", detail="queued")


async def test_dead_jobs_are_listed_with_their_reason_and_queued_again_together(client, worker):
    job = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
    await asyncio.to_thread(partial(worker.finish, state="dead", error={"detail": "it died"}))
    (dead,) = (await client.get("/v1/jobs?state=dead")).json()["jobs"]
    assert (dead["id"], dead["error"]) == (job, {"detail": "it died"})
    answer = await client.post("/v1/jobs/retry-dead")
    assert (answer.status_code, answer.json()) == (202, {"requeued": 1})
    assert (await client.get(f"/v1/jobs/{job}")).json()["state"] == "queued"
    assert (await client.get("/v1/jobs?state=dead")).json()["jobs"] == []


async def test_a_failed_job_shows_its_problem(client, worker):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    await asyncio.to_thread(
        worker.finish, state="failed", error={"type": "urn:mercer:problem:job-failed", "detail": "no"}
    )
    shown = (await client.get(f"/v1/jobs/{job['id']}")).json()
    assert (shown["state"], shown["error"]["detail"]) == ("failed", "no")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/result"), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry")],
)
async def test_an_unknown_job_is_not_found(client, method, path):
    assert_problem(await client.request(method, f"/v1/jobs/nope{path}"), 404, "unknown-job", detail="nope")


async def test_waiting_for_several_answers_those_that_are_done(client, worker):
    jobs = (await client.post("/v1/jobs", json={"jobs": [SPEC, SPEC | {"dtype": "float32"}]})).json()["jobs"]
    ids = [job["id"] for job in jobs]
    waiting = asyncio.create_task(client.post("/v1/jobs/wait", json={"ids": ids, "wait_s": 20}))
    finished = await asyncio.to_thread(worker.finish)
    done = (await waiting).json()["jobs"]
    assert len(finished) == 1
    assert [(job["id"], job["state"]) for job in done] == [(one, "succeeded") for one in finished]


async def test_waiting_for_several_answers_nothing_when_the_time_is_over(client):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    answer = await client.post("/v1/jobs/wait", json={"ids": [job["id"]], "wait_s": 0})
    assert answer.json() == {"jobs": []}


async def test_waiting_for_an_unknown_job_is_refused(client):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    answer = await client.post("/v1/jobs/wait", json={"ids": [job["id"], "nope"], "wait_s": 0})
    assert_problem(answer, 404, "unknown-job", "/ids/1")


async def test_workers_are_listed(client, worker):
    worker.broker.announce("tester", "cpu", running=1, jobs_done=7)
    shown = (await client.get("/v1/workers")).json()["workers"]
    assert [(one["name"], one["device"], one["jobs_done"]) for one in shown] == [("tester", "cpu", 7)]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/batches"])
@pytest.mark.parametrize("cursor", ["0-0", "00-0", "\u0661-1", "1", "1-x"])
async def test_a_cursor_that_no_page_gave_is_refused(client, path, cursor):
    answer = await client.get(path, params={"cursor": cursor})
    assert_problem(answer, 400, "invalid-request", detail="cursor")
