import pytest

from broker import kept as module
from broker.kept import KEPT_RECORDS, SHORT_BYTES, Kept
from broker.records import Record
from mercer.jobs import State

DONE = Record(id="a", kind="gram", state=State.SUCCEEDED, batch_key="k", created_ms=1, result=b"{}")


def test_a_job_that_succeeded_is_kept_for_its_own_tenant_alone():
    kept = Kept()
    kept.add([DONE, None])
    assert kept.find(["a", "b"], "default") == {"a": DONE}
    assert kept.find(["a"], "other") == {}


@pytest.mark.parametrize(
    "changes",
    [{"state": state} for state in State if state != State.SUCCEEDED] + [{"result": b" " * (SHORT_BYTES + 1)}],
)
def test_what_may_change_or_is_long_is_not_kept(changes):
    kept = Kept()
    kept.add([DONE._replace(**changes)])
    assert kept.find(["a"], "default") == {}


def test_a_record_is_kept_for_a_moment_only(monkeypatch):
    kept = Kept()
    monkeypatch.setattr(module, "KEPT_S", 0.0)
    kept.add([DONE])
    assert kept.find(["a"], "default") == {}


def test_the_oldest_give_way():
    kept = Kept()
    kept.add(DONE._replace(id=str(number)) for number in range(KEPT_RECORDS + 2))
    assert set(kept.find(["0", "1", "2"], "default")) == {"2"}


async def test_kept_and_unkept_jobs_come_in_the_order_asked_for(service, admit, take, worker, ended):
    first, done, last = await admit(3)
    worker.finish(take().lease, [ended(done)])
    await service.record(done)
    wanted = [last, done, "unknown", first, done]
    found = await service.records(wanted)
    assert [one and one.id for one in found] == [last, done, None, first, done]
    assert [one and one.state for one in found] == ["running", "succeeded", None, "running", "succeeded"]
    assert await service.records([done], "other") == [None]


async def test_kept_jobs_are_not_read_again(service, admit, take, worker, ended, redis):
    (done,) = await admit()
    worker.finish(take().lease, [ended(done)])
    before = await service.record(done)
    redis.delete(*redis.keys("*" + done))
    assert await service.record(done) == before
