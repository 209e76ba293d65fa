"""Every kind of job through the client and the whole service."""

import json

import numpy as np
import pytest

from mercer.specs import KINDS, SPEC

EXAMPLES = [pytest.param(spec, id=f"{name}{i}") for name, kind in KINDS.items() for i, spec in enumerate(kind.examples)]


@pytest.mark.parametrize("document", EXAMPLES)
def test_every_example_is_answered(client, document):
    spec = SPEC.validate_json(json.dumps(document))
    answer = client.run(spec)
    assert str(answer)
    assert isinstance(answer, np.ndarray) or type(answer).__module__.startswith("mercer.")


@pytest.mark.parametrize("document", EXAMPLES)
def test_an_answer_that_has_a_picture_draws_it(client, document, tmp_path):
    pytest.importorskip("matplotlib")
    spec = SPEC.validate_json(json.dumps(document))
    answer = client.run(spec)
    if hasattr(answer, "plot"):
        assert answer.plot(tmp_path / "answer.png").read_bytes().startswith(b"\x89PNG")


def test_a_batch_takes_all_kinds_together(client):
    specs = {name: SPEC.validate_json(json.dumps(kind.examples[0])) for name, kind in KINDS.items()}
    answers = dict(client.batch(specs.items()).results())
    assert {name: type(answer) for name, answer in answers.items()} == {
        name: type(client.run(spec)) for name, spec in specs.items()
    }
