# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the patched kernel as RPMs.

The kernel's own binrpm-pkg packages a tarball of a kernel's source. A source RPM, the distro's or
the user's, is built as its spec says, with our patch in the file that the spec reserves for one.

Either spec calls its packages kernel, as the distributions do, and what is called so and newer
replaces theirs at the next upgrade. So both are given a name of their own, by which dnf and zypper
install them beside the distribution's, as many of them as they keep of that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import docker

from panicast_build.build import assemble, rpm
from panicast_build.core import progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import build, config, estimate, series, source, tree
from panicast_build.kernel.build import Options
from panicast_build.kernel.config import Config
from panicast_build.kernel.source import GIVEN, Source
from panicast_build.kernel.tree import BUILD, TREE, USER, Prepared
from panicast_build.targets import distros
from panicast_build.targets.distros import RpmDistro
from panicast_build.targets.metadata import Project

DEBIAN_HOST = "debian-13"
MKSPEC, OWN_SPEC_FILE = (f"{TREE}/scripts/package/{name}" for name in ("mkspec", "kernel.spec"))
MACROS = {name: body for name, body in rpm.REPRODUCIBLE.items() if name != "_topdir"}
# What a distribution's spec makes besides the kernel, under names that are the distribution's, too.
NOT_KERNEL = (
    *("bpftool", "cross_headers", "doc", "headers", "kernel_abi_stablelists", "libperf", "perf"),
    *("selftests", "tools", "ynl"),
)
# By what dnf and zypper know what they never replace by a newer one.
INSTALL_ONLY = "Provides: installonlypkg(kernel)\nProvides: multiversion(kernel)"
# What `uname -r` says, with one hyphen: rpm takes no version with more (RpmKernel.dependency, too).
UNAME_R = "%(echo %{KERNELRELEASE} | sed s/-/_/2g)"


class Change(NamedTuple):
    """A change of a spec: what to replace, and by what (@NAME@ is the packages' name)."""

    pattern: str
    by: str
    # Whether there are specs without it.
    optional: bool = False
    # Whether there are specs with several.
    repeated: bool = False


# Of a distribution's. What else it makes takes its name from that, but for what some specs write out. What
# stays the distribution's: the names of the configurations among its sources, and the capabilities by which
# packages with modules find a kernel.
NAME = (
    Change(r"^(Name:[ \t]*|%(?:global|define)[ \t]+package_name[ \t]+)kernel$", r"\g<1>@NAME@"),
    Change(
        r"^(Requires:[ \t]*|%description -n )kernel(?=\S*-(?:(?:core|devel|uki-virt) = |kvm\b))",
        r"\g<1>@NAME@",
        optional=True,
        repeated=True,
    ),
    Change(
        r"%{name}(?=-\S+\.config\b)|(?<=SPECPACKAGE_NAME=)%{name}", "kernel", optional=True, repeated=True
    ),
    Change(r"%{name}(?=\S*-uname-r\b)", "kernel", optional=True, repeated=True),
)
# Of the kernel's own. Its package of headers for the C library would replace the distribution's.
OWN_SPEC = (
    Change(r"^Name: *kernel$", "Name: @NAME@"),
    Change(
        r"^Provides: kernel-%{KERNELRELEASE}$",
        rf"\g<0>\n{INSTALL_ONLY}\nProvides: kernel-uname-r = {UNAME_R}",
    ),
    Change(r"^%package headers\n(?s:.*?)(?=^%(?:if|package|prep)\b)", ""),
    Change(r"^%files headers\n(?s:.*?)(?=^%(?:if|files)\b|\Z)", ""),
    Change(r"^.* headers_install\n", ""),
    Change(r"^%package devel$", rf"\g<0>\n{INSTALL_ONLY}\nProvides: kernel-devel-uname-r = {UNAME_R}"),
    Change(r"^%description -n kernel-devel$", "%description devel", optional=True),
)


