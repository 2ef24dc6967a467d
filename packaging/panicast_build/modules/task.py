# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv modules: builds the module's packages for kernels into dist/DISTRO/modules/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import docker

from panicast_build.build import assemble, dist, package, signing, source
from panicast_build.build import rpm as rpm_build
from panicast_build.build.order import Order
from panicast_build.build.signing import ModuleKey
from panicast_build.core import parallel, paths
from panicast_build.engine import engine
from panicast_build.modules import kernels, rpm
from panicast_build.modules.kernels import DebKernel
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import DebDistro, Distro, RpmDistro
from panicast_build.targets.metadata import Component, Project

TEMPLATES = "panicast-modules"
# Where signed packages have their signer's certificate, for mokutil: in the source, and on a server.
CERTIFICATE, SIGNERS = "signer.der", "/usr/share/panicast/signers"


def run(
    names: str,
    named: str = "",
    key: str = "",
    rpm_host: str = rpm_build.AUTO,
    jobs: int = 1,
    snapshot: bool = False,
) -> None:
    """Builds the packages for the kernels of a comma list of distros (or "all"): for those of the
    comma list named, where a flavour means its newest; for "" the newest of each flavour.

    key is the file of the key that signs the module ("": the one that PANICAST_MODULE_KEY names, or
    none). rpm_host says where RPMs are built: see panicast_build.build.rpm. With snapshot the
    version names the commit.

    Packages for other kernels that were built before stay.
    """
    chosen = distros.select(names)
    if len(chosen) > 1:
        options = [
            "--rpm-host",
            rpm_host,
            *(["--kernel", named] if named else []),
            *(["--key", key] if key else []),
        ]
        options += ["--snapshot"] if snapshot else []
        parallel.run_all("modules", [distro.name for distro in chosen], options, jobs)
        return
    signer, releases = signing.load(key), [name.strip() for name in named.split(",") if name.strip()]
    client, project = engine.connect(), metadata.load()
    if snapshot:
        project = replace(project, version=source.snapshot(project.version))
    for distro in chosen:
        orders = orders_for(client, project, distro, releases, signer, rpm_host)
        target = paths.modules_target(distro.name)
        with dist.locked(target):
            assemble.fill(
                target,
                project,
                {release: package.builder(order, distro, rpm_host) for release, order in orders.items()},
                {
                    release: f"{order.component.package} for {distro.name}"
                    for release, order in orders.items()
                },
            )


def orders_for(
    client: docker.DockerClient,
    project: Project,
    distro: Distro,
    releases: list[str],
    key: ModuleKey | None,
    rpm_host: str = rpm_build.AUTO,
) -> dict[str, Order]:
    """Returns what is to be built, by the kernel's release."""
    return distros.by_family(
        distro,
        deb=lambda target: {
            kernel.release: _deb(client, project, target, kernel, key)
            for kernel in kernels.find(client, target, releases)
        },
        rpm=lambda target: {
            kernel.release: _rpm(client, project, target, kernel, key)
            for kernel in rpm.find(client, project, target, releases, rpm_host)
        },
    )


def _deb(
    client: docker.DockerClient, project: Project, distro: DebDistro, kernel: DebKernel, key: ModuleKey | None
) -> Order:
    return Order(
        client,
        project,
        Component("kmod", f"{TEMPLATES}-{kernel.release}", ("deb",), TEMPLATES),
        sources=_compiled(key),
        values={"kernel": kernel, "key": key.path if key else "", "signers": SIGNERS},
        image=kernels.image(client, distro, kernel),
        suffix=kernel.suffix,
        options=kernel.options,
        key=key,
    )


def _rpm(
    client: docker.DockerClient,
    project: Project,
    distro: RpmDistro,
    kernel: rpm.RpmKernel,
    key: ModuleKey | None,
) -> Order:
    name = distro.kmod.name.format(release=kernel.release)
    return Order(
        client,
        project,
        Component("kmod", name, ("rpm",), TEMPLATES),
        sources=_compiled(key),
        values={"kernel": kernel, "key": key.path if key else "", "signers": SIGNERS},
        image=kernel.image,
        suffix=kernel.suffix,
        key=key,
    )


def _compiled(key: ModuleKey | None) -> dict[str, Path | bytes]:
    """Returns the module's sources by name, without what panicast-common and DKMS have beside them, and
    the signer's certificate."""
    found = source.files("kmod").items()
    sources: dict[str, Path | bytes] = {
        name: path for name, path in found if not name.startswith("dist/") and name != "dkms.conf"
    }
    return {**sources, CERTIFICATE: key.certificate} if key else sources
