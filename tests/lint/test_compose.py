# SPDX-License-Identifier: GPL-2.0-or-later
"""The compose project that ./inv image leaves beside the image: right for the specification, for Debian's own
docker-compose and for Prometheus' tool, and whole. Nothing is pulled."""

from __future__ import annotations

import sys
from pathlib import Path

import docker
import pytest
from ruamel.yaml import YAML

from panicast_build.build import image
from panicast_build.core.run import run
from panicast_build.engine.container import Container
from panicast_build.targets import metadata

PASSWORD = b"PANICAST_PASSWORD=x\n"
# What docs/containers.md has its reader write.
WRITTEN = ("prometheus-token",)


@pytest.fixture(scope="module")
def project() -> dict[str, bytes]:
    """The files by name."""
    return image.compose(metadata.load())


def test_the_specification(project: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_bytes(project["compose.yaml"])
    tool = Path(sys.executable).with_name("check-jsonschema")
    checked = run([tool, "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml"], check=False)
    assert checked.code == 0, checked.output


def test_every_file_that_it_mounts_is_there(project: dict[str, bytes]) -> None:
    services = YAML(typ="safe").load(project["compose.yaml"])["services"]
    mounted = {
        volume.split(":")[0].removeprefix("./")
        for service in services.values()
        for volume in service["volumes"]
        if volume.startswith("./")
    }
    assert mounted and mounted == set(project) - {"compose.yaml"} | set(WRITTEN)
    assert services["receiver"]["image"] == services["web"]["image"] == image.name(metadata.load())


def test_what_has_no_tls_is_for_this_machine_alone(project: dict[str, bytes]) -> None:
    services = YAML(typ="safe").load(project["compose.yaml"])["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) > 1
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["6664:6664/udp"]


def test_what_reads_it(project: dict[str, bytes], client: docker.DockerClient, lint_image: str) -> None:
    with Container(client, lint_image) as box:
        box.write({**project, "token": b"x\n"}, "/srv")
        refused = box.run(["docker-compose", "config", "--quiet"], cwd="/srv", check=False)
        assert refused.code and "write PANICAST_PASSWORD=" in refused.output
        box.write({".env": PASSWORD}, "/srv")
        read = box.run(["docker-compose", "config"], cwd="/srv", check=False)
        assert read.code == 0 and "POSTGRES_PASSWORD: x" in read.output, read.output
        checked = box.run(["promtool", "check", "config", "prometheus.yml"], cwd="/srv", check=False)
        assert checked.code == 0 and "1 rule files found" in checked.output, checked.output
