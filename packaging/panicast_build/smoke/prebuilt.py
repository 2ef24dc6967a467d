# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenario of a server without a compiler: its package brings the module itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.core.errors import UserError
from panicast_build.engine.container import Container
from panicast_build.modules import kernels
from panicast_build.smoke.debs import read
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.family import Tool
from panicast_build.smoke.image import GuestImage, prepared_image
from panicast_build.smoke.patched import Start
from panicast_build.smoke.repo import Package
from panicast_build.smoke.scenario import INSTALL_SECONDS, MODULE_FOLDER, Stage, Step
from panicast_build.smoke.system import System
from panicast_build.smoke.vm import Spec
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro, Distro, RpmDistro

# What the guests' image has to compile, by the patterns that apt knows.
COMPILING = (
    "^gcc(-[0-9]+)?$",
    "^cpp(-[0-9]+)?$",
    "make",
    "ccache",
    "dkms",
    "dpkg-dev",
    "^linux-(headers|kbuild)-",
)
# Fails if a server could compile after all.
BARE = " && ".join(
    (*(f"! command -v {tool}" for tool in ("gcc", "cc", "make", "dkms")), "! ls -d /lib/modules/*/build/*")
)
# Where the package has the module, below the kernel's folder.
PLACE = "updates/panicast/panicast.ko"


@dataclass(frozen=True)
class Prebuilt:
    """The packages with the module for kernels of the guests' flavour, and the name of the one that
    brings the newest."""

    packages: list[Package]
    newest: str


def built(distro: Distro) -> Prebuilt:
    """Returns those in dist/DISTRO/modules. Raises UserError, which says how to build them, or that
    they are not for the guests' kernel."""
    return distros.by_family(distro, deb=_built, rpm=_refuse)


def _refuse(distro: RpmDistro) -> Prebuilt:
    raise UserError(
        f"the guests of {distro.name} have Debian's kernel, for which its packages have no module",
        "./inv test crashes a guest with such a package",
    )


def _built(distro: DebDistro) -> Prebuilt:
    target, wanted = paths.modules_target(distro.name), kernels.flavour(distro, distro.kernel_image)
    components = dist.read(target).get("components", {})
    files = [
        entry["file"]
        for release, component in components.items()
        if kernels.flavour(distro, release) == wanted
        for entry in component["files"]
        if entry["file"].endswith(".deb")
    ]
    if not files:
        raise UserError(
            f"no package with the module for {wanted} in {paths.dist_dir(target)}",
            f"build it: ./inv modules --distro {distro.name} --kernel {wanted}",
        )
    return Prebuilt([read(paths.dist_dir(target) / file) for file in files], f"panicast-modules-{wanted}")


def without_compiler(client: docker.DockerClient, tag: str, kept: Path, log: TextIO) -> GuestImage:
    """Returns the guests' image without what compiles. Cached in the folder kept."""

    def purge(box: Container) -> None:
        box.run(["apt-get", "purge", "-y", *COMPILING], log=log)

    return prepared_image(client, tag, purge, kept, log)


class Story(Stage):
    """A server that gets the module from its package. It writes to its disk, spec's image."""

    def __init__(
        self, start: Start, spec: Spec, package: str, log_host: System, tool: Tool, step: Step
    ) -> None:
        super().__init__(log_host, tool, step)
        self._start = start
        self._spec = spec
        self._package = package

    def tell(self) -> None:
        """See Stage."""
        with self._start(self._spec) as (_, self._server):
            with self._step("both guests boot; the server has nothing to compile with"):
                self._boot(self._server, self._log_host)
                self._service_is_active()
                self._server.run(["sh", "-c", BARE])
            with self._step(f"{self._tool.name} installs {self._package}; the module is armed"):
                if self._tool.refresh:
                    self._server.run(self._tool.refresh)
                self._server.run([*self._tool.install, self._package], seconds=INSTALL_SECONDS)
                self._module_is_armed()
                self._is_of_package()
                self._server.run(["sh", "-c", BARE])
            with self._step("the server reboots gracefully and says bye; the module loads by itself"):
                self._reboot()
            with self._step("a crash is recorded, and the module loads by itself again"):
                self._crash("v1")
                self._module_is_armed()
            with self._step("removing unloads the module"):
                self._server.run([*self._tool.remove, "^panicast-"])
                self._server.run(["test", "!", "-e", MODULE_FOLDER])

    def _is_of_package(self) -> None:
        path = self._server.run(["modinfo", "-n", "panicast"]).out.strip()
        if not path.endswith(f"/{PLACE}"):
            raise SmokeFailure(f"modprobe takes the module from {path}, not from {PLACE} of the package")
