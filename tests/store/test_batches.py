import pytest

from store.batches import BatchFiles


@pytest.fixture
def files(objects):
    return BatchFiles(objects)


def test_a_batch_file_is_its_tenants_own(files):
    for tenant in ("default", "acme"):
        with files.writer("b", tenant) as writer:
            writer.write(tenant.encode() + b"\n")
            writer.commit()
    assert [files.read("b", tenant, 0, 10, 100) for tenant in ("default", "acme")] == [[b"default"], [b"acme"]]
    assert sorted(files.older_than(-1)) == [("b", "acme"), ("b", "default")]
    files.delete("b", "acme")
    assert files.older_than(-1) == [("b", "default")]
    with pytest.raises(KeyError):
        files.read("b", "acme", 0, 10, 100)
