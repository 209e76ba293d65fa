"""Every instance compiles for the devices that we name, though there is none here."""

import json

import pytest

from tests.gpu.cuda import nvrtc

TOLERANCE = 1.1
"""Registers move a little with every edit; more than this can cost a block on each multiprocessor."""


@pytest.mark.parametrize("group", nvrtc.GROUPS)
@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_every_instance_compiles_without_a_warning_or_a_spill_and_within_its_registers(architecture, group):
    report = nvrtc.report(architecture, group)
    allowed = json.loads(nvrtc.REGISTERS.read_text())[architecture][group]
    too_many = {name: n for name, n in report.most_registers.items() if n > TOLERANCE * allowed[name]}
    spilled = {name: usage.spilled_bytes for name, usage in report.usage.items() if usage.spilled_bytes}
    assert (report.warnings, spilled, too_many) == ([], {}, {})
