"""Kinds of jobs whose examples need nothing that is not in them."""

import pytest

from mercer.specs import KINDS

SELF_CONTAINED = {name: kind for name, kind in KINDS.items() if not name.startswith("private_")}
"""Those of private data sets and of releases name what has to be there first: tests/client/test_private.py."""

EXAMPLES = [
    pytest.param(spec, id=f"{name}{index}")
    for name, kind in SELF_CONTAINED.items()
    for index, spec in enumerate(kind.examples)
]
