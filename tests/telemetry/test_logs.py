"""Logs for machines and for people, neither with data."""

import io
import json
import logging

import pytest

from telemetry.logs import JsonFormatter, TextFormatter


@pytest.fixture
def logged():
    """What a logger writes in a form."""

    def write(formatter, act):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger = logging.Logger("mercer.test")
        logger.addHandler(handler)
        act(logger)
        return stream.getvalue()

    return write


def fail(logger):
    value = 3.14159
    try:
        raise ValueError(f"could not convert {value}")
    except ValueError:
        logger.exception("job %s failed", "abc")


def test_an_event_is_one_line_of_json(logged):
    lines = logged(JsonFormatter(), lambda logger: logger.warning("two\nlines of %s", "job-1")).splitlines()
    event = json.loads(lines[0])
    assert (len(lines), event["level"], event["logger"]) == (1, "warning", "mercer.test")
    assert event["message"] == "two\nlines of job-1"
    assert event["time"].endswith("+00:00")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_an_exception_shows_its_type_and_place_and_never_what_it_says(logged, formatter):
    text = logged(formatter, fail)
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert "job abc failed" in text
    assert "3.14159" not in text
