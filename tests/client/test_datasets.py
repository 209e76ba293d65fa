import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import mercer
from mercer import errors
from mercer import kernels as k
from mercer.catalogue import prune_datasets
from mercer.steps import Reply, Request

CSV = "a,b,name\n1,2,x\n3,4,y\n5,7,z\n"
NUMBERS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(CSV)
    return path


def test_an_array_is_kept_under_its_digest(client):
    x = np.random.default_rng(0).normal(size=(300, 5))
    dataset = client.datasets.upload(x)
    assert (dataset.shape, dataset.dtype) == ((300, 5), "float64")
    assert dataset.digest in {one.digest for one in client.datasets.list()}
    np.testing.assert_array_equal(client.datasets.get(dataset.digest), x)


def test_what_is_known_is_described_without_being_sent(client, faulty):
    x = np.random.default_rng(1).normal(size=(300, 5))
    first = client.datasets.upload(x)
    other, network = faulty()
    assert other.datasets.upload(x) == first
    assert [(request.method, len(request.content)) for request in network.requests] == [("HEAD", 0), ("PUT", 0)]


def test_a_file_larger_than_a_chunk_arrives_whole(client, tmp_path):
    x = np.random.default_rng(2).normal(size=(200_000, 1))
    np.save(tmp_path / "x.npy", x)
    dataset = client.datasets.upload(tmp_path / "x.npy")
    np.testing.assert_array_equal(client.datasets.get(dataset.digest), x)


def test_columns_of_a_csv_file_are_chosen_by_name(client, csv):
    dataset = client.datasets.upload(csv)
    assert (dataset.columns, dataset.text_columns) == (("a", "b"), ("name",))
    linear = mercer.Gram(kernel=k.Linear(), x=dataset.select(columns=["b", "a"], rows=(2, 0)))
    np.testing.assert_allclose(client.run(linear), NUMBERS[[2, 0]] @ NUMBERS[[2, 0]].T)


def test_a_text_column_must_be_left_out_by_name(client, csv):
    dataset = client.datasets.upload(csv)
    with pytest.raises(errors.MercerError, match="name"):
        client.submit(mercer.Gram(kernel=k.Linear(), x=dataset))


def test_a_parquet_file_is_read(client, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]}), tmp_path / "x.parquet")
    dataset = client.datasets.upload(str(tmp_path / "x.parquet"))
    np.testing.assert_array_equal(client.datasets.get(dataset.digest), NUMBERS)
    np.testing.assert_allclose(client.run(mercer.Gram(kernel=k.Linear(), x=dataset)), NUMBERS @ NUMBERS.T)


def test_a_deleted_data_set_is_gone(client):
    dataset = client.datasets.upload(np.full((2, 2), 0.125))
    client.datasets.delete(dataset.digest)
    with pytest.raises(errors.UnknownDataset):
        client.datasets.get(dataset.digest)
    with pytest.raises(errors.UnknownDataset):
        client.datasets.delete(dataset.digest)


def test_what_is_pruned_was_uploaded_before_and_may_be_gone_already():
    now = datetime.now(UTC)
    record = {"shape": [1, 1], "dtype": "float64", "format": "npy", "size_bytes": 136}
    stored = [
        {**record, "digest": f"sha256:{days:064d}", "created_at": (now - timedelta(days=days)).isoformat()}
        for days in (0, 2, 5, 9)
    ]
    flow = prune_datasets(3.0)
    assert next(flow) == Request("GET", "/v1/datasets")
    first = flow.send(Reply(200, {}, json.dumps({"datasets": stored}).encode()))
    second = flow.send(Reply(404, {}))
    assert [(one.method, one.path[-1]) for one in (first, second)] == [("DELETE", "5"), ("DELETE", "9")]
    with pytest.raises(StopIteration) as end:
        flow.send(Reply(204, {}))
    assert [dataset.digest[-1] for dataset in end.value.value] == ["5", "9"]


def test_an_upload_with_a_bad_number_names_the_first(client):
    x = np.ones((300, 2))
    x[17, 1] = np.nan
    with pytest.raises(errors.InvalidArray, match="17"):
        client.datasets.upload(x)


def test_a_missing_file_is_the_callers_own_error(client, tmp_path):
    with pytest.raises(FileNotFoundError):
        client.datasets.upload(tmp_path / "nowhere.csv")
