"""The kept memory."""

import numpy as np

from gpu.device import Buffers, Device, pick

DOUBLE = np.dtype(np.float64)


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_once_nobody_refers_to_it():
    buffers = Buffers()
    first = address(buffers.take(1000, DOUBLE))
    assert address(buffers.take(500, DOUBLE)) == first


def test_memory_is_left_alone_while_a_view_of_it_lives():
    buffers = Buffers()
    view = buffers.take(1000, DOUBLE).reshape(10, 100)[3]
    view[:] = 7
    buffers.take(1000, DOUBLE)[:] = 0
    assert (view == 7).all()


def test_a_larger_request_gets_larger_memory():
    buffers = Buffers()
    buffers.take(10, DOUBLE)
    assert len(buffers.take(1000, DOUBLE)) == 1000


def test_several_arrays_are_kept():
    buffers = Buffers()
    pair = [buffers.take(1000, DOUBLE), buffers.take(1000, DOUBLE)]
    known = {address(array) for array in pair}
    del pair
    again = [buffers.take(1000, DOUBLE), buffers.take(1000, DOUBLE)]
    assert {address(array) for array in again} == known


def test_a_device_is_found():
    assert pick().name in {"cpu", "cuda:0"}


def test_devices_are_equal_by_name():
    assert Device("cpu") == Device("cpu")
