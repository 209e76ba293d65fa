"""What the metrics of every process begin with: which Mercer it is, and what it takes of its machine."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector


def registry(component: str) -> CollectorRegistry:
    """The metrics of one process, with its build and its use of the machine.

    Args:
        component: `service` or `worker`.
    """
    made = CollectorRegistry()
    build = Gauge(
        "mercer_build_info", "Always 1; which Mercer this is.", ["component", "version", "python"], registry=made
    )
    build.labels(component, release(), platform.python_version()).set(1)
    ProcessCollector(registry=made)
    return made


def release() -> str:
    """The version of this Mercer; `unknown` in a checkout that nobody installed."""
    try:
        return version("mercer")
    except PackageNotFoundError:
        return "unknown"
