import json

import httpx2
import pytest

from broker.limits import Limits
from broker.service_broker import ServiceBroker
from mercer.errors import BY_CODE
from mercer.kernels import FUNCTIONS
from mercer.specs import KINDS
from service.app import create_app
from tests.service.conftest import SPEC, assert_problem

GAUSSIAN = {"family": "gaussian"}
DIGEST = "sha256:" + "0" * 64
JSON = {"content-type": "application/json"}


def spec(**fields):
    return json.dumps(SPEC | fields)


def nested(depth):
    kernel = GAUSSIAN
    for _ in range(depth):
        kernel = {"family": "scale", "factor": 1, "kernel": kernel}
    return kernel


BAD_FIELDS = {
    "kind": (spec(kind="gr"), "/kind", f'expected one of {", ".join(KINDS)}, got "gr"'),
    "no kind": ("{}", "/kind", "got none"),
    "no x": (json.dumps({"kind": "gram", "kernel": GAUSSIAN}), "/x", "expected this field"),
    "field": (spec(lengthscale=1), "/lengthscale", "unknown field; expected one of kind, kernel, x"),
    "family": (spec(kernel={"family": "rbf"}), "/kernel/family", f'expected one of {", ".join(FUNCTIONS)}, got "rbf"'),
    "no family": (spec(kernel={}), "/kernel/family", "got none"),
    "kernel as text": (spec(kernel="gaussian"), "/kernel", 'expected an object, got "gaussian"'),
    "kernel field": (spec(kernel=GAUSSIAN | {"scale": 1}), "/kernel/scale", "unknown field; expected one of family"),
    "in a sum": (
        spec(kernel={"family": "sum", "terms": [GAUSSIAN, {"family": "matern", "nuu": 1}]}),
        "/kernel/terms/1/nuu",
        "unknown field",
    ),
    "deep": (
        spec(
            kernel={"family": "product", "factors": [GAUSSIAN, {"family": "scale", "factor": -1, "kernel": GAUSSIAN}]}
        ),
        "/kernel/factors/1/factor",
        "expected a number > 0, got -1",
    ),
    "two bandwidths": (spec(kernel=GAUSSIAN | {"lengthscale": 1, "gamma": 1}), "/kernel", "got both"),
    "lengthscale": (spec(kernel=GAUSSIAN | {"lengthscale": 0}), "/kernel/lengthscale", "> 0, got 0"),
    "lengthscales": (spec(kernel=GAUSSIAN | {"lengthscale": [1, 2, 3]}), "/kernel/lengthscale", "1 or 2 numbers"),
    "huge lengthscale": (spec(kernel=GAUSSIAN | {"lengthscale": 10**400}), "/kernel/lengthscale", "expected"),
    "y": (spec(y=[[1.0]]), "/y", "expected shape (m, 2) as x has 2 columns, got (1, 1)"),
    "nan": (spec(x=[[0.0, 1.0], [float("nan"), 2.0]]), "/x/1/0", "expected a finite number, got NaN at index (1, 0)"),
    "inf": (spec(x=[[0.0, 1.0], [2.0, 7777]]).replace("7777", "1e999"), "/x/1/1", "got Infinity at index (1, 1)"),
    "text in x": (spec(x=[[0.0, "1.5"]]), "/x/0/1", 'expected a number, got "1.5"'),
    "flat x": (spec(x=[0.0, 1.0]), "/x/0", "expected a list, got 0.0"),
    "ragged": (spec(x=[[1.0, 2.0], [3.0]]), "/x", "got 1 numbers in row 1 and 2 in row 0"),
    "empty": (spec(x=[]), "/x", "got none"),
    "long": (spec(x=[[0.0]] * 1001), "/x", "at most 1000 inline numbers, got 1001; upload it"),
    "null": (spec(x=None), "/x", "expected a list of rows or"),
    "digest": (spec(x={"dataset": "sha256:12"}), "/x/dataset", 'got "sha256:12"'),
    "reference": (spec(x={"dataset": DIGEST, "colums": [0]}), "/x/colums", "unknown field"),
    "columns": (
        spec(x={"dataset": DIGEST, "columns": [0, 1.5]}),
        "/x/columns/1",
        "expected an integer or text, got 1.5",
    ),
    "rows": (spec(x={"dataset": DIGEST, "rows": {"start": 0, "stp": 2}}), "/x/rows/stp", "unknown field"),
    "dtype": (spec(dtype="float16"), "/dtype", "expected 'float32' or 'float64'"),
    "bool": (spec(centre="yes"), "/centre", 'expected true or false, got "yes"'),
    "options": (spec(y=[[1.0, 2.0]], centre=True), "", "expected no y with centre"),
    "odd name": (spec(**{"a/b~c": 1}), "/a~1b~0c", "unknown field"),
    "a list": ("[]", "", "expected an object, got a list of 0 items"),
}


