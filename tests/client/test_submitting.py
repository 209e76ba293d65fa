import json

import numpy as np
import pytest

import mercer
from mercer import kernels as k
from mercer.arrays import from_npy
from mercer.errors import FieldError, InvalidSpec, MercerError, QueueFull, TooLarge
from mercer.steps import Reply, Together, Work
from mercer.submitting import MAX_BODY_BYTES, MAX_HELD_BYTES, SUBMIT_JOBS, bodies, held_specs, renumbered, submit_many

LARGE = np.random.default_rng(0).random((200, 8))
SMALL = LARGE[:10]


def gram(x, lengthscale=1.0):
    return mercer.Gram(kernel=k.Gaussian(lengthscale=lengthscale), x=x)


def answered(request, known):
    """As a service does that accepts all and has the `known` digests."""
    if request.method == "HEAD":
        return Reply(200 if request.path.removeprefix("/v1/datasets/") in known else 404, {})
    if request.method == "PUT":
        return Reply(201, {}, b"{}")
    jobs = [{"id": "j", "kind": "gram", "state": "queued", "batch_key": "b", "created_at": 0}]
    return Reply(202, {}, json.dumps({"jobs": jobs * len(json.loads(request.body)["jobs"])}).encode())


def sent_for(specs, known=()):
    """The requests of a submission."""
    sent = []

    def answer(request):
        sent.append(request)
        return answered(request, known)

    run(submit_many(specs, "key"), answer)
    return sent


def run(flow, answer):
    """What the flow returns; two at once are run one after the other."""
    outcome = None
    while True:
        try:
            step = flow.send(outcome)
        except StopIteration as end:
            return end.value
        if isinstance(step, Work):
            outcome = step.function()
        elif isinstance(step, Together):
            outcome = [ended(one, answer) for one in step]
        else:
            outcome = answer(step)


def ended(flow, answer):
    """What the flow returns or raises."""
    try:
        return run(flow, answer)
    except MercerError as error:
        return error


def methods(sent):
    return [request.method for request in sent]


def test_a_large_array_is_uploaded_once_for_all_its_jobs():
    sent = sent_for(gram(LARGE, scale) for scale in (1.0, 2.0, 3.0))
    assert methods(sent) == ["HEAD", "PUT", "POST"]
    digest = sent[0].path.removeprefix("/v1/datasets/")
    assert [job["x"] for job in json.loads(sent[2].body)["jobs"]] == [{"dataset": digest}] * 3


def test_a_known_digest_moves_no_bytes():
    digest = sent_for([gram(LARGE)])[0].path.removeprefix("/v1/datasets/")
    assert methods(sent_for([gram(LARGE)], known=[digest])) == ["HEAD", "POST"]


def test_a_small_array_travels_in_the_spec():
    sent = sent_for([gram(SMALL)])
    assert methods(sent) == ["POST"]
    assert mercer.Gram.model_validate_json(json.dumps(json.loads(sent[0].body)["jobs"][0])).x.tolist() == SMALL.tolist()


def test_a_small_array_of_many_jobs_is_uploaded():
    sent = sent_for(gram(SMALL, scale) for scale in np.linspace(1.0, 2.0, 20).tolist())
    assert methods(sent) == ["HEAD", "PUT", "POST"]


def uploaded_matrix(request):
    return from_npy(b"".join(request.body()))


def test_small_arrays_of_many_jobs_are_stacked_into_one_upload():
    xs = [LARGE[start : start + 20 + start] for start in range(100)]
    sent = sent_for(gram(x) for x in xs)
    assert methods(sent) == ["PUT", "POST"]
    stack = uploaded_matrix(sent[0])
    for x, job in zip(xs, json.loads(sent[1].body)["jobs"], strict=True):
        rows = job["x"]["rows"]
        np.testing.assert_array_equal(stack[rows["start"] : rows["stop"]], x)


def test_arrays_of_another_width_or_dtype_are_another_stack():
    xs = [LARGE[:, :columns].astype(dtype) for columns in (1, 2) for dtype in ("float32", "float64")]
    sent = sent_for(gram(x[start : start + 100].copy()) for x in xs for start in range(90))
    stacks = [uploaded_matrix(request) for request in sent if request.method == "PUT"]
    assert sorted((stack.shape[1], stack.dtype.name) for stack in stacks) == [
        (1, "float32"),
        (1, "float64"),
        (2, "float32"),
        (2, "float64"),
    ]


