# SPDX-License-Identifier: GPL-2.0-or-later
"""The patched kernel under test, from dist/DISTRO/kernel."""

from __future__ import annotations

from dataclasses import dataclass

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.core.errors import UserError
from panicast_build.kernel import config
from panicast_build.smoke.debs import read
from panicast_build.smoke.repo import Package
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro, Distro, RpmDistro

IMAGE, HEADERS, DEBUG = "linux-image-", "linux-headers-", "-dbg"


@dataclass(frozen=True)
class PatchedKernel:
    """A patched kernel's packages, its `uname -r`, and whether its modules are signed."""

    packages: list[Package]
    release: str
    signed: bool

    @property
    def installed(self) -> list[str]:
        """Returns the names of the packages for a machine that builds modules."""
        return [p.name for p in self.packages if p.name.startswith((IMAGE, HEADERS))]


def built(distro: Distro, wanted: str = "") -> PatchedKernel:
    """Returns the kernel with the wanted configuration; for "", the first of configs.toml that was
    built. Raises UserError, which says how to build it, or that it cannot be installed beside what
    the guests have."""
    return distros.by_family(distro, deb=lambda target: _built(target, wanted), rpm=_refuse)


def _refuse(distro: RpmDistro) -> PatchedKernel:
    raise UserError(
        f"the guests of {distro.name} have a Debian root, which no RPM of a kernel fits",
        "./inv test boots what was built for it",
    )


def _built(distro: DebDistro, wanted: str) -> PatchedKernel:
    target = paths.kernel_target(distro.name)
    components = dist.read(target).get("components", {})
    names = [name for name in config.load() if name in components and wanted in ("", name)]
    if not names:
        said = f" --config {wanted}" if wanted else ""
        raise UserError(
            f"no patched kernel in {paths.dist_dir(target)}",
            f"build it: ./inv kernel --distro {distro.name}{said}",
        )
    component = components[names[0]]
    files = [entry["file"] for entry in component["files"] if entry["file"].endswith(".deb")]
    packages = [read(paths.dist_dir(target) / file) for file in files]
    packages = [package for package in packages if not package.name.endswith(DEBUG)]
    # The metapackage that leads to it has the configuration's suffix only.
    meta = f"{IMAGE}{config.get(names[0]).suffix.removeprefix('-')}"
    images = {package.name for package in packages if package.name.startswith(IMAGE)}
    (image,) = images - {meta}
    return PatchedKernel(packages, image.removeprefix(IMAGE), bool(component["inputs"]["key"]))
