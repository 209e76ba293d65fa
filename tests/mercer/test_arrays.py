import io
import json
import struct
from base64 import b64encode

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import TypeAdapter, ValidationError

from mercer.arrays import (
    DTYPES,
    MAGIC,
    MAX_INLINE,
    ArrayInfo,
    digest,
    first_not_finite,
    from_npy,
    header_bytes,
    header_length,
    info_of,
    parse_header,
    to_npy,
)
from mercer.errors import InvalidArray
from mercer.points import DatasetReference, PointsField, Rows

POINTS = TypeAdapter(PointsField)
NAME = "sha256:" + "0" * 64


def npy(header, body=b"", version=1):
    """A file with any text as its header."""
    text = header if isinstance(header, bytes) else header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return MAGIC + bytes([version, 0]) + length + text + body


def saying(descr="'<f8'", fortran_order="False", shape="(2, 1)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}"


arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))
)


@given(arrays)
@settings(deadline=None)
def test_an_array_comes_back_bit_for_bit(array):
    back = from_npy(to_npy(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(arrays)
@settings(max_examples=30, deadline=None)
def test_numpy_reads_what_we_write_and_we_read_what_numpy_writes(array):
    ours = np.load(io.BytesIO(to_npy(array)), allow_pickle=False)
    assert (ours.dtype, ours.shape, ours.tobytes()) == (array.dtype, array.shape, array.tobytes())
    file = io.BytesIO()
    np.save(file, array)
    assert from_npy(file.getvalue()).tobytes() == array.tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.arange(6.0).reshape(2, 3), version=version)
    np.testing.assert_array_equal(from_npy(file.getvalue()), np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("array", [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(12.0).reshape(4, 3)[::2]])
def test_any_memory_order_is_written_as_c_order(array):
    np.testing.assert_array_equal(from_npy(to_npy(array)), array)


def test_big_endian_arrays_are_turned_round():
    back = from_npy(to_npy(np.arange(3, dtype=">f8")))
    assert back.dtype.str == "<f8"
    np.testing.assert_array_equal(back, [0, 1, 2])


@pytest.mark.parametrize("dtype", [object, complex, "U3", "S3", bool, "M8[s]", np.uint64, [("a", "<f8")]])
def test_dtypes_that_cannot_travel_are_refused(dtype):
    with pytest.raises(InvalidArray, match="expected a dtype among <f8, <f4"):
        to_npy(np.zeros(2, dtype))


def test_a_read_array_is_a_view_that_cannot_be_changed():
    data = to_npy(np.arange(4.0))
    array = from_npy(data)
    assert not array.flags.writeable
    assert not array.flags.owndata


@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (10**6, 10**5), (2**53, 1, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_header_reads_back_and_keeps_the_data_aligned(shape, dtype):
    head = header_bytes(shape, np.dtype(dtype))
    assert len(head) % 64 == 0
    assert header_length(head) == len(head)
    assert parse_header(head) == (shape, np.dtype(dtype), len(head))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", r"begin with the bytes \\x93NUMPY"),
        (b"\x93NUM", r"begin with the bytes"),
        (b"PK\x03\x04" + bytes(100), "begin with the bytes"),
        (MAGIC, "expected a header, got 6 bytes in all"),
        (MAGIC + b"\x04\x00" + bytes(100), "expected format version 1.0, 2.0 or 3.0, got 4.0"),
        (MAGIC + b"\x01\x01" + bytes(100), "got 1.1"),
        (npy(saying(), bytes(16))[:40], "expected a dictionary"),
        (npy(b" " * 20_000), "expected a header of at most 4096 bytes, got 20010"),
        (MAGIC + b"\x02\x00\xff\xff\xff\xff", "at most 4096 bytes, got 4294967307"),
        (npy(b"\x06\x00]\x00\x06\t\xfb\x00"), "expected a dictionary"),
        (npy("(" * 3_000), "expected a dictionary"),
        (npy("-" * 3_900 + "1"), "expected a dictionary"),
        (npy("9" * 4_000), "expected exactly descr, fortran_order and shape"),
        (npy("__import__('os').abort()"), "expected a dictionary"),
        (npy("[]"), "expected exactly descr, fortran_order and shape"),
        (npy("{'descr': '<f8', 'shape': (1,)}"), "expected exactly descr"),
        (npy(saying()[:-2] + "'more': 1}"), "expected exactly descr"),
        (npy("{[]: 1}"), "expected a dictionary"),
        (npy(saying("'|O'")), "expected a dtype among .*, got |O"),
        (npy(saying("'<c16'")), "expected a dtype among"),
        (npy(saying("'>f8'")), "expected a dtype among"),
        (npy(saying("'S2147483647'"), bytes(8)), "expected a dtype among"),
        (npy(saying("[('a', '<f8')]")), "expected a dtype among"),
        (npy(saying("None")), "expected a dtype among"),
        (npy(saying("{}")), "expected a dtype among"),
        (npy(saying(fortran_order="True"), bytes(16)), "expected C order; save it with np.ascontiguousarray"),
        (npy(saying(fortran_order="0"), bytes(16)), "expected C order"),
        (npy(saying(shape="(-1, -1)"), bytes(8)), "expected a shape of at most 3 sizes from 0 to 2\\^53"),
        (npy(saying(shape="(True,)"), bytes(8)), "expected a shape"),
        (npy(saying(shape="(1.0,)"), bytes(8)), "expected a shape"),
        (npy(saying(shape="[1]"), bytes(8)), "expected a shape"),
        (npy(saying(shape="1"), bytes(8)), "expected a shape"),
        (npy(saying(shape="(1, 1, 1, 1)"), bytes(8)), "expected a shape"),
        (npy(saying(shape=f"(1{'0' * 3_900},)")), "expected a shape"),
        (npy(saying(shape="(2, 1)"), bytes(15)), "its header says 16 bytes of data, got 15"),
        (npy(saying(shape="(2, 1)"), bytes(17)), "its header says 16 bytes of data, got 17"),
        (npy(saying(shape="(100000, 1000000)")), "its header says 800000000000 bytes of data, got 0"),
        (npy(saying(shape="(40000, 40000)")), "its header says 12800000000 bytes of data, got 0"),
        (npy(saying(shape="(4294967296, 4294967296)")), "its header says 147573952589676412928 bytes of data, got 0"),
        (npy(saying(shape="(9007199254740992, 9007199254740992, 9007199254740992)")), "bytes of data, got 0"),
    ],
    ids=range(40),
)
def test_what_is_no_npy_file_is_refused(file, reason):
    with pytest.raises(InvalidArray, match=reason):
        from_npy(file)


@given(st.binary(max_size=300), st.sampled_from([b"", MAGIC, MAGIC + b"\x01\x00", MAGIC + b"\x03\x00"]))
@example(b"\x06\x00]\x00\x06\t\xfb\x00", MAGIC + b"\x01\x00\x08\x00")
@settings(max_examples=1_000, deadline=None)
def test_any_bytes_are_an_array_or_invalid(junk, start):
    read_or_refused(start + junk)


pieces = st.sampled_from(
    [
        *"{}[]()',:.-+eE_#\\\n\x00 0129",
        "'descr'",
        "'<f8'",
        "'|O'",
        "'fortran_order'",
        "False",
        "'shape'",
        "(3, 4)",
        "\u00e9",
    ]
)


@given(st.lists(pieces, max_size=40).map("".join), st.integers(1, 3))
@settings(max_examples=1_000, deadline=None)
def test_any_header_text_is_an_array_or_invalid(text, version):
    read_or_refused(npy(text, version=version))


def read_or_refused(file):
    try:
        array = from_npy(file)
    except InvalidArray:
        return
    assert array.dtype.str in DTYPES


def test_the_digest_is_the_sha_256_of_the_file():
    assert digest(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("array", "index"),
    [
        (np.array([[1.0, 2.0], [np.nan, np.inf]]), (1, 0)),
        (np.array([1.0, -np.inf], np.float16), (1,)),
        (np.array([[1.0]]), None),
        (np.array([[1]]), None),
        (np.array(np.nan), ()),
    ],
)
def test_the_first_number_that_is_not_finite_is_found(array, index):
    assert first_not_finite(array) == index


def test_inline_rows_become_a_float64_matrix_that_cannot_be_changed():
    points = POINTS.validate_json("[[1, 2.5], [3, 4]]")
    np.testing.assert_array_equal(points, [[1, 2.5], [3, 4]])
    assert points.dtype == np.float64
    assert not points.flags.writeable
    assert info_of(points) == ArrayInfo((2, 2), "float64", 1.0)


def test_inline_numbers_survive_json_to_the_last_bit():
    points = np.random.default_rng(0).normal(size=(20, 5)) * 10.0 ** np.arange(-200, 200, 80)
    assert POINTS.validate_json(POINTS.dump_json(points)).tobytes() == points.tobytes()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "expected at least one point of at least one number, got none"),
        ("[[]]", "expected at least one point of at least one number, got none"),
        ("[[1], [1, 2]]", "expected rows of equal length, got 2 numbers in row 1 and 1 in row 0"),
        (json.dumps([[1.0] * (MAX_INLINE + 1)]), "expected at most 1000 inline numbers, got 1001; upload it with PUT"),
        ("[[1, NaN]]", "finite"),
        ("[[1, Infinity]]", "finite"),
        ("[[1, 1e999]]", "finite"),
        (f"[[1{'0' * 400}]]", "finite"),
        ('[["1.5"]]', "valid number"),
        ("[[true]]", "valid number"),
        ("[[null]]", "valid number"),
        ("[1, 2]", "valid array"),
        ("[[[1]]]", "valid number"),
        ("1", "object"),
        ("null", "object"),
        ('"data.npy"', "object"),
        ("[" * 100_000, "recursion limit"),
        ('{"dataset": "sha256:0"}', "pattern"),
        (json.dumps({"dataset": NAME + "\n"}), "pattern"),
        (json.dumps({"dataset": NAME.replace("0", "A")}), "pattern"),
        (json.dumps({"dataset": NAME, "column": [1]}), "Extra inputs"),
        (json.dumps({"dataset": NAME, "columns": []}), "at least 1 item"),
        (json.dumps({"dataset": NAME, "columns": [-1]}), "greater than or equal to 0"),
        (json.dumps({"dataset": NAME, "columns": [True]}), "valid integer"),
        (json.dumps({"dataset": NAME, "columns": [1.0]}), "valid integer"),
        (json.dumps({"dataset": NAME, "rows": "all"}), "object"),
        (json.dumps({"dataset": NAME, "rows": {"step": 0}}), "greater than or equal to 1"),
        (json.dumps({"dataset": NAME, "rows": [10**300]}), "less than or equal to 9007199254740992"),
        (json.dumps({"dataset": NAME, "rows": {"stop": 10**300}}), "less than or equal to 9007199254740992"),
    ],
    ids=range(29),
)
def test_points_that_are_none_are_refused(text, reason):
    with pytest.raises(ValidationError, match=reason):
        POINTS.validate_json(text)


