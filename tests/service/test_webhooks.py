"""Webhooks end to end: registered over HTTP, delivered to real receivers, kept through everything that may happen."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from ipaddress import ip_network

import httpx2
import pytest

import service.sending
import service.webhook_messages
from broker.worker_broker import WorkerBroker
from mercer.webhooks import WebhookEvent
from service.app import create_app
from service.settings import Settings
from store.webhooks import Registrations
from tests.service.conftest import SPEC, FakeWorker, assert_problem
from tests.service.receivers import receiving

ALLOWED = {"webhooks_allow_http": ("localhost",), "webhooks_allow_private": (ip_network("127.0.0.0/8"),)}


@pytest.fixture
def settings(settings):
    return settings.model_copy(update=ALLOWED)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(service.sending, "LOOK_S", 0.01)
    monkeypatch.setattr(service.webhook_messages, "RETRY_S", (0.02,) * 9)


@pytest.fixture(autouse=True)
async def sender(app):
    app.state.parts.sender.wake()
    return app.state.parts.sender


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def register(client, receiver):
    async def post(url=None, **fields):
        answer = await client.post("/v1/webhooks", json={"url": url or receiver.url, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return post


@pytest.fixture
def show(client):
    async def get(webhook):
        answer = await client.get(f"/v1/webhooks/{webhook['id']}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


@pytest.fixture
def until():
    async def wait(condition, within_s=10):
        async with asyncio.timeout(within_s):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def end_job(client, worker):
    async def make(state="succeeded"):
        job = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
        error = None if state == "succeeded" else {"detail": "no"}
        await asyncio.to_thread(worker.finish, state=state, error=error)
        return job

    return make


async def test_a_job_that_ended_is_told_signed_and_without_its_data(register, receiver, end_job, until, show):
    webhook = await register()
    assert webhook["events"] == [event.value for event in WebhookEvent]
    job = await end_job()
    await until(lambda: receiver.received)
    (got,) = receiver.received
    payload = got.verified(webhook["secret"])
    assert (payload["type"], payload["data"]["id"]) == ("job.succeeded", job)
    assert set(payload["data"]) == {"id", "kind", "state", "links"}
    assert len(got.body) < 1_000
    await until(lambda: _delivered(show, webhook))
    shown = await show(webhook)
    (delivery,) = shown["deliveries"]
    assert (delivery["id"], delivery["subject"], delivery["event"]) == (got.id, job, "job.succeeded")
    assert (delivery["status"], delivery["attempts"], delivery["response_status"]) == ("delivered", 1, 204)
    assert delivery["attempted_at"] >= delivery["created_at"][:19]
    assert (shown["delivered"], shown["waiting"]) == (1, 0)


async def _delivered(show, webhook):
    return (await show(webhook))["delivered"]


async def test_its_links_lead_to_what_ended(register, receiver, end_job, until, client):
    await register()
    await end_job()
    await until(lambda: receiver.received)
    links = json.loads(receiver.received[0].body)["data"]["links"]
    assert {(await client.get(link)).status_code for link in links.values()} == {200}


async def test_a_batch_is_told_once_and_its_jobs_are_not(register, receiver, client, worker, broker, until):
    await register()
    lines = b"\n".join(json.dumps({"custom_id": str(n), "spec": SPEC}).encode() for n in range(3))
    answer = await client.post("/v1/batches", content=lines, headers={"content-type": "application/jsonl"})
    batch = answer.json()["id"]
    await until(lambda: _queued(broker, 3))
    await asyncio.to_thread(worker.finish)
    await until(lambda: receiver.received)
    await asyncio.sleep(0.1)
    (got,) = receiver.received
    payload = json.loads(got.body)
    assert (payload["type"], payload["data"]["id"]) == ("batch.completed", batch)
    assert {(await client.get(link)).status_code for link in payload["data"]["links"].values()} == {200}


async def _queued(broker, number):
    return (await broker.depth())[0] == number


async def test_only_the_events_that_were_asked_for_come(register, receiver, end_job, until):
    await register(events=["job.failed"])
    await end_job()
    failed = await end_job("failed")
    await until(lambda: receiver.received)
    assert [json.loads(got.body)["data"]["id"] for got in receiver.received] == [failed]


async def test_a_failed_delivery_comes_again_with_the_same_id_and_body(register, receiver, end_job, until, show):
    webhook = await register()
    receiver.answers = [500, 404, 302]
    await end_job()
    await until(lambda: len(receiver.received) == 4)
    assert len({got.id for got in receiver.received}) == 1
    assert len({got.body for got in receiver.received}) == 1
    for got in receiver.received:
        got.verified(webhook["secret"])
    await until(lambda: _delivered(show, webhook))
    (delivery,) = (await show(webhook))["deliveries"]
    assert (delivery["attempts"], delivery["status"], delivery["response_status"]) == (4, "delivered", 204)


async def test_what_waits_for_another_attempt_shows_why_and_when(
    register, receiver, end_job, until, show, monkeypatch, client
):
    monkeypatch.setattr(service.webhook_messages, "RETRY_S", (3_600,) * 9)
    webhook = await register()
    receiver.answers = [301]
    await end_job()

    async def attempted():
        deliveries = (await show(webhook))["deliveries"]
        return deliveries and deliveries[0]["attempts"]

    await until(attempted)
    shown = await show(webhook)
    (delivery,) = shown["deliveries"]
    assert (delivery["status"], delivery["response_status"]) == ("waiting", 301)
    assert "redirects are not followed" in delivery["reason"]
    assert delivery["next_attempt_at"] > delivery["attempted_at"]
    assert shown["failing_since"]
    metrics = (await client.get("/metrics")).text
    assert "mercer_webhook_deliveries_waiting 1.0" in metrics
    assert "mercer_webhook_failing_endpoints 1.0" in metrics
    assert 'mercer_webhook_attempt_duration_seconds_count{outcome="failed"} 1.0' in metrics


async def test_a_delivery_is_given_up_after_ten_attempts_and_that_is_seen(
    register, receiver, end_job, until, show, client
):
    webhook = await register()
    receiver.answers = [500] * 10
    await end_job()

    async def given_up():
        return (await show(webhook))["abandoned"]

    await until(given_up)
    shown = await show(webhook)
    (delivery,) = shown["deliveries"]
    assert (delivery["status"], delivery["attempts"], len(receiver.received)) == ("abandoned", 10, 10)
    assert "got 500" in delivery["reason"]
    assert shown["enabled"]
    assert "mercer_webhook_events_undelivered_total 1.0" in (await client.get("/metrics")).text


async def test_a_receiver_that_is_gone_is_told_no_more_until_it_is_enabled(
    register, receiver, end_job, until, show, client
):
    webhook = await register()
    receiver.answers = [410]
    await end_job()

    async def disabled():
        return not (await show(webhook))["enabled"]

    await until(disabled)
    shown = await show(webhook)
    assert "410 Gone" in shown["disabled_reason"]
    assert shown["disabled_at"]
    assert shown["waiting"] == 0
    await end_job()
    await asyncio.sleep(0.05)
    assert len(receiver.received) == 1
    assert_problem(await client.post(f"/v1/webhooks/{webhook['id']}/test"), 409, "webhook-disabled", detail="410")
    answer = await client.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True})
    assert answer.json()["enabled"]
    await end_job()
    await until(lambda: len(receiver.received) == 2)


async def test_a_webhook_that_fails_for_days_is_disabled(register, receiver, end_job, until, show, broker, monkeypatch):
    monkeypatch.setattr(service.sending, "DISABLE_AFTER_S", 0.05)
    webhook = await register()
    receiver.answers = [500] * 100

    async def disabled():
        return not (await show(webhook))["enabled"]

    await end_job()
    await until(disabled)
    assert "every delivery failed" in (await show(webhook))["disabled_reason"]


async def test_while_a_secret_is_replaced_both_verify_and_then_the_new_one_alone(
    register, receiver, end_job, until, client
):
    webhook = await register()
    answer = await client.post(f"/v1/webhooks/{webhook['id']}/rotate", json={"overlap_s": 60})
    new = answer.json()["secret"]
    assert new != webhook["secret"]
    await end_job()
    await until(lambda: receiver.received)
    receiver.received[0].verified(webhook["secret"])
    receiver.received[0].verified(new)
    newest = (await client.post(f"/v1/webhooks/{webhook['id']}/rotate", json={"overlap_s": 0})).json()["secret"]
    await end_job()
    await until(lambda: len(receiver.received) == 2)
    receiver.received[1].verified(newest)
    with pytest.raises(Exception, match="No matching signature"):
        receiver.received[1].verified(new)


async def test_a_secret_is_shown_once_and_is_in_no_log(register, show, client, caplog, end_job, receiver, until):
    caplog.set_level("DEBUG")
    webhook = await register()
    secret = webhook["secret"].removeprefix("whsec_")
    receiver.answers = [410]
    await end_job()
    await until(lambda: receiver.received)
    assert "secret" not in await show(webhook)
    for path in ("", f"/{webhook['id']}"):
        assert secret not in (await client.get(f"/v1/webhooks{path}")).text
    assert secret not in (await client.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True})).text
    assert secret not in caplog.text


async def test_a_test_event_comes_at_once_whatever_is_subscribed(register, receiver, until, client, show):
    webhook = await register(events=["job.dead"])
    answer = await client.post(f"/v1/webhooks/{webhook['id']}/test")
    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    await until(lambda: receiver.received)
    payload = receiver.received[0].verified(webhook["secret"])
    assert (payload["type"], receiver.received[0].id) == ("webhook.test", answer.json()["id"])
    await until(lambda: _delivered(show, webhook))


async def test_webhooks_are_listed_changed_and_removed(register, receiver, client, end_job, until):
    webhook = await register()
    with receiving() as second:
        other = await register(second.url, events=["job.succeeded", "job.succeeded"])
        assert other["events"] == ["job.succeeded"]
        listed = (await client.get("/v1/webhooks")).json()["webhooks"]
        assert [one["id"] for one in listed] == [webhook["id"], other["id"]]
        await client.patch(f"/v1/webhooks/{webhook['id']}", json={"events": ["job.dead"]})
        await end_job()
        await until(lambda: second.received)
        assert receiver.received == []
        assert (await client.delete(f"/v1/webhooks/{other['id']}")).status_code == 204
        await end_job()
        await asyncio.sleep(0.05)
        assert len(second.received) == 1
        assert_problem(await client.get(f"/v1/webhooks/{other['id']}"), 404, "unknown-webhook")
        again = await register(second.url)
        assert again["id"] != other["id"]


@pytest.mark.parametrize("method", ["get", "delete", "patch", "rotate", "test"])
async def test_an_unknown_webhook_is_not_found(method, client):
    for unknown in ("we_0", "..", "we_0.1", "%2e%2e%2fdatasets"):
        path = f"/v1/webhooks/{unknown}"
        match method:
            case "patch":
                answer = await client.patch(path, json={"enabled": True})
            case "rotate" | "test":
                answer = await client.post(f"{path}/{method}", json={})
            case _:
                answer = await client.request(method.upper(), path)
        assert answer.status_code in (404, 405), answer.text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": 7}, "/url"),
        ({"url": "https://example.com/" + "x" * 2_048}, "/url"),
        ({"url": "http://example.com/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "/url"),
        ({"url": "https://nowhere.invalid/"}, "/url"),
        ({"url": "https://localhost/", "events": []}, "/events"),
        ({"url": "https://localhost/", "events": ["job.started"]}, "/events/0"),
        ({"url": "https://localhost/", "secret": "mine"}, "/secret"),
    ],
)
async def test_a_registration_that_cannot_work_is_refused_naming_the_field(body, pointer, client):
    answer = await client.post("/v1/webhooks", json=body)
    assert_problem(answer, 422, "invalid-webhook", pointer)
    assert (await client.get("/v1/webhooks")).json() == {"webhooks": []}


async def test_an_address_is_registered_once_and_a_tenant_has_twenty(register, receiver, client):
    webhook = await register()
    again = await client.post("/v1/webhooks", json={"url": receiver.url})
    assert_problem(again, 422, "invalid-webhook", "/url", webhook["id"])
    for n in range(19):
        await register(f"{receiver.url}/{n}")
    answer = await client.post("/v1/webhooks", json={"url": f"{receiver.url}/more"})
    assert_problem(answer, 422, "invalid-webhook", detail="20")


async def test_a_name_that_becomes_private_after_the_registration_gets_nothing(
    register, receiver, end_job, until, show, app
):
    webhook = await register()
    app.state.parts.sender.egress.guard._allow_private = ()  # as if the name had been public before
    await end_job()

    async def refused():
        deliveries = (await show(webhook))["deliveries"]
        return deliveries and "public addresses" in deliveries[0].get("reason", "")

    await until(refused)
    assert receiver.received == []


async def test_a_slow_receiver_holds_up_no_other_and_no_request(register, receiver, end_job, until, client):
    await register()
    receiver.hold.clear()
    with receiving() as quick:
        await register(quick.url)
        for _ in range(3):
            await end_job()
        await until(lambda: len(quick.received) == 3)
        started = time.perf_counter()
        assert (await client.get("/livez")).status_code == 200
        assert time.perf_counter() - started < 1
        receiver.hold.set()


async def test_at_most_eight_deliveries_go_to_one_receiver_at_once(register, receiver, client, worker, until):
    await register()
    receiver.hold.clear()
    await client.post("/v1/jobs", json={"jobs": [SPEC] * 12})
    await asyncio.to_thread(worker.finish)
    await until(lambda: len(receiver.received) == 8)
    await asyncio.sleep(0.1)
    assert len(receiver.received) == 8
    receiver.hold.set()
    await until(lambda: len(receiver.received) == 12)


async def test_what_a_process_was_delivering_when_it_died_another_delivers(
    register, receiver, end_job, until, app, settings, broker, objects, monkeypatch, show
):
    monkeypatch.setattr(service.sending, "LEASE_MS", 300)
    webhook = await register()
    receiver.hold.clear()
    await end_job()
    await until(lambda: receiver.received)
    parts = app.state.parts
    for task in (*parts.sender._tasks, *parts.sender._serving):
        task.cancel()  # as abrupt as kill -9: nothing is settled
    receiver.hold.set()
    again = create_app(settings, broker, objects)
    again.state.parts.sender.wake()
    try:
        await until(lambda: len(receiver.received) == 2)
        assert receiver.received[0].id == receiver.received[1].id
        await until(lambda: _delivered(show, webhook))
    finally:
        await again.state.parts.sender.close()


async def test_registrations_outlast_the_queue(register, receiver, until, settings, objects, end_job, app, redis_of):
    webhook = await register()
    redis_of.flush()
    await end_job()
    await asyncio.sleep(0.05)
    assert receiver.received == []
    await app.state.parts.sender._sync()  # within a minute it comes by itself
    await end_job()
    await until(lambda: receiver.received)
    receiver.received[0].verified(webhook["secret"])


@pytest.fixture
def redis_of(valkey_url, namespace):
    from redis import Redis

    class Keys:
        def names(self, prefix):
            with Redis.from_url(valkey_url) as redis:
                return list(redis.scan_iter(f"{{{namespace}}}:{prefix}*"))

        def flush(self):
            with Redis.from_url(valkey_url) as redis:
                for key in redis.scan_iter(f"{{{namespace}}}:*"):
                    redis.delete(key)

    return Keys()


async def test_a_registration_that_was_removed_does_not_come_back(register, client, app, objects, redis_of):
    webhook = await register()
    stale = Registrations(objects).newest("default", webhook["id"])
    await client.delete(f"/v1/webhooks/{webhook['id']}")
    await app.state.parts.sender._tell(stale)  # what another process had read before
    assert redis_of.names("hook") == []
    assert (await client.get("/v1/webhooks")).json() == {"webhooks": []}


async def test_changes_at_once_are_all_kept(register, client, show, objects):
    webhook = await register()
    path = f"/v1/webhooks/{webhook['id']}"
    answers = await asyncio.gather(*(client.post(f"{path}/rotate", json={}) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    registration = Registrations(objects).newest("default", webhook["id"])
    assert registration.version == 5
    secrets = {answer.json()["secret"] for answer in answers}
    assert secrets | {webhook["secret"]} == {one.value for one in registration.secrets}
    assert len(list(objects.keys("webhooks/"))) == 1, "earlier versions go"


class Process:
    """The service as a process, to be killed."""

    def __init__(self, settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._environment = os.environ | {
            "MERCER_REDIS_URL": settings.redis_url,
            "MERCER_NAMESPACE": settings.namespace,
            "MERCER_DATA_DIR": str(settings.data_dir),
            "MERCER_PORT": str(self.port),
            "MERCER_WEBHOOKS_ALLOW_HTTP": "localhost",
            "MERCER_WEBHOOKS_ALLOW_PRIVATE": "127.0.0.0/8,::1/128",
        }
        self._process = None

    def start(self):
        """Returns when it answers."""
        self._process = subprocess.Popen([sys.executable, "-m", "service"], env=self._environment)
        with self.client() as client:
            for _ in range(400):
                try:
                    return client.get("/livez")
                except httpx2.TransportError:
                    assert self._process.poll() is None
                    time.sleep(0.05)
        raise AssertionError("the service did not start")

    def client(self):
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def process(settings):
    process = Process(settings)
    yield process
    process.kill()


async def test_the_event_of_a_job_that_ends_while_the_service_is_dead_comes_when_it_is_back(
    process, receiver, until, settings, results, sender
):
    await sender.close()
    await asyncio.to_thread(process.start)
    with process.client() as client:
        webhook = client.post("/v1/webhooks", json={"url": receiver.url}).json()
        job = client.post("/v1/jobs", json=SPEC).json()["id"]
    process.kill()
    broker = WorkerBroker.connect(settings.redis_url, namespace=settings.namespace, linger_ms=0)
    await asyncio.to_thread(FakeWorker(broker, results).finish)
    broker.close()
    assert receiver.received == []
    await asyncio.to_thread(process.start)
    await until(lambda: receiver.received)
    assert receiver.received[0].verified(webhook["secret"])["data"]["id"] == job


def test_the_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("MERCER_WEBHOOKS_ALLOW_HTTP", "localhost, Hooks.Internal")
    monkeypatch.setenv("MERCER_WEBHOOKS_ALLOW_PRIVATE", "127.0.0.0/8,fd00::/8")
    settings = Settings()
    assert settings.webhooks_allow_http == ("localhost", "hooks.internal")
    assert settings.webhooks_allow_private == (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
