import subprocess
import sys
from types import ModuleType

import pytest

import mercer
from mercer import kernels


def public_names(module):
    """Those that do not come only from importing a submodule."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (not isinstance(value, ModuleType) or name in module.__all__)
    }


def test_all_is_exactly_what_is_importable():
    assert sorted(mercer.__all__) == sorted(public_names(mercer))


def test_all_kernel_functions_are_importable():
    assert {function.__name__ for function in kernels.FUNCTIONS.values()} <= set(kernels.__all__)


@pytest.mark.parametrize("name", sorted(mercer.__all__))
def test_every_public_name_is_documented(name):
    assert getattr(mercer, name).__doc__


def test_the_client_imports_no_plotting_and_no_server():
    loaded = subprocess.run(
        [sys.executable, "-c", "import mercer.cli, sys; print(*{name.split('.')[0] for name in sys.modules})"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"matplotlib", "redis", "fastapi", "starlette", "pyarrow", "numba", "scipy"} & set(loaded)
