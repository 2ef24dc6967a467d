# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that bring a machine the archive's key and its source entry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docker

from panicast_build.build import assemble, dist, package, rpmroot
from panicast_build.build.order import Order
from panicast_build.core import templating
from panicast_build.core.paths import ROOT, dist_dir
from panicast_build.repository.key import Key
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Component, Project

TEMPLATES = ROOT / "packaging" / "templates" / "repository"
COMPONENTS = {
    component.families[0]: component
    for component in (
        Component("archive", "panicast-archive-keyring", ("deb",)),
        Component("archive", "panicast-release", ("rpm",)),
    )
}
# How the key is exported, and the names of its file and of the source entry.
FILES: dict[str, tuple[Callable[[Key, Path], None], str, str]] = {
    "deb": (Key.export, "{package}.pgp", "{project}.sources"),
    "rpm": (Key.export_text, "RPM-GPG-KEY-{project}", "{project}.repo"),
}


def target(distro: Distro) -> str:
    """Where in dist/ they are."""
    return f"{distro.name}/archive"


def _sources(project: Project, distro: Distro, key: Key, url: str) -> dict[str, Path | bytes]:
    """What the package of a distro has in it."""
    package_name = COMPONENTS[distro.family].package
    values = {
        "project": project,
        "distro": distro,
        "package": package_name,
        "url": url,
        "managers": rpmroot.MANAGERS,
    }
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "key"
        export, key_name, entry_name = FILES[distro.family]
        export(key, exported)
        names = [name.format(package=package_name, project=project.name) for name in (key_name, entry_name)]
        entry = templating.environment(TEMPLATES).get_template(names[1]).render(values)
        return {names[0]: exported.read_bytes(), names[1]: entry.encode()}


def build(client: docker.DockerClient, project: Project, distro: Distro, key: Key, url: str) -> Path:
    """Builds the package of a distro, if something has changed; its folder."""
    component, where = COMPONENTS[distro.family], target(distro)
    sources, changed = _sources(project, distro, key, url), key.changed()
    # Of a version of its own: it is new when the key is, and only then.
    versioned = replace(project, version=datetime.fromtimestamp(changed, UTC).strftime("%Y%m%d.%H%M%S"))
    with dist.locked(where):
        order = Order(client, versioned, component, sources=sources, epoch=changed)
        made = package.builder(order, distro)
        title = f"{component.package} for {distro.name}"
        assemble.fill(where, versioned, {component.name: made}, {component.name: title})
    return dist_dir(where)
