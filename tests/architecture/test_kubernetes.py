"""The manifests are what Kubernetes knows, ask for no rights, and agree with the settings and each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from falcongate import __version__
from falcongate.config.load import load
from falcongate.config.own_paths import OWN_PATHS, For
from falcongate.config.settings import GatewaySettings
from tests.architecture.test_docs import metric_shapes
from tests.architecture.tree import DOCS, ROOT, name_of

FOLDER = ROOT / "conf/kubernetes"
MANIFESTS = sorted([*FOLDER.glob("*.yaml"), *(FOLDER / "trial").glob("*.yaml")])
VERSIONS = ("1.27.0", kubernetes_validate.latest_version())
PODS = ("falcongate", "falcongate-redis", "hello")
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)


@cache
def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of one file."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def one(kind: str, name: str = "falcongate") -> dict[str, Any]:
    """The only object of this kind and name."""
    everything = [document for path in MANIFESTS for document in documents(path)]
    (found,) = [each for each in everything if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pod(name: str = "falcongate") -> dict[str, Any]:
    """What a Deployment says of its pods."""
    template: dict[str, Any] = one("Deployment", name)["spec"]["template"]["spec"]
    return template


def container(name: str = "falcongate") -> dict[str, Any]:
    """The only container of a Deployment."""
    (found,) = pod(name)["containers"]
    return dict(found)


def settings_of_the_config_map(directory: Path) -> GatewaySettings:
    """The configuration that the pods run with."""
    ((name, text),) = one("ConfigMap")["data"].items()
    file = directory / name
    file.write_text(text, "utf-8")
    return load(environ={}, path=str(file))


def rule_of_the_adapter() -> dict[str, Any]:
    """What prometheus-adapter is told to make."""
    ((rule,),) = yaml.safe_load((FOLDER / "monitoring/prometheus-adapter.yaml").read_text("utf-8"))[
        "rules"
    ].values()
    return dict(rule)


def amount_bytes(text: str) -> int:
    """An amount of memory."""
    assert text.endswith("Mi")
    return int(text.removesuffix("Mi")) << 20


def promtool(*arguments: str) -> None:
    """Run promtool, and fail with what it says."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
def test_kubernetes_knows_every_field(path: Path, version: str) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_page_names_the_versions_that_were_asked() -> None:
    oldest, newest = (version.rpartition(".")[0] for version in VERSIONS)

    assert f"schemas of Kubernetes {oldest} and {newest}" in (DOCS / "deploying-kubernetes.md").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("name", PODS)
def test_pods_are_of_the_restricted_kind(name: str) -> None:
    whole, own = pod(name)["securityContext"], container(name)["securityContext"]

    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] > 0
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(name)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(name).keys()


@pytest.mark.parametrize("name", PODS)
def test_selectors_find_the_pods(name: str) -> None:
    labels = one("Deployment", name)["spec"]["template"]["metadata"]["labels"]

    assert one("Deployment", name)["spec"]["selector"]["matchLabels"] == labels
    assert one("Service", name)["spec"]["selector"] == labels
    (port,) = one("Service", name)["spec"]["ports"]
    assert port["targetPort"] in [each["name"] for each in container(name)["ports"]]