def test_one_wrong_number_is_enough_of_an_answer():
    with pytest.raises(ValidationError) as refusal:
        POINTS.validate_json(json.dumps([["x"] * 500] * 500))
    assert refusal.value.error_count() == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1.0, 2.0], r"expected shape \(n, d\) with n, d >= 1, got \(2,\); for points on a line use x\[:, None\]"),
        (np.zeros((0, 3)), r"got \(0, 3\)"),
        (np.zeros((2, 2, 2)), r"got \(2, 2, 2\)"),
        ([[1, 2], [3]], "expected rows of equal length"),
        (np.array([[object()]]), "expected real numbers, got dtype object"),
        (np.zeros((2, 2), complex), "expected real numbers, got dtype complex128"),
        (np.zeros((2, 2), bool), "expected real numbers, got dtype bool"),
        ("abc", "expected real numbers, got dtype <U3"),
        (None, r"expected an array of shape \(n, d\), got NoneType"),
        ({1, 2}, r"expected an array of shape \(n, d\), got set"),
        (np.array([[1.0], [np.nan]]), r"expected finite numbers, got NaN or infinity at index \(1, 0\)"),
    ],
)
def test_python_values_that_are_no_points_are_refused(value, reason):
    with pytest.raises(ValidationError, match=reason):
        POINTS.validate_python(value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint32, ">f8"])
