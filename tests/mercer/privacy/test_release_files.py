"""A file is a release whole and as it was published, or no release at all."""

import json
from io import BytesIO

import numpy as np
import pytest

from mercer.arrays import npy_sha256, to_npy
from mercer.privacy.density import NEEDED, DensityRelease
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.mechanisms.fourier import FourierRecipe, digest
from mercer.privacy.releases import load_release
from mercer.privacy.terms import Box

VECTOR = np.arange(17) * 2**40
BOX = Box(low=[0.0, 0.0], high=[1.0, 1.0])
PARAMETERS = {
    "kind": "private_density",
    "release": "0" * 32,
    "vector_sha256": npy_sha256(VECTOR),
    "mechanism": "fourier",
    "kernel": {"family": "gaussian"},
    "spent": {"epsilon": 1.0, "delta": 0.0},
    "spectrum": "gaussian",
    "scale": [0.5, 0.5],
    "box": BOX.model_dump(mode="json"),
    "n_features": 8,
    "feature_seed": 0,
    "frequencies_sha256": digest(FourierFeatures.draw("gaussian", np.array([0.5, 0.5]), BOX, 8, 0)),
    "bits": 20,
    "count_weight": 1,
    "noise_error": 1.0,
    "count_error": 1.0,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "release.npz"


def saved(path, vector=VECTOR, parameters=PARAMETERS):
    return DensityRelease(vector, parameters).save(path)


def npz(**arrays):
    file = BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_what_was_saved_is_loaded_and_answers(path):
    loaded = load_release(saved(path))
    np.testing.assert_array_equal(loaded.vector, VECTOR)
    assert loaded.parameters == PARAMETERS
    assert len(loaded(np.zeros((3, 2))).sums) == 3
    assert "release 0" in str(loaded)


@pytest.mark.parametrize("missing", sorted(NEEDED | FourierRecipe.stated))
def test_a_release_without_one_of_its_parameters_is_none(path, missing):
    with pytest.raises(ValueError, match="expected"):
        load_release(saved(path, parameters={name: one for name, one in PARAMETERS.items() if name != missing}))


@pytest.mark.parametrize(
    "vector",
    [
        *(VECTOR + 1, VECTOR[::-1], VECTOR[:-1], VECTOR[:, None], VECTOR[:0], VECTOR[0]),
        *(VECTOR.astype(dtype) for dtype in ("f8", "u8", "i4", "c16", ">i8")),
    ],
    ids=str,
)
def test_other_numbers_than_were_published_are_refused(path, vector):
    with pytest.raises(ValueError, match="expected"):
        load_release(saved(path, vector))


@pytest.mark.parametrize("vector", [VECTOR[:-2], VECTOR[:, None], VECTOR.astype("f8")], ids=["short", "tall", "float"])
def test_numbers_that_are_no_release_are_refused_whatever_their_hash(path, vector):
    with pytest.raises(ValueError, match="do not fit"):
        load_release(saved(path, vector, PARAMETERS | {"vector_sha256": npy_sha256(vector)}))


WHOLE = npz(vector=VECTOR, parameters=np.array(json.dumps(PARAMETERS)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no release",
        b"PK\x03\x04 no zip",
        to_npy(VECTOR),
        WHOLE[:-30],
        WHOLE[:200],
        WHOLE[:100] + b"\xff" * 100 + WHOLE[200:],
        npz(vector=VECTOR),
        npz(parameters=np.array("{}")),
        *(npz(vector=VECTOR, parameters=np.array(text)) for text in ("", "{", "[]", "null", "1", "[" * 100_000)),
    ],
    ids=range(15),
)
def test_a_file_that_holds_no_release_is_a_value_error(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError, match="expected"):
        load_release(path)


def test_a_file_that_is_not_there_is_told_as_such(path):
    with pytest.raises(FileNotFoundError):
        load_release(path)
