# SPDX-License-Identifier: GPL-2.0-or-later
"""The alert rules under Prometheus' own tool: that they are right, and when they fire."""

from __future__ import annotations

from pathlib import Path

import docker

from panicast_build.core.paths import ROOT
from panicast_build.engine.container import Container

RULES = ROOT / "receiver" / "dist" / "prometheus-rules.yml"
WHEN = Path(__file__).with_name("prometheus-rules-test.yml")


def test_rules(client: docker.DockerClient, lint_image: str) -> None:
    with Container(client, lint_image) as box:
        box.write({path.name: path for path in (RULES, WHEN)}, "/tmp")
        checked = box.run(["promtool", "check", "rules", RULES.name], cwd="/tmp", check=False)
        assert checked.code == 0 and "rules found" in checked.output, checked.output
        tried = box.run(["promtool", "test", "rules", WHEN.name], cwd="/tmp", check=False)
        assert tried.code == 0, tried.output
