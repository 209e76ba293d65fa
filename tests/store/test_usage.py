from functools import partial

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from mercer.privacy.terms import Box, Terms
from store.local import LocalObjects
from store.private import PrivateDatasets, check
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


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_private_data_sets_are_not_counted(tmp_path, tenant):
    objects = LocalObjects(tmp_path)
    body = to_npy(np.ones((1_000, 2)))
    private = PrivateDatasets(objects, 2**20, tenant)
    terms = Terms(epsilon=1, neighbours="change_one", domain=Box([0, 0], [9, 9]), max_records=2_000)
    private.protect("0" * 32, terms)
    with private.data.upload("0" * 32, digest(body), "npy", partial(check, terms)) as receiving:
        receiving.write(body)
        receiving.commit()
    assert len(list(objects.keys(""))) == 3
    assert used_bytes(objects) == {}
