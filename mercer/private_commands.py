"""`mercer private ...`: data sets that nobody can read, and what was spent on them."""

from __future__ import annotations

import json
from argparse import Namespace

from mercer.client import Client
from mercer.privacy.terms import Box
from mercer.private import PrivateDataset
from mercer.tables import table


def protect(client: Client, arguments: Namespace) -> str:
    """Give the service a private data set; prints its name."""
    low, high = (tuple(float(one) for one in text.split(",")) for text in (arguments.low, arguments.high))
    private = client.private.protect(
        arguments.file,
        epsilon=arguments.epsilon,
        delta=arguments.delta,
        neighbours=arguments.neighbours,
        domain=Box(low=low, high=high),
        max_records=arguments.max_records,
    )
    return private.model_dump_json(indent=2) if arguments.json else private.name


def upload(client: Client, arguments: Namespace) -> str:
    """Give it the data of a private data set once more."""
    private = client.private.upload(arguments.name, arguments.file)
    return private.model_dump_json(indent=2) if arguments.json else ""


def listing(client: Client, arguments: Namespace) -> str:
    """All of them."""
    several = client.private.list()
    if arguments.json:
        return json.dumps([one.model_dump(mode="json") for one in several], indent=2)
    return table(("name", "epsilon", "delta", "spent", "releases", "data"), [_row(one) for one in several])


def show(client: Client, arguments: Namespace) -> str:
    """Its terms, and what is left."""
    return client.private.budget(arguments.name).model_dump_json(indent=2)


def spent(client: Client, arguments: Namespace) -> str:
    """What was spent on one."""
    several = client.private.spent(arguments.name)
    if arguments.json:
        return json.dumps([one.model_dump(mode="json", exclude_none=True) for one in several], indent=2)
    rows = [
        (f"{one.time:%Y-%m-%d %H:%M:%S}", one.kind, one.spender, f"{one.epsilon or 0:g}", f"{one.mu:.4g}", one.release)
        for one in several
    ]
    return table(("time (UTC)", "kind", "API key", "epsilon", "mu", "release"), rows)


def delete(client: Client, arguments: Namespace) -> str:
    """Delete the data of some."""
    for name in arguments.name:
        client.private.delete(name)
    return ""


def _row(private: PrivateDataset) -> tuple[str, ...]:
    terms = private.terms
    here = "here" if private.uploaded else "gone"
    budget = (f"{terms.epsilon:g}", f"{terms.delta:g}", f"{private.spent_epsilon:.4g}")
    return private.name, *budget, str(private.releases), here
