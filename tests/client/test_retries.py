import pytest

from mercer.errors import ConnectionFailed, InvalidSpec, MercerError, QueueFull, Unavailable
from mercer.retries import RETRIES, exchange, retry_delay_s
from mercer.steps import Pause, Reply, Request

REQUEST = Request("POST", "/v1/jobs", headers={"Idempotency-Key": "k"})
AWAY = ConnectionFailed("away")
FULL = Reply(429, {"retry-after": "7"}, b'{"type": "urn:mercer:problem:queue-full", "detail": "full"}')


def outcome_of(flow, outcomes):
    """Answers each request in turn; what was sent and how long was slept, and the flow's value."""
    outcomes, sent, slept, outcome = list(outcomes), [], [], None
    while True:
        try:
            step = flow.send(outcome)
        except StopIteration as end:
            return end.value, sent, slept
        outcome = None
        if isinstance(step, Pause):
            slept.append(step.seconds)
        else:
            sent.append(step)
            outcome = outcomes.pop(0)


@pytest.mark.parametrize("failure", [AWAY, Reply(503, {}), Reply(502, {}), Reply(504, {}), Reply(408, {}), FULL])
def test_what_may_pass_is_tried_again_with_the_same_key(failure):
    reply, sent, _ = outcome_of(exchange(REQUEST), [failure, failure, Reply(200, {}, b"ok")])
    assert reply.body == b"ok"
    assert sent == [REQUEST] * 3


def test_a_conflict_is_tried_again_only_when_it_says_when():
    assert retry_delay_s(Reply(409, {"retry-after": "1"}), 0, 0.0) == 1.0
    assert retry_delay_s(Reply(409, {}), 0, 0.0) is None


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500])
def test_what_will_not_pass_is_sent_once(status):
    with pytest.raises(MercerError):
        outcome_of(exchange(REQUEST), [Reply(status, {}, b"{}")])


def test_after_the_retries_the_last_error_is_raised():
    with pytest.raises(QueueFull, match="full") as caught:
        outcome_of(exchange(REQUEST), [FULL] * (RETRIES + 1))
    assert caught.value.retry_after_s == 7


def test_retry_after_is_honoured():
    _, _, slept = outcome_of(exchange(REQUEST), [FULL, Reply(200, {})])
    assert 7.0 <= slept[0] <= 7.5


def test_an_hours_rest_is_left_to_the_caller():
    with pytest.raises(Unavailable):
        outcome_of(
            exchange(REQUEST), [Reply(503, {"retry-after": "3600"}, b'{"type": "urn:mercer:problem:unavailable"}')]
        )


def test_pauses_grow_and_stay_bounded():
    delays = [retry_delay_s(AWAY, attempt, 0.5) for attempt in range(2_000)]
    assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
    assert delays[-1] == 2.0


def test_jitter_spreads_the_pauses():
    assert retry_delay_s(AWAY, 0, 0.0) == 0.1
    assert retry_delay_s(AWAY, 0, 1.0) == pytest.approx(0.3)


def test_patience_outlasts_a_restart():
    reply, sent, _ = outcome_of(exchange(REQUEST, patience_s=60.0), [AWAY] * 10 + [Reply(200, {})])
    assert reply.status == 200
    assert len(sent) == 11


def test_an_accepted_status_is_an_answer():
    reply, _, _ = outcome_of(exchange(REQUEST, accept=(404,)), [Reply(404, {})])
    assert reply.status == 404


def test_a_problem_document_comes_back_as_its_class_with_pointers():
    body = b'{"type": "urn:mercer:problem:invalid-spec", "detail": "no", "errors": [{"pointer": "/x", "detail": "y"}]}'
    with pytest.raises(InvalidSpec, match="no") as caught:
        outcome_of(exchange(REQUEST), [Reply(422, {}, body)])
    assert caught.value.errors == (("/x", "y"),)


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[1]", b"\xff"])
def test_an_answer_from_something_between_names_its_status(body):
    with pytest.raises(MercerError, match="status 500"):
        outcome_of(exchange(REQUEST), [Reply(500, {}, body)])


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_a_service_behind_it_means_not_available(status):
    with pytest.raises(Unavailable, match=f"status {status}"):
        outcome_of(exchange(REQUEST), [Reply(status, {}, b"<html>")] * (RETRIES + 1))
