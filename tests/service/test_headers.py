import pytest

from mercer.errors import InvalidRequest, NotAcceptable
from service.headers import Fields, RangeNotSatisfiable, byte_range, cancel_after, choose, matches, preference


@pytest.mark.parametrize(
    ("prefer", "wait_s", "applied"),
    [
        (None, 0, None),
        ("", 0, None),
        ("wait=5", 5, "wait=5"),
        ('wait="5"', 5, "wait=5"),
        ("WAIT = 5", 5, "wait=5"),
        ("respond-async, wait=5", 5, "wait=5"),
        ("wait=600", 30, "wait=30"),
        ("wait=0", 0, "wait=0"),
        ("respond-async", 0, "respond-async"),
        ("wait=soon", 0, None),
        ("wait=-1", 0, None),
        ("handling=strict; x=1", 0, None),
    ],
)
def test_prefer_is_read_as_rfc_7240_has_it(prefer, wait_s, applied):
    assert preference(prefer) == (wait_s, applied)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "a/json"),
        ("", "a/json"),
        ("*/*", "a/json"),
        ("a/*", "a/json"),
        ("b/npy", "b/npy"),
        ("a/json;q=0.1, b/npy;q=0.2", "b/npy"),
        ("B/NPY ; Q=1", "b/npy"),
        ("a/json;q=0, */*;q=0.1", "b/npy"),
    ],
)
def test_the_best_offer_is_chosen(accept, chosen):
    assert choose(accept, ("a/json", "b/npy")) == chosen


@pytest.mark.parametrize("accept", ["text/html", "*/*;q=0", "a/json;q=x"])
def test_when_no_offer_is_acceptable_it_is_refused(accept):
    with pytest.raises(NotAcceptable, match="a/json or b/npy"):
        choose(accept, ("a/json", "b/npy"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), ('"x"', True), ('W/"x"', True), ('"y", "x"', True), ("*", True), ('"y"', False)],
)
def test_a_known_version_is_recognised(value, expected):
    assert matches(value, '"x"') is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=2-99", (2, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=-", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_has_it(value, expected):
    assert byte_range(value, 10) == expected


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_without_bytes_is_not_satisfiable(value):
    with pytest.raises(RangeNotSatisfiable):
        byte_range(value, 10)


@pytest.mark.parametrize(
    ("value", "milliseconds"), [(None, 0), ("1s", 1_000), ("30s", 30_000), ("10m", 600_000), ("24h", 86_400_000)]
)
def test_a_deadline_is_a_number_and_its_unit(value, milliseconds):
    assert cancel_after(value) == milliseconds


@pytest.mark.parametrize(
    "value", ["", "30", "0s", "1.5s", "25h", "86401s", "-1s", "1d", "30 s", "9" * 30 + "s", "1h30m"]
)
def test_a_deadline_out_of_range_or_without_its_unit_is_refused(value):
    with pytest.raises(InvalidRequest, match="1s to 24h, such as 30s"):
        cancel_after(value)


def test_of_equal_fields_the_first_counts_and_a_missing_one_is_none():
    fields = Fields({"headers": [(b"prefer", b"wait=1"), (b"accept", b"caf\xe9"), (b"prefer", b"wait=2")]})
    assert [fields.get(name) for name in ("prefer", "accept", "range")] == ["wait=1", "caf\xe9", None]
