# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python of the tree under ruff, mypy and import-linter, as pyproject.toml has them; its docstrings."""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

from panicast_build.core.paths import ROOT
from panicast_build.core.run import run


@pytest.mark.parametrize(
    "argv",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["mypy", "--config-file", "receiver/pyproject.toml", "receiver/src/panicast_receiver"],
    ],
    ids=["ruff", "format", "mypy-pipeline", "mypy-receiver"],
)
def test_python(argv: list[str]) -> None:
    result = run([sys.executable, "-m", *argv], cwd=ROOT, check=False)
    assert result.code == 0, result.output


def test_rooms_import_downwards_only() -> None:
    """pyproject.toml lists the rooms of both programs from top to bottom."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    path = os.pathsep.join(str(ROOT / folder) for folder in ("packaging", "receiver/src"))
    result = run([program, "--no-cache"], cwd=ROOT, env={"PYTHONPATH": path}, check=False)
    assert result.code == 0, result.output


def test_docstrings_of_the_pipeline_begin_with_a_verb() -> None:
    """Those of the receiver do by ruff's D401: it says Return where the pipeline says Returns."""
    found = [
        f"{path.relative_to(ROOT)}:{part.lineno}: {text.splitlines()[0]}"
        for path in (ROOT / "packaging/panicast_build").rglob("*.py")
        for part in ast.walk(ast.parse(path.read_text()))
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(part))
        and not re.match(r"(?:[A-Z][a-z]+s|See|Does)\b", text)
    ]
    assert found == []