def test_the_objects_of_the_gateway_are_about_its_pods() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]

    assert one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    # The schema takes any word for it.
    assert one("PodDisruptionBudget")["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "falcongate"
    assert "replicas" not in one("Deployment")["spec"]
    for constraint in pod()["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == labels
    policy = one("NetworkPolicy", "falcongate-redis")["spec"]
    assert policy["podSelector"]["matchLabels"] == one("Service", "falcongate-redis")["spec"]["selector"]
    assert policy["ingress"][0]["from"] == [{"podSelector": {"matchLabels": labels}}]


def test_the_pods_run_the_image_as_it_is_made() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    user, group = re.findall(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)[-1]
    for name in ("falcongate", "hello"):
        context = pod(name)["securityContext"]
        assert container(name)["image"].endswith(f"/falcongate:{__version__}")
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
        assert {mount["mountPath"] for mount in container(name)["volumeMounts"]} >= {"/tmp"}  # noqa: S108
    (tmp,) = [volume["emptyDir"] for volume in pod()["volumes"] if volume["name"] == "tmp"]
    assert tmp["medium"] == "Memory"
    assert amount_bytes(tmp["sizeLimit"]) * 4 <= amount_bytes(container()["resources"]["limits"]["memory"])


def test_variables_name_what_is_there(tmp_path: Path) -> None:
    variables = {each["name"]: each for each in container()["env"]}
    (port,) = container()["ports"]
    (config,) = [mount for mount in container()["volumeMounts"] if mount["name"] == "config"]
    (file,) = one("ConfigMap")["data"]
    table = (DOCS / "deploying.md").read_text("utf-8")

    assert all(f"| `{name}` |" in table for name in variables)
    assert variables["PORT"]["value"] == str(port["containerPort"])
    assert variables["FALCONGATE_CONFIG"]["value"] == f"{config['mountPath']}/{file}"
    secrets = [each["valueFrom"]["secretKeyRef"] for each in variables.values() if "valueFrom" in each]
    assert {each["name"] for each in secrets} == {"falcongate"}
    given = one("Secret")["stringData"]
    assert [each["key"] for each in secrets if not each.get("optional")] == list(given)
    load(environ=given)
    for name, service in settings_of_the_config_map(tmp_path).services.items():
        (at,) = one("Service", name)["spec"]["ports"]
        assert service.url == (f"http://{name}:{at['port']}",)


def test_a_pod_has_time_to_end(tmp_path: Path) -> None:
    server = settings_of_the_config_map(tmp_path).server
    ready = container()["readinessProbe"]

    assert pod()["terminationGracePeriodSeconds"] > server.graceful_timeout_s
    assert server.drain_listen_s >= ready["periodSeconds"] * ready["failureThreshold"]
    assert "lifecycle" not in container()


def test_probes_ask_the_doors_for_it() -> None:
    paths = {
        kind: container()[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")
    }

    assert paths == {"startup": "/health/ready/", "readiness": "/health/ready/", "liveness": "/health/live/"}
    assert all(OWN_PATHS[path.rstrip("/")] is For.ALL for path in paths.values())


def test_the_autoscaler_asks_for_what_the_adapter_makes_of_gauges_that_there_are() -> None:
    metrics = one("HorizontalPodAutoscaler")["spec"]["metrics"]
    asked = [metric["pods"]["metric"]["name"] for metric in metrics if metric["type"] == "Pods"]
    rule = rule_of_the_adapter()
    series = {rule["seriesQuery"].split("{")[0], *re.findall(r"falcongate_\w+", rule["metricsQuery"])}

    assert asked == [rule["name"]["as"]]
    assert len(series) == 2
    assert {metric_shapes()[name] for name in series} == {("gauge", ("service",))}


@needs_promtool
def test_the_adapters_query_adds_up_requests_of_each_pod_but_for_websockets(tmp_path: Path) -> None:
    rule = rule_of_the_adapter()
    requests, websockets = rule["seriesQuery"].split("{")[0], "falcongate_websockets"
    expression = rule["metricsQuery"]
    for template, value in {
        "<<.Series>>": requests,
        "<<.LabelMatchers>>": 'namespace="ours",pod=~"a|b"',
        "<<.GroupBy>>": "pod",
    }.items():
        assert template in expression
        expression = expression.replace(template, value)
    given = (
        (requests, "ours", "a", "hr", 3),
        (requests, "ours", "a", "lms", 4),
        (requests, "ours", "b", "hr", 5),
        (requests, "theirs", "a", "hr", 6),
        (websockets, "ours", "a", "hr", 2),
        (websockets, "ours", "a", "lms", 0),
        (websockets, "ours", "b", "hr", 0),
        (websockets, "theirs", "a", "hr", 6),
    )
    wanted = [{"labels": '{pod="a"}', "value": 5}, {"labels": '{pod="b"}', "value": 5}]
    series = [
        {"series": f'{name}{{namespace="{space}",pod="{pod}",service="{service}"}}', "values": f"{value}"}
        for name, space, pod, service, value in given
    ]
    test = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": expression, "eval_time": "0m", "exp_samples": wanted}],
    }
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"tests": [test]}), "utf-8")
    promtool("test", "rules", str(file))


@needs_promtool
def test_prometheus_accepts_how_pods_are_scraped(tmp_path: Path) -> None:
    config = yaml.safe_load((FOLDER / "monitoring/prometheus-scrape.yaml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    # Debian's Prometheus is built without the part that asks Kubernetes.
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    file = tmp_path / "prometheus.json"
    file.write_text(json.dumps(config), "utf-8")
    promtool("check", "config", "--syntax-only", str(file))

    label, port = job["relabel_configs"][0]["regex"].split(";")
    assert one("Deployment")["spec"]["template"]["metadata"]["labels"] == {"app.kubernetes.io/name": label}
    assert [each["name"] for each in container()["ports"]] == [port]
    assert {rule.get("target_label") for rule in job["relabel_configs"]} >= {"namespace", "pod"}
