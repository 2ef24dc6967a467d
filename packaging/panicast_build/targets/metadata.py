# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's name, version and addresses, and the components that are packaged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import files, tables
from panicast_build.core.choice import check
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

METADATA = Path("packaging/metadata.toml")


@dataclass(frozen=True)
class Project:
    """The table [project] of packaging/metadata.toml."""

    name: str
    version: str
    maintainer: str
    homepage: str
    repository: str
    archive: str
    description: str


@dataclass(frozen=True)
class Component:
    """A part that is packaged by itself: its source folder, its (source) package's name, the
    families that have it, and the folder of its templates ("": the package's name)."""

    name: str
    package: str
    families: tuple[str, ...] = ("deb", "rpm")
    folder: str = ""

    @property
    def templates(self) -> str:
        """Returns the name of the folder of its templates, for each family."""
        return self.folder or self.package


COMPONENTS = {
    component.name: component
    for component in (
        Component("kmod", "panicast-dkms"),
        Component("receiver", "panicast-receiver"),
        Component("selinux", "panicast-selinux", ("rpm",)),
    )
}


def of_family(family: str) -> list[Component]:
    """Returns the components that a family has packages of."""
    return [component for component in COMPONENTS.values() if family in component.families]


def of_distro(family: str, only: tuple[str, ...]) -> list[Component]:
    """Returns the components that a distro has packages of: those it names, or all of its family's."""
    return [component for component in of_family(family) if not only or component.name in only]


# Files that must repeat the version for a build tool of their own, and how each says it.
VERSION_COPIES = {
    Path("kmod/version.h"): re.compile(r'^#define PANICAST_VERSION "(.+)"$', re.MULTILINE),
    Path("receiver/pyproject.toml"): re.compile(r'^version = "(.+)"$', re.MULTILINE),
    Path("pyproject.toml"): re.compile(r'^version = "(.+)"$', re.MULTILINE),
}


def stated(root: Path = ROOT) -> Project:
    """Returns the project as metadata.toml states it, whatever other files say."""
    path = root / METADATA
    return tables.value(path, "project", tables.load(path).get("project", {}), Project, named=False)


def load(root: Path = ROOT) -> Project:
    """Returns the project. Raises UserError if another file states another version."""
    project = stated(root)
    for path, pattern in VERSION_COPIES.items():
        found = pattern.search((root / path).read_text())
        repeated = found.group(1) if found else "no version"
        if repeated != project.version:
            raise UserError(
                f"{path} says {repeated}, {METADATA} says {project.version}",
                f"the version is set in {METADATA}; make {path} repeat it",
            )
    return project


def set_version(version: str, root: Path = ROOT) -> None:
    """Sets the project's version in every file that states it."""
    patterns = {METADATA: re.compile(r'^version = "(.+)"$', re.MULTILINE), **VERSION_COPIES}
    for path, pattern in patterns.items():
        text = (root / path).read_text()
        found = pattern.search(text)
        if found is None:
            raise UserError(f"{path} does not state a version")
        start, end = found.span(1)
        files.write(root / path, text[:start] + version + text[end:])


def components(name: str) -> list[Component]:
    """Returns the component called name, or all of them for "". Raises UserError, which lists the
    right names."""
    if not name:
        return list(COMPONENTS.values())
    check("component", name, COMPONENTS)
    return [COMPONENTS[name]]
