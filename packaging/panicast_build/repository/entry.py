# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that give a machine the archive's key and its source entry."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docker

from panicast_build.build import assemble, dist, package, rpmroot
from panicast_build.build.order import Order
from panicast_build.core import archive, templating
from panicast_build.core.paths import ROOT, dist_dir
from panicast_build.repository import key
from panicast_build.repository.key import Key
from panicast_build.repository.publish import Snapshot
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
# How the keys are exported, and the names of their file and of the source entry.
FILES: dict[str, tuple[Callable[[Sequence[Key], Path], None], str, str]] = {
    "deb": (key.export, "{package}.pgp", "{project}.sources"),
    "rpm": (key.export_text, "RPM-GPG-KEY-{project}", "{project}.repo"),
}


def target(distro: Distro) -> str:
    """Returns where in dist/ they are."""
    return f"{distro.name}/archive"


def _sources(project: Project, distro: Distro, keys: Sequence[Key], url: str) -> dict[str, Path | bytes]:
    """Returns the contents of a distro's package."""
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
        export(keys, exported)
        names = [name.format(package=package_name, project=project.name) for name in (key_name, entry_name)]
        entry = templating.environment(TEMPLATES).get_template(names[1]).render(values)
        return {names[0]: exported.read_bytes(), names[1]: entry.encode()}


def _content(sources: dict[str, Path | bytes], distro: Distro) -> str:
    """Returns the SHA-256 of all that a package is made from, except its version."""
    top = ROOT / "packaging" / "templates" / distro.family / COMPONENTS[distro.family].package
    made_from = {**sources, **{f"{distro.family}/{name}": top / name for name in archive.read_tree(top)}}
    digest = hashlib.sha256()
    for name, data in sorted(made_from.items()):
        text = data if isinstance(data, bytes) else data.read_bytes()
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def _version(published: tuple[str, int] | None, content: str, changed: int, now: int) -> int:
    """Returns a package's version, in seconds since 1970. The first one's is the time of the key's
    last change. Later ones keep the version while the content is the same; otherwise it is the time
    of the publication, or one more than the last version if that is newer."""
    if published is None:
        return changed
    before, version = published
    return version if content == before else max(now, version + 1)


def build(
    client: docker.DockerClient,
    project: Project,
    distro: Distro,
    keys: Sequence[Key],
    url: str,
    made: Snapshot,
    now: int,
) -> Path:
    """Builds a distro's package for a publication if something has changed, and returns its folder.
    A machine that has it trusts the keys; the first one signs."""
    component, where = COMPONENTS[distro.family], target(distro)
    sources = _sources(project, distro, keys, url)
    content = _content(sources, distro)
    epoch = _version(made.entries.get(distro.name), content, keys[0].changed(), now)
    made.entries[distro.name] = (content, epoch)
    versioned = replace(project, version=datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d.%H%M%S"))
    with dist.locked(where):
        order = Order(client, versioned, component, sources=sources, epoch=epoch)
        builder = package.builder(order, distro)
        title = f"{component.package} for {distro.name}"
        assemble.fill(where, versioned, {component.name: builder}, {component.name: title})
    return dist_dir(where)