def test_arrays_of_any_real_dtype_are_taken_without_a_copy(dtype):
    array = np.ones((2, 3), dtype)
    taken = POINTS.validate_python(array)
    assert np.shares_memory(taken, array)
    assert array.flags.writeable, "the caller's array stays as it is"


def test_arrays_over_the_limit_are_not_written_inline():
    assert "npy" in json.loads(POINTS.dump_json(np.ones((MAX_INLINE, 1))))
    with pytest.raises(ValueError, match="an array of 1001 numbers must be uploaded"):
        POINTS.dump_json(np.ones((MAX_INLINE + 1, 1)))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([1, 2], (1, 2)),
        ((1, 2), (1, 2)),
        (range(0, 6, 2), (0, 2, 4)),
        (np.array([3, 1]), (3, 1)),
        (slice(2, 9, 3), Rows(start=2, stop=9, step=3)),
        (slice(5), Rows(stop=5)),
        (Rows(start=1), Rows(start=1)),
        (None, None),
    ],
)
def test_rows_and_columns_are_given_as_python_has_them(rows, expected):
    reference = DatasetReference(dataset=NAME, rows=rows, columns=["height", 2])
    assert reference.rows == expected
    assert reference.columns == ("height", 2)
    assert DatasetReference.model_validate_json(reference.model_dump_json()) == reference


