"""Tests marked `gpu` are skipped where there is no CUDA device."""

from functools import cache

import pytest


@cache
def has_cuda_device():
    try:
        import cupy
    except ImportError:
        return False
    return cupy.cuda.is_available()


def pytest_collection_modifyitems(items):
    # Not `"gpu" in item.keywords`: this folder's name is a keyword of all its tests.
    for item in items:
        if item.get_closest_marker("gpu") and not has_cuda_device():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
