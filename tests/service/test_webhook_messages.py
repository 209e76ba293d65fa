"""What a webhook gets and when it gets it again, decided without any network."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import from_json
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from broker.webhooks import Message, Outcome, Tries
from mercer.webhooks import TEST_EVENT, WebhookEvent
from service.sending import failure, why_disabled
from service.webhook_messages import RETRY_S, Answer, after, body_of, headers_of, new_secret
from service.webhooks import MAX_SECRETS, rotated
from store.webhooks import Secret

NOW_MS = 1_800_000_000_000
OLD = Answer(500, "no")


def message(event="job.succeeded", attempts=0, **fields):
    made = {"id": "msg_1", "event": event, "subject": "0123abcd", "kind": "gram", "created_ms": NOW_MS}
    return Message(**made | fields, tries=Tries(attempts=attempts))


@pytest.fixture
def now_s():
    return int(datetime.now(UTC).timestamp())


def test_the_public_package_verifies_what_is_sent(now_s):
    secret = new_secret()
    body = body_of(message())
    payload = Webhook(secret).verify(body, headers_of(message(), body, [secret], now_s))
    assert payload == {
        "type": "job.succeeded",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "id": "0123abcd",
            "kind": "gram",
            "state": "succeeded",
            "links": {"self": "/v1/jobs/0123abcd", "result": "/v1/jobs/0123abcd/result"},
        },
    }


def test_it_refuses_another_body_another_id_another_secret_and_an_old_message(now_s):
    secret = new_secret()
    body = body_of(message())
    headers = headers_of(message(), body, [secret], now_s)
    for bad in (
        lambda: Webhook(secret).verify(body + b" ", headers),
        lambda: Webhook(secret).verify(body, headers | {"webhook-id": "msg_2"}),
        lambda: Webhook(new_secret()).verify(body, headers),
        lambda: Webhook(secret).verify(body, headers_of(message(), body, [secret], now_s - 400)),
    ):
        with pytest.raises(WebhookVerificationError):
            bad()


def test_both_secrets_verify_while_one_replaces_the_other(now_s):
    old, new = new_secret(), new_secret()
    body = body_of(message())
    headers = headers_of(message(), body, [new, old], now_s)
    assert Webhook(old).verify(body, headers) == Webhook(new).verify(body, headers)


def test_secrets_have_the_prefix_and_32_random_bytes():
    assert new_secret().startswith("whsec_")
    assert len(Webhook(new_secret())._whsecret) == 32
    assert new_secret() != new_secret()


@pytest.mark.parametrize("event", [*WebhookEvent, TEST_EVENT])
def test_every_event_is_small_and_links_to_what_it_tells_of(event):
    body = body_of(message(event=str(event)))
    assert len(body) < 1_000
    assert from_json(body)["data"]["links"]["self"].endswith("s/0123abcd")


def test_the_body_is_the_same_at_every_attempt():
    assert body_of(message()) == body_of(message(attempts=7))


def test_a_failed_delivery_comes_again_on_the_schedule_and_is_given_up_after_ten_attempts():
    pauses, tries = [], 0
    while True:
        outcome, record, again_ms = after(message(attempts=tries), OLD, NOW_MS, 0.0)
        tries = record.attempts
        if outcome is not Outcome.FAILED:
            break
        pauses.append(again_ms / 1000)
    assert pauses == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert (outcome, record.outcome, tries) == (Outcome.ABANDONED, "abandoned", 10)


@pytest.mark.parametrize("attempts", range(len(RETRY_S)))
def test_the_pause_varies_by_a_fifth(attempts):
    shortest, longest = (after(message(attempts=attempts), OLD, NOW_MS, jitter)[2] for jitter in (-1.0, 1.0))
    assert (shortest, longest) == (round(800 * RETRY_S[attempts]), round(1200 * RETRY_S[attempts]))


def test_a_test_event_is_tried_once():
    assert after(message(event=TEST_EVENT), OLD, NOW_MS, 0.0)[0] is Outcome.ABANDONED


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (204, True), (299, True), (199, False), (301, False), (304, False), (404, False)]
)
def test_only_2xx_is_success(status, good):
    assert (failure(status) is None) is good


class FakeTaken:
    now_ms = NOW_MS

    def __init__(self, days):
        self.failing_since_ms = None if days is None else NOW_MS - days * 86_400_000


@pytest.mark.parametrize(
    ("days", "status", "disabled"),
    [(None, 500, False), (4.9, 500, False), (5.1, 500, True), (5.1, None, True), (None, 410, True), (0, 410, True)],
)
def test_a_webhook_is_disabled_by_410_and_after_five_days_of_failure(days, status, disabled):
    assert bool(why_disabled(FakeTaken(days), Answer(status, "no"))) is disabled


def test_a_replaced_secret_signs_until_its_time_is_over_and_no_rotation_makes_that_longer():
    first = rotated((Secret(value="a"),), Secret(value="b"), 100, 1_000.0)
    assert [(one.value, one.expires_s) for one in first] == [("b", None), ("a", 1_100.0)]
    second = rotated(first, Secret(value="c"), 500, 1_050.0)
    assert [(one.value, one.expires_s) for one in second] == [("c", None), ("b", 1_550.0), ("a", 1_100.0)]
    third = rotated(second, Secret(value="d"), 500, 1_200.0)
    assert [one.value for one in third] == ["d", "c", "b"]
    assert [one.value for one in rotated(third, Secret(value="e"), 0, 1_300.0)] == ["e"]


def test_a_secret_in_use_outlasts_rotations_that_were_sent_again():
    secrets = (Secret(value="used"),)
    for n in range(MAX_SECRETS - 1):
        secrets = rotated(secrets, Secret(value=str(n)), 100, 1_000.0)
    assert secrets[-1].value == "used"
    assert len(rotated(secrets, Secret(value="x"), 100, 1_000.0)) == MAX_SECRETS


def test_timestamps_are_of_the_event_and_headers_of_the_attempt(now_s):
    sent = headers_of(message(created_ms=NOW_MS), b"{}", [new_secret()], now_s)
    assert sent["webhook-timestamp"] == str(now_s)
    assert datetime.now(UTC) - datetime.fromtimestamp(now_s, UTC) < timedelta(minutes=1)
