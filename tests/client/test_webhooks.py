"""Webhooks from Python and from the shell, against the whole service."""

import json

import pytest

import mercer
from mercer.cli import main
from tests.service.receivers import receiving


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def webhook(client, receiver):
    webhook = client.webhooks.add(receiver.url, ["job.succeeded", mercer.WebhookEvent.BATCH_COMPLETED])
    yield webhook
    if webhook.id in {one.id for one in client.webhooks.list()}:
        client.webhooks.remove(webhook.id)


def test_a_webhook_is_added_tested_changed_rotated_and_removed(client, webhook, receiver):
    assert webhook.secret.startswith("whsec_")
    assert webhook.secret not in repr(webhook)
    delivery = client.webhooks.test(webhook.id)
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("delivered", 1, 204)
    receiver.received[0].verified(webhook.secret)
    assert client.webhooks.rotate(webhook.id, overlap_s=60).secret != webhook.secret
    assert client.webhooks.update(webhook.id, events=["job.dead"]).events == ("job.dead",)
    assert not client.webhooks.update(webhook.id, enabled=False).enabled
    with pytest.raises(mercer.errors.WebhookDisabled):
        client.webhooks.test(webhook.id)
    shown = client.webhooks.get(webhook.id)
    assert shown.secret is None
    assert [one.event for one in shown.deliveries] == ["webhook.test"]
    client.webhooks.remove(webhook.id)
    with pytest.raises(mercer.errors.UnknownWebhook):
        client.webhooks.get(webhook.id)


def test_an_address_inside_is_refused_naming_the_field(client):
    with pytest.raises(mercer.errors.InvalidWebhook) as refused:
        client.webhooks.add("https://10.0.0.1/")
    assert refused.value.errors[0].pointer == "/url"


async def test_the_asynchronous_client_has_the_same(url, receiver):
    async with mercer.AsyncClient(url) as client:
        webhook = await client.webhooks.add(receiver.url)
        assert (await client.webhooks.test(webhook.id)).status == "delivered"
        assert webhook.id in {one.id for one in await client.webhooks.list()}
        assert (await client.webhooks.rotate(webhook.id)).secret
        assert (await client.webhooks.update(webhook.id, enabled=True)).enabled
        assert (await client.webhooks.get(webhook.id)).delivered == 1
        await client.webhooks.remove(webhook.id)


@pytest.fixture
def shell(url, capsys):
    def run(*words, code=0):
        assert main([words[0], *words[1:], "--url", url]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return run


def test_the_command_adds_shows_tests_rotates_and_removes(shell, receiver):
    name, secret, hint = shell("webhooks", "add", receiver.url, "--events", "job.failed,job.dead").splitlines()
    assert secret.startswith("whsec_")
    assert "never shown again" in hint
    assert "delivered, answered 204" in shell("webhooks", "test", name)
    listed = shell("webhooks", "list")
    assert name in listed
    assert receiver.url in listed
    shown = shell("webhooks", "show", name)
    assert "webhook.test" in shown
    assert "whsec_" not in shown
    assert json.loads(shell("webhooks", "show", name, "--json"))["delivered"] == 1
    assert name in {one["id"] for one in json.loads(shell("webhooks", "list", "--json"))}
    rotated = json.loads(shell("webhooks", "rotate", name, "--overlap", "0", "--json"))
    assert rotated["secret"] != secret
    assert "disabled" in shell("webhooks", "update", name, "--disable")
    assert "disabled by its owner" in shell("webhooks", "test", name, code=1)
    assert "enabled: job.dead" in shell("webhooks", "update", name, "--enable", "--events", "job.dead")
    receiver.answers = [500]
    assert "got 500" in shell("webhooks", "test", name, code=1)
    shell("webhooks", "remove", name)
    assert "no webhook" in shell("webhooks", "show", name, code=1)
