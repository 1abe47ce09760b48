"""The examples grant no more than they must, and real checkers of their formats accept them. (K2.10)"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import kubernetes_validate
import pytest
import redis
import yaml

from admin_api.main import check_place
from jobs.settings import SECRETS, Settings
from tests.servers import RedisServer

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KUBERNETES = "1.31"
"""The oldest version of Kubernetes that is asked. Source: decision; all that is used is older."""
MOST_EXPOSED = 2.5
"""What ``systemd-analyze security`` may give at most: 0 is nothing, 10 everything. Source: issue K2."""
PACKAGES = ("systemd", "libsystemd-shared")


@pytest.fixture(scope="session")
def systemd_analyze(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """systemd's own judge of units: installed, or unpacked from Debian's packages."""
    if found := shutil.which("systemd-analyze"):
        yield [found]
        return
    folder = tmp_path_factory.mktemp("systemd")
    try:
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True, timeout=90)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), "."], cwd=folder, check=True, capture_output=True, timeout=60)
        (library,) = folder.rglob("libsystemd-shared-*.so")
        (program,) = folder.rglob("systemd-analyze")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        pytest.skip(f"systemd-analyze is not installed and Debian's package cannot be had: {type(error).__name__}")
    yield ["env", f"LD_LIBRARY_PATH={library.parent}", str(program)]


def documents(folder: str = "kubernetes") -> list[dict[str, Any]]:
    return [one for path in sorted((DEPLOY / folder).glob("*.yaml")) for one in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """The pod templates by the name of what makes them."""
    return {one["metadata"]["name"]: one["spec"]["template"] for one in documents() if "template" in one["spec"]}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


SERVICES = sorted(compose()["services"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_hardly_exposed(systemd_analyze: list[str], unit: Path) -> None:
    words = [*systemd_analyze, "security", "--offline=yes", "--no-pager", str(unit)]
    said = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "LANG": "C.UTF-8"}, timeout=60)

    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said.stdout)

    assert score, said.stderr
    assert float(score[1]) <= MOST_EXPOSED, said.stdout


def test_units_hold_nothing_that_systemd_does_not_know(systemd_analyze: list[str]) -> None:
    said = subprocess.run([*systemd_analyze, "verify", *map(str, UNITS)], capture_output=True, text=True, timeout=60)

    # The application of the examples is not installed here.
    assert [one for one in said.stderr.splitlines() if "jobledger is not executable" not in one] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_may_not_write_its_code(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    writes = [path for one in lines if one.startswith("ReadWritePaths=") for path in one.partition("=")[2].split()]
    (place,) = [one.partition("=")[2] for one in lines if one.startswith("WorkingDirectory=")]

    assert "ProtectSystem=strict" in lines
    assert not [one for one in writes if Path(place).is_relative_to(one) or Path(one).is_relative_to(place)]


@pytest.mark.parametrize("document", documents(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_kubernetes_knows_every_field_of_the_examples(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_noticed() -> None:
    document = copy.deepcopy(documents()[0])
    document["spec"]["template"]["spec"]["containers"][0]["securityContxt"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", pods())
def test_a_pod_keeps_the_restricted_standard_and_has_no_token_of_the_cluster(name: str) -> None:
    spec = pods()[name]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        assert is_pinned(container["image"])
        # The root is read only, and a worker's counts are files.
        assert "/tmp" in {one["mountPath"] for one in container["volumeMounts"]}


@pytest.mark.parametrize("name", pods())
def test_what_is_not_allowed_to_a_pod_or_from_it_is_refused(name: str) -> None:
    labels = pods()[name]["metadata"]["labels"]
    policies = [one["spec"] for one in documents() if one["kind"] == "NetworkPolicy"]

    refusing = [one for one in policies if not {"ingress", "egress"} & set(one)]

    wanted = [one["podSelector"]["matchLabels"].items() <= labels.items() for one in refusing]
    assert any(wanted)
    assert all(set(one["policyTypes"]) == {"Ingress", "Egress"} for one in refusing)
    for policy in policies:
        for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
            assert rule.get("from") or rule.get("to"), "from or to everybody"
            assert rule["ports"]


def test_keda_reads_a_variable_that_the_container_has() -> None:
    (scaled,) = (
        one for one in documents("keda")
        if one["kind"] == "ScaledObject" and "envSourceContainerName" in one["spec"]["scaleTargetRef"]
    )  # fmt: skip
    spec = pods()[scaled["spec"]["scaleTargetRef"]["name"]]["spec"]
    name = scaled["spec"]["scaleTargetRef"]["envSourceContainerName"]
    (container,) = [one for one in spec["containers"] if one["name"] == name]

    for trigger in scaled["spec"]["triggers"]:
        variable = {one["name"]: one for one in container["env"]}[trigger["metadata"]["connectionFromEnv"]]
        assert variable["valueFrom"]["secretKeyRef"]["name"] == "jobs"


def test_compose_knows_every_field_of_the_example() -> None:
    schema = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
    checker = jsonschema.validators.validator_for(json.loads(schema.read_text()))(json.loads(schema.read_text()))

    checker.validate(compose())

    wrong = copy.deepcopy(compose())
    wrong["services"]["worker"]["read_onyl"] = True
    assert not checker.is_valid(wrong)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_of_compose_is_nobody_and_can_change_nothing(name: str) -> None:
    service = compose()["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in {"", "0", "root"}
    assert is_pinned(service["image"])
    assert set(service["secrets"]) <= set(compose()["secrets"])
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_no_secret_stands_in_compose_and_its_valkey_has_a_password() -> None:
    services = compose()["services"]

    assert "requirepass" in services["valkey"]["command"][-1]
    assert "redis_password" in services["valkey"]["secrets"]
    for service in services.values():
        assert not re.search(r"://[^/\s]*:[^/\s]*@", json.dumps(service))
        assert not {f"JOBS_{one.upper()}" for one in SECRETS} & set(service.get("environment", ()))


def test_the_valkey_of_compose_answers_to_its_password_alone(tmp_path: Path) -> None:
    class AsInCompose(RedisServer):
        def argv(self) -> list[str | Path]:
            line = compose()["services"]["valkey"]["command"][-1].replace("$$", "$")
            line = line.replace("/tmp/valkey.conf", f"{tmp_path}/it.conf").replace("/run/secrets", f"{tmp_path}")
            line = line.replace("valkey-server", str(self.binary))
            return ["sh", "-c", f"{line} --port {self.port} --bind 127.0.0.1 --dir {self.folder}"]

    (tmp_path / "redis_password").write_text("correct horse\n")
    with closing(AsInCompose()) as server:
        server.start()
        with redis.Redis.from_url(server.url) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(server.url, password="correct horse") as ours:
            assert ours.ping()
            assert ours.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}


@pytest.mark.parametrize("where", ["kubernetes", "compose", "systemd"])
def test_the_api_of_each_example_would_start(where: str) -> None:
    if where == "kubernetes":
        found = {one["name"]: one["value"] for one in pods()["jobs-api"]["spec"]["containers"][0]["env"]}
    elif where == "compose":
        found = compose()["services"]["api"]["environment"]
    else:
        found = dict(re.findall(r"\b(JOBS_\w+)=(\S+)", (DEPLOY / "systemd/jobs-api.service").read_text()))
    given = {name.removeprefix("JOBS_").lower(): value for name, value in found.items()}
    given |= {name.removesuffix("_file"): "s" * 48 for name in given if name.endswith("_file")}
    settings = Settings(**{name: value for name, value in given.items() if not name.endswith(("_file", "_url"))})

    check_place(settings)

    assert settings.api_behind_tls
    assert settings.api_hosts
    assert settings.api_proxies
    assert settings.api_secret


def is_pinned(image: str) -> bool:
    """Whether its tag names one release."""
    return bool(re.search(r":v?\d+\.\d+[.\w-]*$|@sha256:", image))
