# SPDX-License-Identifier: GPL-2.0-or-later
"""Python modules that a package bundles because its distro lacks them: see distros.toml."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path, PurePath

from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

# What lies here takes precedence: stand-ins for modules that are no pure Python.
OWN = ROOT / "packaging" / "vendored"
# What older modules state instead of an SPDX identifier.
LICENCES = {"License :: OSI Approved :: MIT License": "MIT"}


def version(name: str) -> str:
    """Returns the version that the lock pins; "0" for a replacement of our own."""
    return "0" if (OWN / f"{name}.py").exists() else metadata.version(distribution(name))


@cache
def distribution(name: str) -> str:
    """Returns a module's name in the package registry; a replacement has the name of what it
    replaces."""
    return name if (OWN / f"{name}.py").exists() else metadata.packages_distributions()[name][0]


def licences(names: list[str]) -> list[str]:
    """Returns the SPDX identifiers of the modules' licences, sorted, without our own."""
    described = [metadata.metadata(distribution(name)) for name in names if not (OWN / f"{name}.py").exists()]
    found = set()
    for about in described:
        stated = [LICENCES[line] for line in about.get_all("Classifier") or () if line in LICENCES]
        found.add(about["License-Expression"] if "License-Expression" in about else stated[0])
    return sorted(found)


def files(names: list[str]) -> dict[str, Path]:
    """Returns the modules' files, each with its licence, by their path among the modules."""
    found: dict[str, Path] = {}
    for name in names:
        own = OWN / f"{name}.py"
        found |= {own.name: own} if own.exists() else _installed(name)
    return found


def _installed(name: str) -> dict[str, Path]:
    """Returns the pure Python files of a module that the lock has installed here."""
    found = {}
    compiled = set()
    for path in metadata.files(distribution(name)) or ():
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
            f"put a replacement into {OWN.relative_to(ROOT)}/",
        )
    return found
