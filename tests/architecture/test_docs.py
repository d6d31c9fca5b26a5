"""The pages say what is true: every setting, problem and metric, every link and every path."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from falcongate import denials, errors, outages, refusals
from falcongate.config.access import AccessSettings
from falcongate.config.identity import IssuerSettings
from falcongate.config.load import load
from falcongate.config.policies import ConcurrencySettings, LimitSettings
from falcongate.config.settings import GatewaySettings, ServiceSettings
from falcongate.telemetry import metrics
from tests.architecture.tree import DOCS, PACKAGE, ROOT, modules, name_of, pages, texts
from tests.support.certificates import Authority

LINK = re.compile(r"\]\(([^)\s]+)\)")
PROBLEM = re.compile(r"^## `([a-z-]+)` \((\d{3})\)$", re.MULTILINE)
METRIC_ROW = re.compile(r"^\| `(falcongate_[a-z_]+)` \| (\w+) \| ?([\w, ]*?) ?\|", re.MULTILINE)
METRIC = re.compile(r"\bfalcongate_[a-z_]+\b")
TEST = re.compile(r"`(?:([\w/]+\.py))?::(\w+)`|`([\w/]+\.py)`")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOML_KEY = re.compile(r"^(?:# ?)?(?:\[(?P<section>[\w.\"-]+)\]|(?P<key>\w+) *=)", re.MULTILINE)
OF_A_HOST = re.compile(r"/(?:etc|run)/[\w./-]+")
ENVIRON = {"JWT_SECRET_KEY": "a secret that is as long as it must be"}
OF_A_WORKPLACE = re.compile(
    r"[/](?:work|opt/wheels|tmp/(?:bash_\w+|notes|v))/|\bissue\ #\d|extra[-]index-url|find[-]links"
)


BY_NAME: dict[str, type[BaseModel]] = {
    "issuers": IssuerSettings,
    "access": AccessSettings,
    "services": ServiceSettings,
    "limits": LimitSettings,
    "concurrency": ConcurrencySettings,
}
BY_NAME_SECTION = re.compile(rf"^({'|'.join(BY_NAME)})\.[^.]+")


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting that holds a value, as `section.key`; what has names of an operator's is called `*`."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from settings_of(annotation, f"{prefix}{name}.")
        elif name in BY_NAME and not prefix:
            yield from settings_of(BY_NAME[name], f"{name}.*.")
        else:
            yield f"{prefix}{name}"


def keys_of_reference() -> set[str]:
    """Every key of the reference file, those in comments too."""
    keys, section = set(), ""
    for found in TOML_KEY.finditer((ROOT / "conf/gateway.toml").read_text("utf-8")):
        if found["section"]:
            section = BY_NAME_SECTION.sub(r"\1.*", found["section"]) + "."
            keys.add(section.rstrip("."))
        else:
            keys.add(section + found["key"])
    return keys


def attributes_read() -> set[str]:
    """Names that are read as an attribute anywhere but where settings are made."""
    return {
        node.attr
        for path in modules()
        if path.parent != PACKAGE / "config"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def problems() -> set[tuple[str, int]]:
    """Every problem type that the code can answer with, and its status."""

    def kinds(cls: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
        yield cls
        for below in cls.__subclasses__():
            if below.__module__ in {module.__name__ for module in (errors, refusals, outages, denials)}:
                yield from kinds(below)

    known = {(kind.problem, kind.status) for kind in kinds(errors.GatewayError) if "problem" in vars(kind)}
    return known | {
        (kind.problem, kind.status) for kind in vars(errors).values() if isinstance(kind, errors.FailureKind)
    }


def metric_names() -> set[str]:
    """Every metric, under the name that Prometheus shows."""
    families = [
        family
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    ]
    counted = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    return counted | {metric.name for metric in metrics.CLUSTER}


def metric_shapes() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every metric's kind and labels."""
    shapes = {metric.name: (metric.kind, metric.labels) for metric in metrics.CLUSTER}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            shapes[name] = (family.type, tuple(metric._labelnames))  # noqa: SLF001  # it has no other way
    return shapes