@pytest.mark.parametrize(("body", "pointer", "detail"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_a_bad_field_is_named_with_what_was_expected_and_got(client, body, pointer, detail):
    answer = await client.post("/v1/jobs", content=body, headers=JSON)
    assert_problem(answer, 422, "invalid-spec", pointer, detail)
    assert (await client.get("/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(("body", "pointer", "detail"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_among_several_it_is_named_with_its_place(client, body, pointer, detail):
    several = f'{{"jobs": [{spec()}, {body}]}}'
    answer = await client.post("/v1/jobs", content=several, headers=JSON)
    assert_problem(answer, 422, "invalid-spec", f"/jobs/1{pointer}", detail)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"kind": "gram"} x', b"[" * 4_000, b'{"kind":"gram","x":' + b"[" * 4_000, b"9" * 5_000],
    ids=["empty", "cut", "no text", "more", "deep", "deep in x", "long number"],
)
async def test_what_is_no_json_cannot_be_read(client, body):
    answer = await client.post("/v1/jobs", content=body, headers=JSON)
    assert_problem(answer, 400, "invalid-request", detail="expected a JSON document")


@pytest.mark.parametrize("field", ["lengthscale", "gamma", "active_dimensions"])
async def test_a_number_of_thousands_of_digits_is_refused(client, field):
    body = spec(kernel=GAUSSIAN | {field: 7777}).replace("7777", "9" * 4_000)
    answer = await client.post("/v1/jobs", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 1_500


async def test_a_deep_expression_is_taken_or_refused_but_breaks_nothing(client):
    answers = [
        await client.post("/v1/jobs", json=SPEC | {"kernel": nested(depth)}) for depth in (20, 60, 120, 190, 400)
    ]
    assert [answer.status_code < 500 for answer in answers] == [True] * 5


async def test_a_long_input_is_not_echoed(client):
    secret = "x" * 10_000
    answer = await client.post(
        "/v1/jobs", json=SPEC | {"dtype": secret, "centre": [secret], "kernel": {"family": secret}}
    )
    assert answer.status_code == 422
    assert len(answer.content) < 1_500


async def test_a_thousand_bad_fields_are_not_all_listed(client):
    answer = await client.post("/v1/jobs", json=SPEC | {f"f{i}": 1 for i in range(1_000)})
    problem = assert_problem(answer, 422, "invalid-spec", "/f0")
    assert problem["detail"] == "1000 fields are not valid."
    assert len(problem["errors"]) == 20


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ([1] * 300_000, "262,144 values"),
        ([[]] * 30_000, "4,096 lists"),
        ([{}] * 30_000, "1,024 objects"),
        ({f"f{i}": 1 for i in range(20_000)}, "4,096 fields"),
    ],
)
@pytest.mark.parametrize("form", ["%s", '{"jobs": [%s]}'])
async def test_a_long_document_that_holds_more_than_any_honest_one_is_refused(client, form, field, what):
    answer = await client.post("/v1/jobs", content=form % spec(x=field), headers=JSON)
    assert_problem(answer, 413, "too-large", detail=f"expected a document of at most {what}, got more")


MANY = [spec(dtype="float32", x=[[0.5] * 9] * 9)] * 200


async def test_a_long_submission_is_taken_as_a_short_one_is(client):
    answer = await client.post("/v1/jobs", content=f' {{ "jobs" : [ {" , ".join(MANY[:15])} ] }} ', headers=JSON)
    long = await client.post(
        "/v1/jobs", content=f'{{"jobs":[\n{spec(x=[[0.1] * 999] * 1)}\n]\n}}'.ljust(70_000), headers=JSON
    )
    assert (answer.status_code, long.status_code) == (202, 202)
    assert len(answer.json()["jobs"]) == 15


async def test_the_faults_of_a_long_submission_are_named_with_their_places(client):
    jobs = [*MANY, spec(dtype="double"), *MANY, spec(kernel={"family": "sum"})]
    answer = await client.post("/v1/jobs", content=f'{{"jobs": [{",".join(jobs)}]}}', headers=JSON)
    problem = assert_problem(answer, 422, "invalid-spec", "/jobs/200/dtype", "expected 'float32' or 'float64'")
    assert problem["errors"][1]["pointer"] == "/jobs/401/kernel/terms"


@pytest.mark.parametrize(
    ("end", "status", "code", "detail"),
    [
        ("", 400, "invalid-request", "got no comma"),
        ("]", 422, "invalid-spec", "not valid"),
        ('], "more": 1}', 422, "invalid-spec", "not valid"),
        (",]}", 400, "invalid-request", "expecting value"),
        (";", 400, "invalid-request", "got no comma"),
        (",NaN]}", 422, "invalid-spec", "not valid"),
        (f",{'9' * 5_000}]}}", 400, "invalid-request", "too many digits"),
        (f",{'[' * 50_000}", 400, "invalid-request", "too deep"),
        (",1" * 1_000 + "]}", 422, "invalid-spec", "not valid"),
        ("]}}", 422, "invalid-spec", "not valid"),
    ],
)
async def test_what_is_wrong_with_a_long_submission_is_said(client, end, status, code, detail):
    answer = await client.post("/v1/jobs", content='{"jobs": [' + ",".join(MANY) + end, headers=JSON)
    assert_problem(answer, status, code, detail=detail)


async def test_a_compressed_body_is_refused_unread(client):
    answer = await client.post("/v1/jobs", content=b"...", headers=JSON | {"content-encoding": "gzip"})
    assert_problem(answer, 415, "unsupported-format", detail="expected no Content-Encoding, got gzip")


async def test_a_key_of_a_million_letters_is_not_echoed(client):
    answer = await client.post("/v1/jobs", content=spec(**{"k" * 1_000_000: 1}), headers=JSON)
    assert answer.status_code == 422
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/wait", "/v1/jobs/results"])
async def test_a_body_of_another_type_is_refused(client, path):
    answer = await client.post(path, content=spec(), headers={"content-type": "application/x-www-form-urlencoded"})
    assert_problem(answer, 415, "unsupported-format", detail="Content-Type: application/json")


@pytest.mark.parametrize(
    ("path", "size"), [("/v1/jobs", 2**23 + 1), ("/v1/jobs/wait", 2**20 + 1), ("/v1/jobs/results", 2**20 + 1)]
)
async def test_a_body_over_the_limit_is_refused_before_it_is_read(client, path, size):
    async def never():
        raise AssertionError("the body was read")
        yield b""

    answer = await client.post(path, content=never(), headers=JSON | {"content-length": str(size)})
    assert_problem(answer, 413, "too-large", detail=f"at most {size - 1} bytes")


async def test_a_body_that_declares_nothing_is_counted_while_it_comes(client):
    async def endless():
        while True:
            yield b" " * 2**20

    assert_problem(await client.post("/v1/jobs", content=endless(), headers=JSON), 413, "too-large")


async def test_a_single_spec_over_its_limit_is_refused(client):
    answer = await client.post("/v1/jobs", content=spec() + " " * 2**20, headers=JSON)
    assert_problem(answer, 413, "too-large", detail="upload its arrays")


@pytest.mark.parametrize("length", ["x", "-1", "9" * 30])
async def test_a_content_length_that_lies_is_refused(client, length):
    answer = await client.post("/v1/jobs", content=spec(), headers=JSON | {"content-length": length})
    assert answer.status_code in {400, 413}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["x"] * 1001}, {"ids": [1]}, {"ids": ["x"], "wait": 1}])
