import asyncio

import numpy as np
import pytest

import mercer
from mercer import errors
from tests.client.conftest import gaussian


@pytest.fixture
async def client(url):
    async with mercer.AsyncClient(url) as client:
        yield client


async def test_a_matrix_comes_back(client, gram, points):
    job = await client.submit(gram(2.0))
    np.testing.assert_allclose(await job.result(), gaussian(points, 2.0), rtol=1e-12)
    np.testing.assert_array_equal(await client.run(gram(2.0)), await job.result())


async def test_many_jobs_are_collected_as_they_finish(client, gram, points):
    scales = np.linspace(0.5, 2.0, 50).tolist()
    jobs = await client.submit_many(gram(scale) for scale in scales)
    done = [job async for job in mercer.as_completed(jobs)]
    assert {job.id for job in done} == {job.id for job in jobs}
    np.testing.assert_allclose(await jobs[3].result(), gaussian(points, scales[3]), rtol=1e-12)


async def test_nothing_is_completed_of_nothing(client):
    jobs: list[mercer.AsyncJobHandle] = []
    assert [job async for job in mercer.as_completed(jobs)] == []


async def test_jobs_are_waited_for_at_the_same_time(client, gram):
    jobs = [await client.submit(gram(scale)) for scale in (1.0, 2.0, 3.0)]
    results = await asyncio.gather(*(job.result() for job in jobs))
    assert [matrix.shape for matrix in results] == [(20, 20)] * 3


async def test_a_data_set_goes_there_and_back(client):
    x = np.random.default_rng(6).normal(size=(300_000, 1))
    dataset = await client.datasets.upload(x)
    np.testing.assert_array_equal(await client.datasets.get(dataset.digest), x)
    assert dataset in await client.datasets.list()
    await client.datasets.delete(dataset.digest)
    with pytest.raises(errors.UnknownDataset):
        await client.datasets.get(dataset.digest)


async def test_a_result_is_saved_to_a_file(client, gram, points, tmp_path):
    job = await client.submit(gram())
    np.testing.assert_allclose(np.load(await job.save(tmp_path / "K.npy")), gaussian(points), rtol=1e-12)


async def test_events_end_with_the_job(client, gram):
    job = await client.submit(gram())
    events = [event async for event in job.events()]
    assert events[-1].job.state == "succeeded"


async def test_a_cancelled_job_says_so_and_can_be_tried_again(client, gram, paused_worker):
    with paused_worker():
        job = await client.submit(gram())
        assert (await job.cancel()).state == "cancelled"
        with pytest.raises(errors.JobCancelled):
            await job.result()
        assert (await job.retry()).state == "queued"
        with pytest.raises(errors.WaitTimeout):
            await job.result(timeout_s=0.1)
    assert (await job.wait()).state == "succeeded"
    assert (await job.refresh()).state == "succeeded"


async def test_what_the_service_knows_is_listed(client, gram):
    job = await client.submit(gram())
    assert job.id in {one.id for one in await client.jobs()}
    assert (await client.job(job.id)).id == job.id
    assert (await client.kinds())["kinds"][0]["kind"] == "gram"
    assert (await client.kernels())["kernels"]


async def test_a_job_that_is_not_started_in_time_expires(client, gram, paused_worker):
    with paused_worker():
        job = await client.submit(gram(), cancel_after="1s")
        with pytest.raises(errors.JobExpired):
            await job.result()


async def test_cancelling_the_waiting_leaves_the_job(client, gram, paused_worker):
    with paused_worker():
        job = await client.submit(gram())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await job.result()
    assert (await job.result()).shape == (20, 20)


def test_both_clients_have_the_same_methods():
    for blocking, awaiting in [
        (mercer.Client, mercer.AsyncClient),
        (mercer.JobHandle, mercer.AsyncJobHandle),
        (type(mercer.Client().datasets), type(mercer.AsyncClient().datasets)),
    ]:
        assert public(blocking) == public(awaiting)


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}