def test_a_reference_travels_without_what_it_leaves_out():
    reference = POINTS.validate_python(DatasetReference(dataset=NAME))
    assert json.loads(POINTS.dump_json(reference)) == {"dataset": NAME}


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i2"])
def test_points_travel_inline_bit_for_bit_with_their_dtype(dtype):
    points = np.array([[0.1, -2.0], [3.0, 1e3]]).astype(dtype)
    np.testing.assert_array_equal(POINTS.validate_json(POINTS.dump_json(points)), points, strict=True)


@pytest.mark.parametrize(
    ("npy", "message"),
    [
        ("not base64!", "expected an npy file in base64"),
        (b64encode(b"x" * 200).decode(), "expected it to begin with"),
        (b64encode(to_npy(np.ones((2, 2)))[:-1]).decode(), "its header says 32 bytes of data, got 31"),
        (b64encode(to_npy(np.ones(4))).decode(), r"expected shape \(n, d\)"),
        (b64encode(to_npy(np.array([[1.0, np.nan]]))).decode(), r"NaN or infinity at index \(0, 1\)"),
        (b64encode(to_npy(np.ones((1001, 1), "u1"))).decode(), "at most 1000 inline numbers, got 1001"),
        ("A" * 100_000, "at most"),
        (5, "valid string"),
    ],
)
def test_bad_inline_files_are_refused(npy, message):
    with pytest.raises(ValidationError, match=message):
        POINTS.validate_json(json.dumps({"npy": npy}))


def test_the_json_schema_tells_all_forms():
    schema = POINTS.json_schema()
    rows, file, reference = schema["anyOf"]
    assert file["properties"]["npy"]["contentEncoding"] == "base64"
    assert rows["items"]["items"] == {"type": "number"}
    assert "dataset" in json.dumps(reference) or "DatasetReference" in json.dumps(reference)
