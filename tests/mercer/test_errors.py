import re

import pytest

from mercer import errors
from mercer.errors import BY_CODE, FieldError, JobFailed, MercerError, from_problem

CLASSES = list(BY_CODE.values())
RAISED_BY_THE_CLIENT = {
    "DeliveryFailed",
    "JobFailed",
    "JobCancelled",
    "JobExpired",
    "JobDead",
    "OutOfMemory",
    "WaitTimeout",
    "ConnectionFailed",
}
every_error = pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)


def documented():
    """The tree at the top of the module: each name with its parent's and its status."""
    parents = {}
    branch = []
    for indent, name, status in re.findall(r"^( *)([A-Z]\w+)(?: +(\d{3}))?(?= |$)", errors.__doc__, re.MULTILINE):
        if name not in vars(errors):
            continue
        depth = len(indent) // 4
        branch[depth:] = [name]
        parents[name] = (branch[depth - 1] if depth else None, int(status) if status else None)
    return parents


def test_the_tree_at_the_top_is_the_tree_of_the_classes():
    classes = {error.__name__: error.__base__.__name__ for error in CLASSES if error is not MercerError}
    assert {name: parent for name, (parent, _) in documented().items() if parent} == classes


@every_error
def test_the_tree_tells_each_status(error):
    _, status = documented()[error.__name__]
    expected = None if error.__name__ in RAISED_BY_THE_CLIENT | {"MercerError"} else error.status
    if error.__base__ is not errors.NotFound:
        assert status == expected


@every_error
def test_every_error_has_a_code_a_status_a_title_and_a_sentence(error):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code)
    assert 400 <= error.status < 600
    assert error.title
    assert error.__doc__


@every_error
def test_every_error_is_a_public_name(error):
    assert getattr(errors, error.__name__) is error


def test_no_two_errors_have_one_code():
    assert len({error.code for error in CLASSES}) == len(CLASSES)


@every_error
@pytest.mark.parametrize("fields", [(), (FieldError("/kernel/lengthscale", "expected > 0, got -1"),)])
def test_an_error_comes_back_from_its_problem_document(error, fields):
    sent = error("expected this, got that", errors=fields)
    received = from_problem(sent.problem(), retry_after_s=3)
    assert type(received) is error
    assert (received.detail, received.errors, received.retry_after_s) == (sent.detail, fields, 3)
    assert received.problem() == sent.problem()


def test_a_problem_document_is_that_of_rfc_9457():
    problem = errors.InvalidSpec("no", errors=(FieldError("/x", "bad"),)).problem()
    assert problem == {
        "type": "urn:mercer:problem:invalid-spec",
        "title": "The job spec is not valid",
        "status": 422,
        "detail": "no",
        "errors": [{"pointer": "/x", "detail": "bad"}],
    }
    assert "errors" not in errors.InvalidSpec("no").problem()


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({"type": "urn:mercer:problem:of-a-newer-service", "detail": "why"}, "why"),
        ({"type": "about:blank", "title": "Bad Gateway"}, "Bad Gateway"),
        ({}, "The service gave no reason."),
    ],
)
def test_an_unknown_problem_is_still_an_error(document, detail):
    error = from_problem(document)
    assert type(error) is MercerError
    assert str(error) == detail


def test_the_text_names_every_field():
    error = errors.InvalidSpec("no", errors=(FieldError("/x", "bad"), FieldError("/y", "worse")))
    assert str(error) == "no\n  /x: bad\n  /y: worse"


def test_all_ends_of_a_job_without_a_result_are_caught_at_once():
    assert issubclass(errors.JobCancelled, JobFailed)
    assert issubclass(errors.JobDead, JobFailed)
    assert not issubclass(errors.WaitTimeout, JobFailed)
