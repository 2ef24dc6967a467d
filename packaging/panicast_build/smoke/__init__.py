# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke test: two emulated machines with the built packages; one crashes, the other has its
last words."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.core import paths, tools
from panicast_build.core.choice import check
from panicast_build.core.errors import BuildError
from panicast_build.engine import engine, images
from panicast_build.engine.container import Container
from panicast_build.smoke import compiled, patched, prebuilt, repo, report, secureboot, uefi, vm
from panicast_build.smoke.booted import continued
from panicast_build.smoke.debs import Debs
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.family import Family, Tool
from panicast_build.smoke.image import FOLDER, GuestImage, copied, guest_image, prepared_image
from panicast_build.smoke.kernel import built as kernel_under_test
from panicast_build.smoke.repo import Package
from panicast_build.smoke.report import Report
from panicast_build.smoke.rpms import Rpms
from panicast_build.smoke.scenario import DKMS, LOG_HOST, RECEIVER, SERVER, Stage, Story
from panicast_build.smoke.system import System
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

STOCK, PATCHED, SECURE_BOOT, MODULES = "stock", "patched", "secureboot", "modules"


def run(distro_name: str, nic: str, kernel: str = STOCK, config: str = "") -> Report:
    """Runs the scenario with the packages in dist/DISTRO and this QEMU network card: on stock
    kernels; on the patched kernel in dist/DISTRO/kernel, configured as config ("": distro if it was
    built); or on a stock kernel under Secure Boot.

    Writes dist/DISTRO/smoke.json, smoke-patched.json or smoke-secureboot.json. Raises BuildError if
    the scenario fails, after showing the ends of both serial logs, and UserError if the packages or
    a tool are missing.
    """
    check("kernel to smoke", kernel, (STOCK, PATCHED, SECURE_BOOT, MODULES))
    distro = distros.get(distro_name)
    dist = paths.dist_dir(distro.name)
    client = engine.connect()
    family = _family(client, distro)
    loaders = uefi.chain(client, distro) if kernel == SECURE_BOOT else None
    beside = kernel_under_test(distro, config) if kernel == PATCHED else None
    packages = family.built(dist) + (beside.packages if beside else [])
    tools.need(vm.QEMU, "mke2fs")
    tag = family.image(packages)
    ready = prebuilt.built(distro) if kernel == MODULES else None
    # What they depend on, the guests have: a kernel.
    packages += ready.packages if ready else []
    image = guest_image(client, tag)
    accelerator = vm.choose_accelerator(image.kernel)
    name = "smoke" if kernel == STOCK else f"smoke-{kernel}"
    logs = _fresh(paths.LOGS / f"{name}-{distro.name}")
    account = Report(
        distro=distro.name,
        kernel=kernel,
        root=family.root,
        nic=nic,
        qemu=vm.version(),
        accelerator=accelerator.name,
        packages=report.describe(packages),
        logs=str(logs),
    )
    make: Callable[..., Stage] | None = None
    if beside:
        make = partial(patched.Story, kernel=beside, tool=family.tool, step=account.step)
    elif loaders:
        make = partial(secureboot.Story, loaders=loaders, tool=family.tool, step=account.step)
    elif ready:
        make = partial(prebuilt.Story, package=ready.newest, tool=family.tool, step=account.step)
    with tempfile.TemporaryDirectory(prefix="panicast-") as folder, _log(logs) as transcript:
        repository = Path(folder) / "repository"
        repo.fill(packages, family.index, repository)
        if not ready:
            with account.step("the module is compiled once here, so that the guests find it in ccache"):
                kept = _kept("compiled", distro, tag, packages, DKMS)
                compiled.fill(client, tag, repository, family.tool, DKMS, kept, transcript)
        repo.disk(repository, repository.with_suffix(".ext4"))
        specs = _specs(image, repository.with_suffix(".ext4"), Path(folder), logs, accelerator, nic)
        try:
            if make:
                install = partial(_installed, client, tag, repository, family.tool, log=transcript)
                wanted = (DKMS, *(beside.installed if beside else ()))
                with account.step(f"{family.tool.name} works on both disks before the guests boot"):
                    if ready:
                        bare = _kept(f"{SERVER}-{kernel}", distro, tag, [])
                        image = prebuilt.without_compiler(client, tag, bare, transcript)
                        server = replace(specs[0], image=image)
                    else:
                        server = install(
                            specs[0], _kept(f"{SERVER}-{kernel}", distro, tag, packages, *wanted), *wanted
                        )
                    log_host = install(specs[1], _kept(LOG_HOST, distro, tag, packages, RECEIVER), RECEIVER)
                # Firmware boots the server of one story, and that of the other boots three times.
                if beside:
                    server, log_host = _booted([server, log_host], transcript, account)
                else:
                    (log_host,) = _booted([log_host], transcript, account)
                # It writes to its own.
                server = replace(server, image=copied(server.image, Path(folder) / "server"))
                _tell_from_boot(make, server, log_host, transcript, account)
            else:
                # Its server is reset again and again: its first boot is one of many.
                server, log_host = specs
                (log_host,) = _booted([log_host], transcript, account)
                _tell([server, log_host], family.tool, transcript, account)
        except SmokeFailure as failure:
            account.failure = str(failure)
            transcript.write(f"FAILED: {failure}\n")
            report.show_consoles([spec.console for spec in specs])
            raise BuildError(f"smoke test of {distro.name}: {failure}", Path(transcript.name)) from failure
        except BuildError as failure:
            account.failure = str(failure)
            raise
        finally:
            account.write(dist / f"{name}.json")
    return account