def make(
    client: docker.DockerClient, project: Project, distro: RpmDistro, options: Options
) -> assemble.Builder:
    """Returns the builder of the kernel that options ask for. Raises UserError if there is no
    source for it."""
    host = rpm.host(client, distro, rpm.AUTO)
    given = source.own(options.source) if options.source else None
    image = _image(client, distro, host)
    if given and not given.packaged:
        config.must_have_base(options.wanted.config, options.source)
        return FromTarball(client, project, image, given, options)
    if not distro.kernel_srpm:
        raise UserError(
            f"the kernel of {distro.name} cannot be patched in its own source package",
            "build one from a tarball: --source linux-6.12.9.tar.xz --config smoke",
        )
    if not given and host != rpm.REAL:
        raise UserError(
            f"no registry answers for {distro.image}, so {distro.name}'s kernel source is not available",
            "give one, or a tarball: --source kernel-*.src.rpm, --source linux-6.12.9.tar.xz --config smoke",
        )
    if options.wanted.config.base or options.wanted.config.flavour:
        raise UserError(
            f"a source RPM has its own configuration: --config {options.wanted.config.name} does not apply",
            "leave --config out, or build from a tarball: --source linux-6.12.9.tar.xz",
        )
    if options.wanted.key:
        raise UserError(
            f"the spec of {distro.name}'s kernel signs modules with keys that it makes itself",
            "leave --key out, or build from a tarball: --source linux-6.12.9.tar.xz",
        )
    return FromSourcePackage(client, project, distro, image, given, options, own_host=host == rpm.REAL)


def rename(spec: str, name: str, changes: Sequence[Change], log: Path) -> str:
    """Returns a spec whose packages have names of their own. Raises BuildError if it is made in a
    way that the changes do not know."""
    for change in changes:
        spec, count = re.subn(change.pattern, change.by.replace("@NAME@", name), spec, flags=re.MULTILINE)
        if (not count and not change.optional) or (count > 1 and not change.repeated):
            raise BuildError(f"the spec has {count} places for {change.pattern!r}, not one", log)
    return spec


def _image(client: docker.DockerClient, distro: RpmDistro, host: str) -> str:
    if host == rpm.REAL:
        arguments = {"SETUP": distro.setup, "INSTALL": distro.install}
        return images.build(client, distro, "kernel-rpm", buildargs=arguments)
    progress.say(f"{distro.name}: no registry answers for {distro.image}: built by Debian's rpmbuild")
    return images.build(client, distros.get(DEBIAN_HOST), "kernel-rpm-debian")


