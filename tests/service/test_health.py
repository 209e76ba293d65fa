import asyncio
import shutil

import pytest

from tests.service.conftest import SPEC, assert_problem


async def test_the_service_lives_and_is_ready(client):
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_without_redis_it_lives_and_is_not_ready(client, broker):
    await broker.close()
    assert (await client.get("/livez")).status_code == 200
    assert_problem(await client.get("/readyz"), 503, "unavailable")


async def test_a_store_that_cannot_be_written_makes_it_unready(client, settings):
    shutil.rmtree(settings.data_dir)
    answer = await client.get("/readyz")
    assert_problem(answer, 503, "unavailable", detail="store")
    assert answer.headers["retry-after"] == "1"


async def test_while_it_ends_it_is_not_ready(client, app):
    app.state.parts.draining.start()
    assert_problem(await client.get("/readyz"), 503, "unavailable", detail="ending")


async def test_when_it_ends_waits_end(client, app):
    job = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
    waiting = [
        asyncio.create_task(client.get(f"/v1/jobs/{job}?wait=30")),
        asyncio.create_task(client.post("/v1/jobs", json=SPEC, headers={"prefer": "wait=30"})),
        asyncio.create_task(client.post("/v1/jobs/wait", json={"ids": [job]})),
        asyncio.create_task(client.get(f"/v1/jobs/{job}/events")),
    ]
    await asyncio.sleep(0.2)
    app.state.parts.draining.start()
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 2)
    assert [answer.status_code for answer in answers] == [200, 202, 200, 200]


@pytest.fixture
def metrics(client):
    """What /metrics shows, by series."""

    async def read():
        lines = (await client.get("/metrics")).text.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    return read


async def test_metrics_count_jobs(client, worker, metrics):
    await client.post("/v1/jobs", json={"jobs": [SPEC, SPEC]})
    assert (await metrics())['mercer_queue_depth_jobs{state="queued"}'] == 2
    await asyncio.to_thread(worker.claim)
    shown = await metrics()
    assert [shown[f'mercer_queue_depth_jobs{{state="{state}"}}'] for state in ("queued", "running")] == [0, 2]
    assert shown['mercer_jobs_admitted_total{kind="gram"}'] == 2


async def test_metrics_show_how_long_the_oldest_job_waits(client, metrics):
    await client.post("/v1/jobs", json=SPEC)
    await asyncio.sleep(0.05)
    assert 0.04 < (await metrics())["mercer_queue_oldest_age_seconds"] < 10


async def test_metrics_count_requests_by_route_and_never_by_job(client, metrics):
    await client.get("/v1/jobs/one")
    await client.get("/v1/jobs/two")
    shown = await metrics()
    count = 'mercer_http_request_duration_seconds_count{method="GET",route="/v1/jobs/{job_id}",status="404"}'
    assert shown[count] == 2
    assert not any("/v1/jobs/one" in series for series in shown)


async def test_metrics_count_jobs_that_died(client, worker, metrics):
    await client.post("/v1/jobs", json=SPEC)
    assert (await metrics())["mercer_jobs_dead_total"] == 0
    await asyncio.to_thread(worker.finish, state="dead", error={"detail": "no"})
    assert (await metrics())["mercer_jobs_dead_total"] == 1


async def test_without_redis_metrics_say_so_and_show_no_old_numbers(client, broker, metrics):
    assert (await metrics())["mercer_queue_up"] == 1
    await broker.close()
    shown = await metrics()
    assert shown["mercer_queue_up"] == 0
    assert not any(series.startswith("mercer_queue_depth_jobs") for series in shown)


async def test_metrics_show_the_room_in_the_store_and_the_build(client, metrics):
    shown = await metrics()
    assert 0 <= shown["mercer_store_free_bytes"] < shown["mercer_store_size_bytes"]
    assert shown["mercer_store_free_bytes"] % 2**30 == 0, "exact bytes would tell the size of a private upload"
    assert any(series.startswith('mercer_build_info{component="service"') for series in shown)
