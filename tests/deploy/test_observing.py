"""What watches the service knows its names: a metric that was renamed is missed by no dashboard and no alert."""

import pytest

from tests.deploy.observed import ROOT, alerts, exported, expressions, headings, named, recorded

EXPORTED = exported()


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_what_is_watched_is_exported(where, expression):
    assert named(expression) - EXPORTED - recorded() == set(), where


def test_every_metric_of_ours_is_in_the_runbook():
    page = (ROOT / "docs" / "runbook.md").read_text()
    families = {name.removesuffix("_bucket") for name in EXPORTED if not name.endswith(("_count", "_sum"))}
    assert {name for name in families if name.startswith("mercer_") and name not in page} == set()


@pytest.mark.parametrize("alert", alerts())
def test_every_alert_has_its_place_in_the_runbook(alert):
    assert alert.lower() in headings(ROOT / "docs" / "runbook.md")
