# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a release's statements: an SBOM (CycloneDX), provenance (in-toto, SLSA), notes, checksums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from google.protobuf.json_format import MessageToDict
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from packageurl import PackageURL

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.repository import publish
from panicast_build.repository.task import ARCHIVES
from panicast_build.targets import vendored
from panicast_build.targets.changelog import Entry
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Project

PREDICATE = "https://slsa.dev/provenance/v1"
PACKAGES = (".deb", ".rpm")
SBOM, PROVENANCE, NOTES, SUMS = "sbom.cdx.json", "provenance.intoto.jsonl", "release-notes.md", "SHA256SUMS"


def files(folder: Path) -> list[Path]:
    """Returns every file of a release except the checksums and their signature."""
    left_out = {folder / SUMS, folder / f"{SUMS}.asc"}
    found = {path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return sorted(found - left_out)


def sbom(project: Project, distros: Sequence[Distro], folder: Path, now: datetime) -> str:
    """Returns the packages of a release with their versions and hashes, and the Python modules that
    they bundle."""
    bom = Bom()
    bom.metadata.timestamp = now
    root = Component(name=project.name, version=project.version, type=ComponentType.APPLICATION)
    bom.metadata.component = root
    for distro in distros:
        for path in _packages(distro, folder):
            bom.components.add(_package(project, distro, path, str(path.relative_to(folder))))
    bom.register_dependency(root, bom.components)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def _packages(distro: Distro, folder: Path) -> list[Path]:
    """Returns a distro's packages below folder/DISTRO, and those that only its repository has: the
    archive's key, earlier versions, kernels."""
    places = [ARCHIVES[distro.family].place(distro, "", kernel=kernel) for kernel in (False, True)]
    served = [top for place in places for top in sorted(folder.glob(f"repo/{publish.SNAPSHOTS}/*/{place}"))]
    tops = [*served, folder / distro.name]
    found = {path.name: path for top in tops for path in top.rglob("*")}
    return sorted(path for path in found.values() if path.suffix in PACKAGES)


def _package(project: Project, distro: Distro, path: Path, reference: str) -> Component:
    if path.suffix == ".deb":
        name, version, architecture = path.stem.split("_")
    else:
        rest, _, architecture = path.stem.rpartition(".")
        name, version, release = rest.rsplit("-", 2)
        version = f"{version}-{release}"
    # Nobody recorded the modules of an earlier version.
    ours = name.endswith("-receiver") and version.partition("-")[0] == project.version
    takes = distro.vendored if ours else []
    qualifiers = {"arch": architecture, "distro": distro.name}
    return Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=reference,
        purl=PackageURL(distro.family, project.name, name, version, qualifiers),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=dist.sha256(path))],
        components=[
            Component(
                name=module,
                version=vendored.version(module),
                bom_ref=f"{reference}/{module}",
                purl=PackageURL("pypi", None, module, vendored.version(module)),
            )
            for module in takes
        ],
    )


def provenance(project: Project, distros: Sequence[Distro], folder: Path, commit: str, now: datetime) -> str:
    """Returns an in-toto statement: the files that a commit's build produced, and what it was built
    with."""
    subjects = [
        ResourceDescriptor(name=str(path.relative_to(folder)), digest={"sha256": dist.sha256(path)}).pb
        for path in files(folder)
        if path.name != PROVENANCE
    ]
    targets = [name for d in distros for name in (d.name, paths.modules_target(d.name))]
    predicate = {
        "buildDefinition": {
            "buildType": f"{project.homepage}/release/v1",
            "externalParameters": {
                "version": project.version,
                "distros": [distro.name for distro in distros],
            },
            "resolvedDependencies": [
                {"uri": f"git+{project.homepage}", "digest": {"gitCommit": commit}},
                *_images([dist.read(target) for target in targets if (folder / target).is_dir()]),
            ],
        },
        "runDetails": {
            "builder": {"id": f"{project.homepage}/inv-release"},
            "metadata": {"finishedOn": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        },
    }
    statement = Statement(subjects, PREDICATE, predicate)
    statement.validate()
    return json.dumps(MessageToDict(statement.pb), indent=2) + "\n"


def _images(built: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the base images of all builds, by the hash of their root file system."""
    layers = {
        component["inputs"]["image"]["base"]["layer"]: component["inputs"]["image"]["tag"]
        for stated in built
        for component in stated["components"].values()
    }
    return [
        {"name": f"base of {tag}", "digest": dict([layer.split(":", 1)])}
        for layer, tag in sorted(layers.items())
    ]


def notes(project: Project, entry: Entry, distros: Sequence[Distro], smoked: Sequence[str]) -> str:
    """Returns the release notes: what is new, for which targets, and on which of them the smoke
    test ran."""
    changes = "".join(f"- {change}\n" for change in entry.changes)
    seen = dict.fromkeys(smoked, "; a machine with these packages was crashed, and heard")
    targets = "".join(f"- {distro.name}: {distro.title}{seen.get(distro.name, '')}\n" for distro in distros)
    return f"# {project.name} {project.version}\n\n{changes}\n## Targets\n\n{targets}"


def sums(folder: Path) -> str:
    """Returns SHA256SUMS of every file of a release."""
    return "".join(f"{dist.sha256(path)}  {path.relative_to(folder)}\n" for path in files(folder))