def _family(client: docker.DockerClient, distro: Distro) -> Family:
    return distros.by_family(
        distro, deb=lambda target: Debs(client, target), rpm=lambda target: Rpms(client, target)
    )


def _specs(
    image: GuestImage, repository: Path, folder: Path, logs: Path, accelerator: vm.Accelerator, nic: str
) -> list[vm.Spec]:
    """Returns the server and the log host: one root, one segment."""
    return [
        vm.Spec(
            name=name,
            number=number,
            peer=peer,
            image=image,
            repository=repository,
            folder=folder,
            console=logs / f"{name}.serial",
            accelerator=accelerator,
            nic=nic,
            cpus=cpus,
        )
        # The server has a CPU that the panicking one must stop; the log host has nothing to do in parallel.
        for number, name, peer, cpus in ((1, SERVER, LOG_HOST, 2), (2, LOG_HOST, SERVER, 1))
    ]


def _booted(specs: list[vm.Spec], transcript: TextIO, account: Report) -> list[vm.Spec]:
    """Returns specs for guests that have booted, each once for all runs."""
    with (
        account.step(f"booted once here, for all runs: {', '.join(spec.name for spec in specs)}"),
        ThreadPoolExecutor() as pool,
    ):
        return list(pool.map(partial(continued, transcript=transcript), specs))


@contextmanager
def _guest(spec: vm.Spec, transcript: TextIO) -> Iterator[tuple[vm.Machine, System]]:
    """Yields a running machine and its system."""
    with vm.Machine(spec, FOLDER) as machine, closing(System(machine, transcript)) as guest:
        yield machine, guest


def _tell(specs: list[vm.Spec], tool: Tool, transcript: TextIO, account: Report) -> None:
    with ExitStack() as stack:
        server, log_host = (stack.enter_context(_guest(spec, transcript))[1] for spec in specs)
        _tell_and_report(Story(server, log_host, tool, account.step), account)


def _tell_from_boot(
    make: Callable[..., Stage], server: vm.Spec, other: vm.Spec, transcript: TextIO, account: Report
) -> None:
    """Runs a scenario that starts its server itself, whose disk lasts. make makes it from start,
    spec and log_host."""
    with _guest(other, transcript) as (_, log_host):
        _tell_and_report(make(partial(_guest, transcript=transcript), server, log_host=log_host), account)


def _kept(name: str, distro: Distro, tag: str, packages: list[Package], *installed: str) -> Path:
    """Returns the folder for what comes of installing some of the packages in the guests' image."""
    # What is installed may bring others of ours.
    asked = (*repo.PACKAGES, *installed)
    sums = {package.name: package.sha256 for package in packages if package.name in asked}
    return FOLDER / f"{name}-{distro.name}-{images.digest([tag, installed, sums])}"


def _installed(
    client: docker.DockerClient,
    tag: str,
    repository: Path,
    tool: Tool,
    spec: vm.Spec,
    kept: Path,
    *names: str,
    log: TextIO,
) -> vm.Spec:
    """Returns spec with another disk, on which the package manager and DKMS have installed packages
    before the first boot. They run in a container, and so compile at this machine's speed. The disk
    is kept for the next run in the folder kept.
    """

    def install(box: Container) -> None:
        box.put(repository, repo.MOUNTED)
        for argv in filter(None, (tool.refresh, (*compiled.USED, *tool.install, *names))):
            box.run(argv, log=log)
        box.run(["find", repo.MOUNTED, "-mindepth", "1", "-delete"], log=log)

    return replace(spec, image=prepared_image(client, tag, install, kept, log))


def _tell_and_report(story: Stage, account: Report) -> None:
    """Runs a scenario and reports what it saw."""
    account.kernels, account.records = story.kernels, story.records
    story.tell()
    account.result, account.failure = "pass", ""


def _fresh(folder: Path) -> Path:
    """Replaces the last run's folder by an empty one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _log(folder: Path) -> Iterator[TextIO]:
    with (folder / "transcript.log").open("w") as transcript:
        yield transcript