def test_points_that_must_not_be_negative_stay_in_their_specs_for_the_service_to_check():
    kernel = k.Chi2() + k.White()
    sent = sent_for(mercer.Gram(kernel=kernel, x=LARGE[start : start + 20]) for start in range(100))
    assert methods(sent) == ["POST"]


def test_different_parts_of_one_array_are_different_uploads():
    sent = sent_for([gram(LARGE[:150]), gram(LARGE[50:]), gram(LARGE[:150].copy())])
    paths = [request.path for request in sent if request.method == "HEAD"]
    assert len(set(paths)) == 2


def test_an_array_shared_across_requests_is_hashed_once():
    sent = sent_for(gram(LARGE, scale) for scale in np.linspace(1.0, 2.0, SUBMIT_JOBS + 1).tolist())
    assert methods(sent) == ["HEAD", "PUT", "POST", "POST"]


def test_every_request_has_its_own_key():
    sent = sent_for(gram(LARGE, scale) for scale in np.linspace(1.0, 2.0, SUBMIT_JOBS + 1).tolist())
    keys = [request.headers["Idempotency-Key"] for request in sent if request.method == "POST"]
    assert keys[0] == "key:0"
    assert len(set(keys)) == len(keys)


def test_no_specs_are_no_request():
    assert sent_for([]) == []


def test_requests_are_short_enough_to_overlap_with_the_work():
    held = held_specs([gram(SMALL)] * (2 * SUBMIT_JOBS + 5))
    assert [len(specs) for specs in held] == [SUBMIT_JOBS, SUBMIT_JOBS, 5]


def test_a_generator_of_large_arrays_is_not_read_ahead():
    rows = MAX_HELD_BYTES // 16
    specs = (gram(np.zeros((rows, 1))) for _ in range(5))
    assert [len(held) for held in held_specs(specs)] == [2, 2, 1]


def test_a_shared_array_counts_once_toward_what_is_held():
    x = np.zeros((MAX_HELD_BYTES // 16, 1))
    assert [len(held) for held in held_specs([gram(x)] * 5)] == [5]


def test_bodies_stay_below_the_limit_and_lose_nothing():
    specs = [b'"' + b"x" * (MAX_BODY_BYTES // 3) + b'"'] * 4
    parts = list(bodies(specs))
    assert all(len(part) <= MAX_BODY_BYTES + 100 for part in parts)
    assert [len(json.loads(part)["jobs"]) for part in parts] == [2, 2]


def test_pointers_count_from_the_first_job_of_all():
    error = InvalidSpec("no", errors=(FieldError("/jobs/3/kernel", "a"), FieldError("/x", "b")))
    shifted = renumbered(error, 1_000)
    assert isinstance(shifted, InvalidSpec)
    assert [field.pointer for field in shifted.errors] == ["/jobs/1003/kernel", "/x"]
    assert shifted.__notes__ == ["The first 1000 jobs were admitted and go on."]


def test_a_refusal_keeps_after_how_long_to_come_back():
    assert renumbered(QueueFull("full", retry_after_s=9), 0).retry_after_s == 9


@pytest.mark.parametrize("rows", [None, mercer.Rows(start=0, stop=5), (4, 2), slice(0, 5), range(3)])
def test_a_data_set_or_a_part_of_it_stands_for_points(rows):
    dataset = mercer.Dataset(
        digest="sha256:" + "0" * 64,
        shape=(9, 2),
        dtype="float64",
        format="npy",
        size_bytes=1,
        created_at="2026-01-01T00:00:00Z",
    )
    expected = mercer.DatasetReference(dataset=dataset.digest, columns=("a", 1), rows=rows)
    assert gram(dataset.select(columns=["a", 1], rows=rows)).x == expected
    assert gram(dataset).x == mercer.DatasetReference(dataset=dataset.digest)


def test_an_upload_that_fails_says_how_many_jobs_were_admitted_before():
    uploads = []

    def answer(request):
        if request.method == "PUT" and uploads.append(request) is None and len(uploads) == 2:
            return Reply(413, {}, b'{"type": "urn:mercer:problem:too-large", "detail": "too large"}')
        return answered(request, ())

    specs = (gram(np.full((50, 2), float(number))) for number in range(2 * SUBMIT_JOBS))
    with pytest.raises(TooLarge) as refusal:
        run(submit_many(specs, "key"), answer)
    assert refusal.value.__notes__ == [f"The first {SUBMIT_JOBS} jobs were admitted and go on."]
