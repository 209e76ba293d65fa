import io

import pytest

from mercer.progress import Bar, line, watching


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_shows_how_far_it_is():
    shown = line("job_1", "running", 0.5, 2.14)
    assert shown == "job_1  [###############---------------]  50%  running  2.1 s"


@pytest.mark.parametrize(("fraction", "filled"), [(-1.0, 0), (0.0, 0), (1.0, 30), (7.0, 30)])
def test_the_bar_never_leaves_its_brackets(fraction, filled):
    assert line("x", "y", fraction, 0.0).count("#") == filled


def test_a_short_job_shows_no_bar():
    stream = io.StringIO()
    bar = Bar("x", stream, now=lambda: 0.4)
    bar.show("running", 0.5)
    bar.clear()
    assert stream.getvalue() == ""


def test_a_bar_is_drawn_at_most_ten_times_a_second_and_cleared():
    stream, times = io.StringIO(), iter([0.0, 1.0, 1.05, 1.2])
    bar = Bar("x", stream, now=lambda: next(times))
    for _ in range(3):
        bar.show("running", 0.5)
    bar.clear()
    assert stream.getvalue().count("running") == 2
    assert stream.getvalue().endswith("\r\x1b[2K")


@pytest.mark.parametrize(
    ("progress", "stream", "watched"),
    [
        (None, Terminal(), True),
        (None, io.StringIO(), False),
        (True, io.StringIO(), True),
        (False, Terminal(), False),
    ],
)
def test_a_bar_is_shown_only_on_a_terminal_unless_asked_for(progress, stream, watched):
    with watching(progress, "x", stream) as watch:
        assert (watch is not None) == watched


def test_a_function_is_told():
    told = []
    with watching(lambda phase, fraction: told.append((phase, fraction)), "x") as watch:
        watch("running", 0.25)
    assert told == [("running", 0.25)]
