# SPDX-License-Identifier: GPL-2.0-or-later
"""Python modules that a package takes along because its distro has them not: see distros.toml."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path, PurePath

from panicast_build.errors import UserError
from panicast_build.paths import ROOT

# What lies here takes precedence: stand-ins for modules that are no pure Python.
OWN = ROOT / "packaging" / "vendored"


def version(name: str) -> str:
    """The version that the lock pins; "0" for a stand-in of our own."""
    return "0" if (OWN / f"{name}.py").exists() else metadata.version(name)


def files(names: list[str]) -> dict[str, Path]:
    """The files of the modules by their path among the modules, each with its licence."""
    found: dict[str, Path] = {}
    for name in names:
        own = OWN / f"{name}.py"
        found |= {own.name: own} if own.exists() else _installed(name)
    return found


def _installed(name: str) -> dict[str, Path]:
    """The pure Python of a module that the lock has installed here."""
    found = {}
    compiled = set()
    for path in metadata.files(name) or ():
        if path.parts[0] == name and path.suffix == ".py":
            found[str(path)] = Path(str(path.locate()))
        elif path.parts[0] == name and path.suffix == ".so":
            compiled.add(f"{path.parent}/{path.name.partition('.')[0]}.py")
        elif PurePath(path).name.upper().startswith("LICENSE"):
            found[f"{name}/{path.name}"] = Path(str(path.locate()))
    # What is compiled for speed is there as Python too.
    if missing := {f"{name}/__init__.py", *compiled} - set(found):
        raise UserError(
            f"the module {name} of the lock is not pure Python: it has no {', '.join(sorted(missing))}",
            f"put a stand-in into {OWN.relative_to(ROOT)}/",
        )
    return found
