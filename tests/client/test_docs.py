"""The pages of the client are run: what they show works."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mercer.cli import main, parser
from mercer.specs import KINDS, Gram
from tests.service.receivers import receiving

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MERCER_URL", url)
    return tmp_path


def test_the_page_of_the_client_runs_from_top_to_bottom():
    names = {}
    for block in blocks("01-sdk.md", "python"):
        exec(compile(block, "01-sdk.md", "exec"), names)
    assert names["K"].shape == (500, 500)


def test_the_page_of_the_command_runs_from_top_to_bottom(folder, client, capsys):
    pytest.importorskip("matplotlib")
    (folder / "points.csv").write_text(blocks("05-cli.md", "")[0])
    np.save(folder / "other.npy", np.ones((2, 2)))
    for name in ("patients.csv", "corrected.csv"):
        (folder / name).write_text("height,weight,smokes\n170,65,0\n182,80,1\n")
    private = None
    (folder / "jobs.jsonl").write_text(json.dumps({"custom_id": "a", "spec": Gram.examples[0]}))
    for line in "".join(blocks("05-cli.md", "sh")).splitlines():
        words = shlex.split(line.replace(" ID", f" {client.jobs(limit=1)[0].id}" if " ID" in line else " ID"))
        words = [word if word != "DIGEST" else client.datasets.list()[0].digest for word in words]
        words = [word if word != "PRIVATE" else private for word in words]
        words = [word if word != "KEY_ID" else client.keys.list()[0].id for word in words]
        words = [word if word != "WEBHOOK" else client.webhooks.list()[-1].id for word in words]
        assert words[0] == "mercer"
        assert main(words[1:]) == 0, f"{line}: {capsys.readouterr().err}"
        if words[1:3] == ["private", "protect"]:
            private = capsys.readouterr().out.splitlines()[-1]


def test_every_command_and_option_is_on_its_page():
    page = (DOCS / "05-cli.md").read_text()
    assert [option for option in options(parser()) if option not in page] == []


KIND_COMMANDS = {kind.replace("_", "-") for kind in KINDS} - {"gram"}
"""Their options are the fields of their specs, which --help describes."""


def options(command):
    """The names of commands and the long names of options, all the way down."""
    for action in command._actions:
        yield from (
            name for name in action.option_strings if name.startswith("--") and name not in ("--help", "--output")
        )
        for name, child in (action.choices or {}).items() if isinstance(action.choices, dict) else ():
            yield name
            yield from () if name in KIND_COMMANDS else options(child)


def test_the_page_of_batches_runs_from_top_to_bottom():
    names = {}
    for block in blocks("07-batches.md", "python"):
        exec(compile(block, "07-batches.md", "exec"), names)
    assert len(names["matrices"]) == 100


def test_the_page_of_webhooks_runs_from_top_to_bottom(capsys):
    with receiving() as receiver:
        for block in blocks("09-webhooks.md", "python"):
            exec(compile(block.replace("http://localhost:9000/hook", receiver.url), "09-webhooks.md", "exec"), {})
    assert "delivered None" in capsys.readouterr().out


def test_the_page_of_sliced_wasserstein_runs_from_top_to_bottom():
    pytest.importorskip("matplotlib")
    names = {}
    for block in blocks("10-sliced-wasserstein.md", "python"):
        exec(compile(block, "10-sliced-wasserstein.md", "exec"), names)
    names["client"].close()


def test_the_page_of_privacy_runs_from_top_to_bottom():
    names = {}
    for block in blocks("privacy.md", "python"):
        exec(compile(block, "privacy.md", "exec"), names)
    for other in (names["asked"], names["offline"]):
        np.testing.assert_array_equal(other.sums, names["answer"].sums)
