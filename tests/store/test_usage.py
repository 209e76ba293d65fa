from store.local import LocalObjects
from store.usage import used_bytes


def test_the_bytes_of_the_store_are_counted_by_part(tmp_path):
    objects = LocalObjects(tmp_path)
    for key, size in (
        ("results/ab/one", 3),
        ("results/cd/two", 4),
        ("datasets/one", 3),
        ("tenants/a/datasets/one", 2),
        ("tenants/a/results/ab/one", 0),
    ):
        with objects.writer(key) as writer:
            writer.write(bytes(size))
            writer.commit()
    with objects.writer("results/half") as writer:
        writer.write(b"half")
        assert used_bytes(objects) == {"results": 7, "datasets": 5}