@pytest.mark.parametrize("path", ["/v1/jobs/wait", "/v1/jobs/results"])
async def test_a_bad_list_of_jobs_is_refused(client, path, body):
    answer = await client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/v2/jobs"), ("POST", "/v1/nothing")])
async def test_an_unknown_address_is_a_problem(client, method, path):
    assert_problem(await client.request(method, path), 404, "not-found", detail=path)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/kinds", "GET"),
        ("/v1/jobs", "GET, POST"),
        ("/v1/jobs/retry-dead", "POST"),
        ("/v1/jobs/one", "GET"),
        (f"/v1/datasets/sha256:{'0' * 64}", "DELETE, GET, HEAD, PUT"),
        ("/v1/webhooks/one", "DELETE, GET, PATCH"),
    ],
)
async def test_a_method_that_an_address_has_not_is_a_problem_that_names_all_it_has(client, path, methods):
    answer = await client.options(path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == methods
    assert answer.json()["type"] == "about:blank"


@pytest.fixture
def failing(app):
    """Makes GET /v1/fail raise."""

    def fail(error):
        @app.get("/v1/fail")
        async def route():
            raise error

    return fail


async def test_what_nobody_expected_is_a_problem_that_tells_nothing(client, failing, caplog):
    failing(RuntimeError("a secret"))
    answer = await client.get("/v1/fail")
    problem = assert_problem(answer, 500, "error", detail="incident")
    assert "secret" not in answer.text
    assert problem["detail"].rstrip(".").split()[-1] in caplog.text


@pytest.mark.parametrize("error", BY_CODE.values(), ids=BY_CODE)
async def test_every_error_of_the_tree_is_its_problem(client, failing, error):
    failing(error("for a reason", retry_after_s=7))
    answer = await client.get("/v1/fail")
    assert_problem(answer, error.status, error.code, detail="for a reason")
    assert answer.headers["retry-after"] == "7"


async def test_when_redis_is_away_the_client_is_told_when_to_come_back(settings, objects):
    broker = ServiceBroker(
        "unix:///nowhere.sock", namespace="x", result_ttl_s=1, idempotency_ttl_s=1, limits=Limits(1, 1, 0.8)
    )
    away = create_app(settings, broker, objects)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(away), base_url="http://testserver") as client:
        answer = await client.post("/v1/jobs", json=SPEC)
    await broker.close()
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
