# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that give a machine the archive's key and its source entry.

The entry is a configuration file: who edits it, e.g. to have the patched kernels, keeps it over
upgrades. The address stands in a file of its own that nobody needs to edit, so that a corrected one
reaches those machines too.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

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


class Files(NamedTuple):
    """How the keys are exported; the names of their file, of the source entry and of the file with the
    address; and that file's contents."""

    export: Callable[[Sequence[Key], Path], None]
    key: str
    entry: str
    address: str
    contents: str


FILES = {
    # A list of mirrors, see apt-transport-mirror(1).
    "deb": Files(key.export, "{package}.pgp", "{project}.sources", "mirrors", "{scheme}{address}/deb/\n"),
    # A variable, see dnf.conf(5) and zypp.conf. zypper wants the scheme in the entry.
    "rpm": Files(
        key.export_text, "RPM-GPG-KEY-{project}", "{project}.repo", "{project}_archive", "{address}\n"
    ),
}


def target(distro: Distro) -> str:
    """Returns where in dist/ they are."""
    return f"{distro.name}/archive"


def _sources(project: Project, distro: Distro, keys: Sequence[Key], url: str) -> dict[str, Path | bytes]:
    """Returns the contents of a distro's package."""
    files, package_name = FILES[distro.family], COMPONENTS[distro.family].package
    address = url.rpartition("://")[2]
    words = {
        "package": package_name,
        "project": project.name,
        "scheme": url.removesuffix(address),
        "address": address,
    }
    names = {what: getattr(files, what).format(**words) for what in ("key", "entry", "address")}
    values = {
        "project": project,
        "distro": distro,
        "files": names,
        "package": package_name,
        "scheme": words["scheme"],
        "managers": rpmroot.MANAGERS,
    }
    entry = templating.environment(TEMPLATES).get_template(names["entry"]).render(values)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "key"
        files.export(keys, exported)
        return {
            names["key"]: exported.read_bytes(),
            names["entry"]: entry.encode(),
            names["address"]: files.contents.format(**words).encode(),
        }


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
