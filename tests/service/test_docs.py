import re
from pathlib import Path

import pytest

from mercer.errors import BY_CODE
from mercer.keys import Scope
from service.app import bare_app
from service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "02-http.md").read_text()
ROUTES = [
    f"{method} {route.path}" for route in bare_app().routes for method in route.methods if route.path != "/openapi.json"
]


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_has_a_heading_and_an_example(route):
    section = PAGE.partition(f"### {route}\n")[2].partition("\n##")[0]
    assert "curl" in section, route


@pytest.mark.parametrize("code", BY_CODE)
def test_every_problem_is_listed(code):
    assert f"`{code}`" in PAGE


def test_the_table_of_problems_has_their_statuses():
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE))
    assert rows
    assert {code: int(status) for code, status in rows.items()} == {code: BY_CODE[code].status for code in rows}


def test_the_drain_time_is_the_setting():
    assert f"`MERCER_DRAIN_S`, {Settings().drain_s} seconds" in PAGE


def test_every_scope_is_on_its_page():
    page = (DOCS / "08-keys.md").read_text()
    assert [scope for scope in Scope if f"| `{scope}` |" not in page] == []
