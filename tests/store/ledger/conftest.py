import hashlib
import secrets

import pytest

from mercer.privacy import Budget, Loss
from store.ledger import Database, Ledger, Terms
from tests.store.ledger.postgresql import PostgreSQL, programs

TENTH = Loss.pure(0.1)


@pytest.fixture(scope="session")
def postgresql():
    if programs() is None:
        pytest.skip("needs PostgreSQL: initdb and postgres on the PATH")
    with PostgreSQL() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path, namespace):
    """The laws of the ledger hold for every database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return request.getfixturevalue("postgresql").schema(namespace)


@pytest.fixture
def sqlite_path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def sqlite_url(sqlite_path):
    return f"sqlite:///{sqlite_path}"


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def ledger(database, local):
    return Ledger(database, local)


@pytest.fixture
def name():
    return secrets.token_hex(16)


@pytest.fixture
def terms():
    return Terms(Budget.of(1.0, 1e-6), "add_or_remove_one", '{"high":[1.0],"low":[0.0]}')


@pytest.fixture
def protected(ledger, name, terms):
    """The name of a data set with a budget of (1, 1e-6)."""
    ledger.protect("acme", name, terms, "custodian")
    return name


def charge(ledger, name, key, *, loss=TENTH, fingerprint="f" * 64, tenant="acme"):
    return ledger.charge(
        tenant,
        name,
        key=key,
        release_id=hashlib.sha256(f"{tenant}/{key}".encode()).hexdigest()[:32],
        fingerprint=fingerprint,
        loss=loss,
        kind="private_density",
        spender="analyst",
    )