class FromTarball:
    """Builds a kernel by its own binrpm-pkg. Two builds with equal inputs() give the same packages."""

    def __init__(
        self, client: docker.DockerClient, project: Project, image: str, given: Source, options: Options
    ) -> None:
        self._client = client
        self._project = project
        self._image = image
        self._source = given
        self._options = options

    def inputs(self) -> dict[str, object]:
        """Returns everything that the packages' bytes depend on."""
        return build.inputs(self._client, self._image, self._source, self._options)

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the packages and the spec into the folder into."""
        with build.workshop(self._client, self._image, self._options, log) as (box, jobs, environment):
            prepared = tree.prepare(box, self._source, self._options.wanted, log)
            self._word_changelog(box, prepared, Path(log.name))
            name = _name(self._options.wanted.config)
            _rename(box, OWN_SPEC_FILE, OWN_SPEC_FILE, name, OWN_SPEC, Path(log.name))
            defines = " ".join(f"--define='{name} {body}'" for name, body in MACROS.items())
            with progress.step("compiling and packing", log=Path(log.name)) as step:
                box.run(
                    ["make", f"--jobs={jobs}", "binrpm-pkg", f"RPMOPTS={defines}"],
                    log=log,
                    cwd=TREE,
                    user=USER,
                    env={**environment, **build.reproducible(self._project, prepared)},
                    watch=estimate.follower(step, self._options.wanted.config.objects),
                )
            _take(box, f"{TREE}/rpmbuild", into)

    def _word_changelog(self, box: Container, prepared: Prepared, log: Path) -> None:
        words = {
            build.ENTRY: build.entry(self._project, prepared.version, self._options),
            "$(LC_ALL=C date +": f"$(LC_ALL=C date -u -d @{prepared.epoch} +",
            "${name} <${email}>": self._project.maintainer,
        }
        build.reword(box, MKSPEC, words, log)


class FromSourcePackage:
    """Builds a kernel as its source package does. Two builds with equal inputs() give the same
    packages."""

    def __init__(
        self,
        client: docker.DockerClient,
        project: Project,
        distro: RpmDistro,
        image: str,
        given: Source | None,
        options: Options,
        *,
        own_host: bool,
    ) -> None:
        self._client = client
        self._project = project
        self._distro = distro
        self._image = image
        self._own_host = own_host
        self._options = options
        self._source = given or self._newest()

    def inputs(self) -> dict[str, object]:
        """Returns everything that the packages' bytes depend on."""
        return build.inputs(self._client, self._image, self._source, self._options)

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the packages into the folder into."""
        with build.workshop(self._client, self._image, self._options, log, online=self._own_host) as (
            box,
            jobs,
            environment,
        ):
            self._unpack(box, log)
            # A spec looks for its patches in the file that is called as the package.
            name = _name(self._options.wanted.config)
            _rename(box, self._given, self._spec, name, NAME, Path(log.name))
            hook = f"{BUILD}/SOURCES/{self._distro.kernel_hook}"
            if box.run(["test", "-f", hook], check=False).code:
                raise BuildError(
                    f"{', '.join(self._source.inputs())} has no {self._distro.kernel_hook} for the patch",
                    Path(log.name),
                )
            patch = self._tried(box, log)
            box.write({self._distro.kernel_hook: patch}, f"{BUILD}/SOURCES")
            with progress.step("compiling and packing", log=Path(log.name)) as step:
                box.run(
                    self._rpmbuild("-ba", jobs),
                    log=log,
                    cwd=BUILD,
                    env=environment,
                    watch=estimate.follower(step, self._options.wanted.config.objects),
                )
            for folder in ("RPMS", "SRPMS"):
                _take(box, f"{BUILD}/{folder}", into)

    def _newest(self) -> Source:
        """Downloads the distro's newest kernel source package from its archive."""
        with Container(self._client, self._image, network="host") as box:
            box.run(["mkdir", GIVEN])
            box.run(["dnf", "download", "--source", self._distro.kernel_srpm], cwd=GIVEN)
            (path,) = box.run(["find", GIVEN, "-name", source.SRPM]).output.split()
            source.FOLDER.mkdir(parents=True, exist_ok=True)
            stem = f"{self._distro.name}-{self._distro.kernel_srpm}-"
            named = f"{GIVEN}/{self._distro.name}-{Path(path).name}"
            box.run(["mv", path, named])
            return Source((source.keep(box, named, stem),))

    def _unpack(self, box: Container, log: TextIO) -> None:
        box.run(["mkdir", GIVEN], log=log)
        for path in self._source.files:
            box.put(path, GIVEN)
            install = ["rpm", "--define", f"_topdir {BUILD}", "--install", f"{GIVEN}/{path.name}"]
            box.run(install, log=log)
        if self._own_host:
            box.run(["dnf", "-y", "builddep", self._given], log=log)

    @property
    def _given(self) -> str:
        return f"{BUILD}/SPECS/{self._distro.kernel_srpm}.spec"

    @property
    def _spec(self) -> str:
        return f"{BUILD}/SPECS/{_name(self._options.wanted.config)}.spec"

    def _tried(self, box: Container, log: TextIO) -> Path:
        """Returns the patch of the kernel's version. Raises UserError if there is none, and
        BuildError unless it applies without fuzz to the tree that the spec prepares: the spec would
        take some."""
        box.run(self._rpmbuild("-bp", 1), log=log, cwd=BUILD)
        found = box.run(["find", f"{BUILD}/BUILD", "-path", "*/kernel/printk/printk.c"]).output.split()
        if len(found) != 1:
            raise BuildError(f"the spec prepares {len(found)} kernels, not one", Path(log.name))
        (top,) = (name.removesuffix("/kernel/printk/printk.c") for name in found)
        version = box.run(["make", "--silent", "kernelversion"], cwd=top).output.strip()
        patch = series.for_version(version).patch
        box.write({patch.name: patch}, "/tmp")
        box.run([*series.APPLY, f"/tmp/{patch.name}", "--dry-run"], log=log, cwd=top)
        return patch

    def _rpmbuild(self, stage: str, jobs: int) -> list[str]:
        """Returns the rpmbuild command. Both EL's and Fedora's spec append buildid to the release,
        and leave out what --without names."""
        without = [*NOT_KERNEL, "debug", *([] if self._options.wanted.debug_info else ["debuginfo"])]
        macros = {
            **MACROS,
            "_topdir": BUILD,
            "_smp_mflags": f"-j{jobs}",
            "buildid": f".{self._project.name}",
            **({} if self._own_host else {"dist": self._distro.dist}),
        }
        return [
            *("rpmbuild", stage, self._spec),
            *(word for name, body in macros.items() for word in ("--define", f"{name} {body}")),
            *(word for name in without for word in ("--without", name)),
            *([] if self._own_host else ["--nodeps"]),
        ]


def _name(config: Config) -> str:
    return f"kernel{config.suffix}"


def _rename(box: Container, path: str, to: str, name: str, changes: Sequence[Change], log: Path) -> None:
    spec = rename(box.read(path).decode(), name, changes, log)
    box.run(["rm", path])
    box.write({Path(to).name: spec.encode()}, str(Path(to).parent))


def _take(box: Container, folder: str, into: Path) -> None:
    for path in box.run(["find", folder, "-name", "*.rpm", "-o", "-name", "*.spec"]).output.split():
        box.get(path, into)