def anchors_of(text: str) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def shown_toml(page: Path) -> list[str]:
    """The configurations that a page shows; one that changes the gateway shows them for a changed one."""
    found = FENCE.findall(page.read_text("utf-8"))
    changes = any(language == "diff" for language, _ in found)
    return [text for language, text in found if language == "toml" and not changes]


def made_here(place: str, authority: Authority) -> str:
    """A file that stands for one at `place` on somebody's host, with what such a file holds."""
    file = authority.folder / place.strip("/").replace("/", "-")
    if file.suffix == ".pem":
        file.write_bytes(authority.own().read_bytes())
    else:
        file.write_text("redis://127.0.0.1:6379", "ascii")
    return str(file)


def defines(path: Path, name: str) -> bool:
    """Whether a module of tests has a test or a class of tests of this name."""
    return re.search(rf"^ *(?:def|class) {name}\b", path.read_text("utf-8"), re.MULTILINE) is not None


def test_every_setting_is_in_the_reference() -> None:
    missing = set(settings_of(GatewaySettings)) - keys_of_reference()

    assert not missing


def test_every_setting_is_read_somewhere() -> None:
    read = attributes_read()

    assert not {setting for setting in settings_of(GatewaySettings) if setting.rpartition(".")[2] not in read}


def test_every_problem_is_documented_with_its_status_and_nothing_else_is() -> None:
    documented = PROBLEM.findall((DOCS / "problems.md").read_text("utf-8"))

    assert len(documented) == len(set(documented))
    assert {(problem, int(status)) for problem, status in documented} == problems()


def test_every_metric_is_documented_and_nothing_else_is() -> None:
    text = (DOCS / "metrics.md").read_text("utf-8")
    documented = {name for name in METRIC.findall(text) if not name.endswith(("_bucket", "_sum", "_count"))}

    assert metric_names()
    assert documented == metric_names()


def test_every_metric_is_documented_with_its_kind_and_labels() -> None:
    rows = METRIC_ROW.findall((DOCS / "metrics.md").read_text("utf-8"))
    documented = {name: (kind, tuple(filter(None, labels.split(", ")))) for name, kind, labels in rows}

    assert len(rows) == len(documented)
    assert documented == metric_shapes()


def test_every_alert_is_told_with_what_to_do() -> None:
    told = re.findall(r"^\| `(Falcongate\w+)` \|", (DOCS / "operating.md").read_text("utf-8"), re.MULTILINE)
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "conf/prometheus-alerts.yml").read_text("utf-8"))

    assert alerts
    assert told == alerts


def test_every_link_leads_somewhere() -> None:
    broken = []
    for page in pages():
        for link in LINK.findall(page.read_text("utf-8")):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            if not target.exists() or (anchor and anchor not in anchors_of(target.read_text("utf-8"))):
                broken.append(f"{name_of(page)}: {link}")

    assert not broken


def test_every_test_that_the_contract_names_is_there() -> None:
    missing, file = [], ""
    for found in TEST.finditer((DOCS / "contract.md").read_text("utf-8")):
        file = found[1] or found[3] or file
        path = ROOT / "tests" / file
        if not path.is_file() or (found[2] and not defines(path, found[2])):
            missing.append(found[0])

    assert not missing


@pytest.mark.parametrize("page", [page for page in pages() if shown_toml(page)], ids=name_of)
def test_every_configuration_shown_is_valid(page: Path, tmp_path: Path) -> None:
    authority = Authority("shown", tmp_path)
    for text in shown_toml(page):
        file = tmp_path / "shown.toml"
        file.write_text(OF_A_HOST.sub(lambda named: made_here(named[0], authority), text), "utf-8")
        settings = load(environ=ENVIRON, path=str(file))
        assert settings != GatewaySettings()


def test_nothing_speaks_of_the_place_where_it_was_written() -> None:
    assert not {name_of(path): found[0] for path, text in texts() if (found := OF_A_WORKPLACE.search(text))}
