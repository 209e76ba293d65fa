"""`make check-deploy`: the files of deploy/ against the public validators, without a container engine.

Not one of `make test`'s tests: its validators are the dependency group `deploy-check`.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import promql_parser
import pytest
import yaml

from tests.deploy.observed import DEPLOY, ROOT, expressions, headings, rules

BIN = Path(sys.executable).parent
MANIFESTS = sorted((DEPLOY / "kubernetes" / "base").glob("[!k]*.yaml"))
KUSTOMIZATIONS = ("base", "gpu", "s3")
KUBECTL, PROMTOOL = shutil.which("kubectl"), shutil.which("promtool")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is missing: it renders the kustomizations")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt install prometheus")


def passes(*command):
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("file", sorted((DEPLOY / "container").glob("*.Dockerfile")), ids=lambda file: file.name)
def test_hadolint_finds_nothing_in_the_container_files(file):
    passes(BIN / "hadolint", file)


@pytest.mark.parametrize("file", sorted((DEPLOY / "container").glob("*.Dockerfile")), ids=lambda file: file.name)
def test_an_image_copies_what_is_there_and_what_the_build_context_lets_through(file):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", file.read_text(), re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


@pytest.mark.parametrize("file", sorted((DEPLOY / "container").glob("*.Dockerfile")), ids=lambda file: file.name)
def test_an_image_runs_as_nobody_in_particular(file):
    assert re.findall(r"^USER (\S+)$", file.read_text(), re.MULTILINE)[-1] == "10001:10001"


def test_the_compose_file_fits_the_compose_schema():
    passes(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_only_the_proxy_of_the_service_is_published():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"service": ["8080:8080"], "grafana": ["127.0.0.1:3000:3000"]}
    assert services["proxy"]["network_mode"] == "service:service"
    assert "MERCER_HOST" not in services["service"]["environment"]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_the_manifests_fit_the_schemas_of_kubernetes(file):
    passes(BIN / "kubernetes-validate", "--strict", "--no-warn", file)


@needs_kubectl
@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_a_kustomization_renders_what_fits_the_schemas(name, tmp_path):
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(passes(KUBECTL, "kustomize", DEPLOY / "kubernetes" / name))
    passes(BIN / "kubernetes-validate", "--strict", "--no-warn", rendered)
    for document in yaml.safe_load_all(rendered.read_text()):
        if document["kind"] == "ScaledObject":
            jsonschema.validate(document, scaled_object_schema())


@needs_kubectl
def test_with_a_bucket_no_volume_is_shared_and_its_keys_are_a_secret():
    documents = list(yaml.safe_load_all(passes(KUBECTL, "kustomize", DEPLOY / "kubernetes" / "s3")))
    assert "PersistentVolumeClaim" not in {document["kind"] for document in documents}
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in documents if one["kind"] == "Deployment"
    }
    for name in ("mercer-service", "mercer-worker"):
        first = pods[name]["containers"][0]
        assert first["envFrom"] == [{"secretRef": {"name": "mercer-s3"}}]
        [data] = (volume for volume in pods[name]["volumes"] if volume["name"] == "data")
        assert "sizeLimit" in data["emptyDir"]
    assert not any("envFrom" in container for container in pods["mercer-service"]["containers"][1:])


def scaled_object_schema():
    return json.loads((ROOT / "tests" / "deploy" / "scaled_object.json").read_text())


def scaled_object():
    return yaml.safe_load((DEPLOY / "kubernetes" / "base" / "scaling.yaml").read_text())


def test_the_scaled_object_fits_the_fields_of_keda():
    jsonschema.validate(scaled_object(), scaled_object_schema())


def test_a_threshold_that_is_no_string_is_found():
    wrong = scaled_object()
    wrong["spec"]["triggers"][0]["metadata"]["threshold"] = 256
    with pytest.raises(jsonschema.ValidationError, match="string"):
        jsonschema.validate(wrong, scaled_object_schema())


def test_workers_scale_with_waiting_and_running_work():
    (trigger,) = scaled_object()["spec"]["triggers"]
    assert re.search(r'mercer_queue_depth_jobs\{state=~"queued\|running"\}', trigger["metadata"]["query"])


def pod_specs():
    documents = [one for file in MANIFESTS for one in yaml.safe_load_all(file.read_text())]
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in documents
        if "template" in one.get("spec", {})
    }


@pytest.mark.parametrize(("name", "pod"), pod_specs().items())
def test_a_pod_may_do_nothing_that_it_need_not(name, pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    # Kubernetes would set MERCER_PORT=tcp://... for the service named mercer.
    assert pod["enableServiceLinks"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_expression_is_promql(where, expression):
    promql_parser.parse(expression)


@needs_promtool
def test_the_rules_ring_when_they_should():
    passes(PROMTOOL, "check", "rules", DEPLOY / "prometheus" / "alerts.yml")
    passes(PROMTOOL, "test", "rules", DEPLOY / "prometheus" / "alerts_test.yml")


@needs_promtool
def test_prometheus_takes_its_configuration():
    passes(PROMTOOL, "check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yml")


def test_every_alert_says_how_urgent_it_is_and_what_it_saw():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"]["summary"]


def test_every_fault_of_the_docs_has_its_place_in_the_runbook():
    page = (ROOT / "docs" / "04-broker-and-workers.md").read_text()
    table = page.partition("| if | then |\n|---|---|\n")[2].partition("\n\n")[0]
    faults = {row.split("|")[1].strip().lower() for row in table.splitlines()}
    assert len(faults) >= 10
    assert faults - headings(ROOT / "docs" / "runbook.md") == set()
