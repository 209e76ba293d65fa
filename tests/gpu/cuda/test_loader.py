"""Sources, names of instances, and the checks of arguments."""

import re

import numpy as np
import pytest

from gpu import leaves
from gpu.cuda import loader, packing, sliced_large, sliced_packing
from gpu.matern import COEFFICIENTS, HEADER, SEGMENT_BITS

SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")
GRAM = "gram_leaf<float, double, Base::DOT, Function::TANH>"


ENUMS = {
    "gram.cu": [leaves.Base, leaves.Function, leaves.Op],
    "sliced_wasserstein.cu": [sliced_packing.Capacity, sliced_packing.Mass],
    "sliced_large.cu": [sliced_large.Keys],
}
RECORDS = [
    ("gram.cu", "Job", packing.JOB),
    ("gram.cu", "Leaf", packing.LEAF),
    ("gram.cu", "Instruction", packing.INSTRUCTION),
    ("sliced_wasserstein.cu", "Request", sliced_packing.REQUEST),
]
CONSTANTS = [
    ("gram.cu", "TILE", packing.TILE),
    ("gram.cu", "MAX_BELOW", packing.MAX_STACK - 1),
    ("gram.cu", "COEFFICIENTS", COEFFICIENTS),
    ("gram.cu", "HEADER", HEADER),
    ("sliced_wasserstein.cu", "LANES", sliced_packing.LANES),
    ("sliced_wasserstein.cu", "WHOLE", f"1LL << {sliced_packing.WHOLE.bit_length() - 1}"),
    ("sliced_wasserstein.cu", "TEAMS", f"IS_WARP \\? {sliced_packing.WARP_TEAMS} : 1"),
    ("sliced_large.cu", "PART", sliced_large.PART),
    ("sliced_large.cu", "THREADS", sliced_large.N_THREADS),
]


@pytest.mark.parametrize(("file", "enum"), [(file, enum) for file, enums in ENUMS.items() for enum in enums])
def test_the_device_numbers_things_as_the_host_does(file, enum):
    (names,) = re.findall(rf"enum class {enum.__name__} {{([^}}]*)}}", loader.source(file))
    assert [name for name in re.split(r"[,\s]+", names) if name] == [member.name for member in enum]
    assert list(enum) == list(range(len(enum)))


@pytest.mark.parametrize(("file", "struct", "record"), RECORDS)
def test_the_device_lays_out_records_as_the_host_does(file, struct, record):
    (body,) = re.findall(rf"struct {struct} {{(.*?)}};", loader.source(file), re.DOTALL)
    fields = re.findall(r"(long long|double) ([\w, ]+);", body)
    declared = [(name, ctype) for ctype, names in fields for name in names.split(", ")]
    ctypes = {"i8": "long long", "f8": "double"}
    assert declared == [(name, ctypes[record[name].str[1:]]) for name in record.names]
    assert record.itemsize == 8 * len(declared)


@pytest.mark.parametrize(("file", "constant", "value"), CONSTANTS)
def test_the_device_has_the_hosts_constants(file, constant, value):
    assert re.search(rf"\b{constant} = {value}[;, ]", loader.source(file))


@pytest.mark.parametrize("capacity", sliced_packing.Capacity)
def test_a_team_of_the_device_sorts_as_many_atoms_as_the_host_thinks(capacity):
    assert capacity.name == f"C{capacity.atoms}"
    assert capacity.threads * min(capacity.atoms // 32, sliced_packing.MAX_ITEMS) == capacity.atoms


def test_the_device_reads_the_matern_table_by_the_hosts_segments():
    source = loader.source("gram.cu")
    assert f">> {23 - SEGMENT_BITS};" in source
    assert f">> {52 - SEGMENT_BITS});" in source


def test_headers_are_inlined_once():
    source = loader.source("gram.cu")
    assert "#include" not in source
    assert source.count("define SHARED") == 1


def test_lines_keep_their_numbers():
    file, number = "", 0
    for line in loader.source("gram.cu").splitlines():
        if (mark := re.match(r'#line (\d+) "(.+)"', line)) is not None:
            number, file = int(mark[1]), mark[2]
            continue
        if line:
            assert (loader.FOLDER / file).read_text().splitlines()[number - 1] == line
        number += 1


def test_an_instance_is_named_by_dtypes_and_enums():
    named = loader.expression("gram_leaf", SINGLE, DOUBLE, leaves.Base.DOT, leaves.Function.TANH)
    assert named == GRAM


@pytest.mark.parametrize("argument", ["float", "x>; evil<", 3, np.dtype("complex64")])
def test_nothing_else_becomes_part_of_a_name(argument):
    with pytest.raises((AttributeError, KeyError)):
        loader.expression("gram_leaf", argument)


def test_a_signature_is_read_from_the_source():
    assert loader.signature("gram.cu", GRAM) == ("unsigned char*", "unsigned char*", "long long", "float*")


def test_a_kernel_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"expected a kernel template of gram.cu, got gram_lief"):
        loader.signature("gram.cu", "gram_lief<float>")


BYTES, COUNT, OUT = np.zeros(8, np.uint8), np.int64(1), np.zeros(8, np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((BYTES, BYTES, COUNT), "expected 4 arguments, got 3"),
        ((BYTES, BYTES, 1, OUT), "argument 2: expected long long, got a Python int"),
        ((BYTES, BYTES, np.int32(1), OUT), "argument 2: expected long long, got int"),
        ((BYTES, BYTES, COUNT, OUT.astype(np.float64)), r"argument 3: expected float\*, got double\*"),
        ((BYTES, BYTES[::2], COUNT, OUT), "argument 1: .* not C-contiguous"),
        ((BYTES, None, COUNT, OUT), "argument 1: .* got a Python NoneType"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        loader.check(loader.signature("gram.cu", GRAM), arguments)


def test_arguments_that_fit_are_taken():
    loader.check(loader.signature("gram.cu", GRAM), (BYTES, BYTES, COUNT, OUT))
