"""What deploy/ observes and what the processes export, both read from where they are written."""

import json
import re
from pathlib import Path

import yaml

from gpu.device import Device
from service.metrics import Metrics as ServiceMetrics
from workers.metrics import Metrics as WorkerMetrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
HISTOGRAM = ("_bucket", "_count", "_sum")


def exported():
    """The names of all series that the service and the workers may show."""
    registries = (ServiceMetrics(max_queued=1).registry, WorkerMetrics(Device("cpu"), dict).registry)
    families = [family for registry in registries for family in registry.collect()]
    suffixes = {"histogram": HISTOGRAM, "counter": ("_total",)}
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, ("",))}


def rules():
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    return [rule["alert"] for rule in rules() if "alert" in rule]


def recorded():
    return {rule["record"] for rule in rules() if "record" in rule}


def expressions():
    """Every PromQL expression of deploy/, with where it is."""
    scaling = yaml.safe_load((DEPLOY / "kubernetes" / "base" / "scaling.yaml").read_text())
    board = json.loads((DEPLOY / "grafana" / "mercer.json").read_text())
    return [
        *((rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()),
        *((panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]),
        *(("ScaledObject", trigger["metadata"]["query"]) for trigger in scaling["spec"]["triggers"]),
    ]


def named(expression):
    """The metrics of ours in an expression, recorded ones too."""
    return set(re.findall(r"\bmercer[_:][a-zA-Z0-9_:]+", re.sub(r'"[^"]*"', "", expression)))


def headings(page):
    return {line.lstrip("#").strip().lower() for line in page.read_text().splitlines() if line.startswith("#")}
