"""What a failed job's record says."""

import pytest

from mercer.errors import JobFailed, OutOfMemory, Unavailable
from workers.problems import reason


def needed():
    return 123_456_789


def test_our_own_errors_speak_for_themselves():
    error = Unavailable("The store is full: No space left on device.")
    assert reason(error, "j1", needed) is error


def test_out_of_memory_tells_the_bytes_and_what_to_change():
    detail = reason(MemoryError(), "j1", needed).detail
    assert "123,456,789 bytes" in detail
    assert "float32" in detail


def test_out_of_memory_tells_how_much_there_was():
    error = reason(MemoryError(), "j1", needed, memory_bytes=100_000_000)
    assert isinstance(error, OutOfMemory)
    assert "100,000,000" in error.detail


@pytest.mark.parametrize("error", [ValueError("secret 42"), ZeroDivisionError("secret 42"), KeyError("secret 42")])
def test_anything_else_names_the_job_and_shows_nothing_of_what_happened(error):
    shown = reason(error, "j1", needed)
    assert isinstance(shown, JobFailed)
    assert "j1" in shown.detail
    assert "secret" not in str(shown.problem())
    assert "Traceback" not in str(shown.problem())
