# SPDX-License-Identifier: GPL-2.0-or-later
"""The tasks of ./inv: names, help and arguments; every body is one call into panicast_build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps

from invoke import Context, task

from panicast_build import clean as cleaning
from panicast_build import mutate as mutating
from panicast_build import smoke as smoke_test
from panicast_build import testing
from panicast_build import watch as kernel_watch
from panicast_build.bench import build as bench_build
from panicast_build.bench import central as bench_central
from panicast_build.bench import fleet as bench_fleet
from panicast_build.bench import names as bench_names
from panicast_build.bench import panic as bench_panic
from panicast_build.bench import receiver as bench_receiver
from panicast_build.bench import store as bench_store
from panicast_build.build import branches as rendered_branches
from panicast_build.build import image as images
from panicast_build.build import package as packages
from panicast_build.build import reproduce as reproducing
from panicast_build.core.choice import alone, choose
from panicast_build.core.errors import reported
from panicast_build.core.termination import terminable
from panicast_build.crash import matrix as crash_matrix
from panicast_build.crash import reach
from panicast_build.crash import tree as crashed_trees
from panicast_build.demo import task as demonstration
from panicast_build.kernel import task as kernels
from panicast_build.modules import task as prebuilt
from panicast_build.pages import listing
from panicast_build.pages import support as support_page
from panicast_build.pages import workflows as ci_workflows
from panicast_build.release import task as releases
from panicast_build.repository import task as repositories

BENCHES: dict[str, Callable[[str, int, str, str], None]] = {
    "panic": lambda kernel, runs, netconsd, sizes: bench_panic.run(kernel, runs),
    "receiver": lambda kernel, runs, netconsd, sizes: bench_receiver.run(runs, netconsd),
    "build": lambda kernel, runs, netconsd, sizes: bench_build.run(kernel, runs),
    "store": lambda kernel, runs, netconsd, sizes: bench_store.run(
        bench_fleet.sizes(sizes) or bench_store.SIZES
    ),
    "central": lambda kernel, runs, netconsd, sizes: bench_central.run(
        bench_fleet.sizes(sizes) or bench_central.SIZES
    ),
}
TARGETS = "which targets: one, a comma list, or all (./inv distros lists them)"
TARGET = "which target (./inv distros lists them)"


def command(
    positional: Iterable[str] = (), **help: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A task with help on its arguments, whose expected failures become a message and an exit code."""

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        @wraps(body)
        def reporting(*args: object, **kwargs: object) -> None:
            with reported(), terminable():
                body(*args, **kwargs)

        made: Callable[..., None] = task(help=help, positional=positional)(reporting)
        return made

    return decorate


@command(port="the page's TCP port on 127.0.0.1 (0: any free one)")
def demo(_: Context, port: int = 0) -> None:
    """Show the receiver's page with a made-up week of crashes, on this machine, until Ctrl-C."""
    demonstration.run(port)


@command(json="print a list of objects, for programs")
def distros(_: Context, json: bool = False) -> None:
    """List the targets and what was last built for each."""
    listing.show(json)


@command(
    distro=TARGETS,
    component="only this part: kmod, receiver or selinux (the others are kept as they are)",
    rpm_host="where RPMs are built: real (the distro's own image), debian (its rpmbuild, with "
    "macros of ours), or auto: real where a registry answers",
    jobs="how many targets to build at once (0: one for each CPU)",
    locked="build with exactly the versions that dist/DISTRO/metadata.json records, or fail",
    offline="build without a network, with what ./inv fetch downloaded",
    snapshot="name the version after the commit, e.g. 0.2.0~git20261130021500.1a2b3c4, between releases",
)
def package(
    _: Context,
    distro: str = "",
    component: str = "",
    rpm_host: str = "auto",
    jobs: int = 1,
    locked: bool = False,
    offline: bool = False,
    snapshot: bool = False,
) -> None:
    """Build the packages that have changed into dist/DISTRO/."""
    packages.run(distro, component, rpm_host, jobs, pinned=locked, offline=offline, snapshot=snapshot)


@command(
    distro=TARGETS,
    kernel="only for these kernels, as `uname -r` calls them, or the newest of these flavours, e.g. amd64",
    key="sign the module with this PEM file's key and certificate (or PANICAST_MODULE_KEY)",
    rpm_host="where RPMs are built: see ./inv --help package; debian has only Debian's kernels, for tests",
    jobs="how many targets to build for at once (0: one for each CPU)",
    snapshot="name the version after the commit: see ./inv --help package",
)
def modules(
    _: Context,
    distro: str = "",
    kernel: str = "",
    key: str = "",
    rpm_host: str = "auto",
    jobs: int = 1,
    snapshot: bool = False,
) -> None:
    """Build packages with the module itself into dist/DISTRO/modules/, for servers without a compiler."""
    prebuilt.run(distro, kernel, key, rpm_host, jobs, snapshot)


@command(distro=TARGETS)
def branches(_: Context, distro: str = "") -> None:
    """Commit the rendered source packages to local branches DISTRO/PACKAGE, for salsa, COPR and OBS."""
    rendered_branches.run(distro)


@command(distro="which targets of Debian's family: one, a comma list, or all (./inv distros lists them)")
def image(_: Context, distro: str = "") -> None:
    """Make the receiver's container image, with a compose file that runs it, into dist/DISTRO/image/."""
    images.run(distro)


@command(
    distro=TARGETS,
    rpm_host="where RPMs will be built: see ./inv --help package",
    jobs="how many targets to fetch for at once (0: one for each CPU)",
    renew="pull or rebuild the base images, and remove what was made from the old ones",
)
def fetch(_: Context, distro: str = "", rpm_host: str = "auto", jobs: int = 1, renew: bool = False) -> None:
    """Download what ./inv package --offline builds with."""
    packages.fetch(distro, rpm_host, jobs, renew)


@command(yes="empty it; without --yes only show it")
def clean(_: Context, yes: bool = False) -> None:
    """Show how large the cache is, and empty it with --yes. dist/ stays."""
    cleaning.run(yes)


@command(
    distro=TARGET,
    config="distro (the distribution's own; without --config too), cloud (its own for virtual machines) or "
    "smoke (trimmed to what the tests need: built in minutes); with --tree a file (the tree's .config)",
    debug_info="build debug info too, into a package of its own",
    key="sign modules, panicast.ko too, with this PEM file's key and certificate (or PANICAST_MODULE_KEY)",
    source="a tarball of a kernel's source instead of the distribution's source package",
    jobs="how many compilers to run at once (one for each CPU)",
    ccache="--no-ccache compiles everything again (PANICAST_CCACHE_REMOTE names a server to share results)",
    check="only try every patch on the distributions' newest sources (with --tree: on a comma list of trees)",
    tree="build the unpatched kernel of this source folder, to crash it: see ./inv --help smoke",
)
def kernel(
    _: Context,
    distro: str = "",
    config: str = "",
    debug_info: bool = False,
    key: str = "",
    source: str = "",
    jobs: int = 0,
    ccache: bool = True,
    check: bool = False,
    tree: str = "",
) -> None:
    """Build the patched kernel's packages into dist/DISTRO/kernel/ if something has changed."""
    if tree and not check:
        packaged = {"--distro": distro, "--debug-info": debug_info, "--key": key, "--source": source}
        alone("--tree", {**packaged, "--jobs": jobs, "--no-ccache": not ccache})
        crashed_trees.run(tree, config)
    else:
        kernels.task(distro, config or "distro", debug_info, key, source, jobs, ccache, check, tree)


@command(
    distro=TARGET,
    nic="QEMU's model of the network card (virtio-net-pci; with --matrix a comma list, or every one)",
    matrix="crash every kernel with every card in every way instead, without installing anything",
    kernel="which one crashes: stock, patched, secureboot (stock, started by Secure Boot), or modules "
    "(stock, on a server without a compiler, with the packages of ./inv modules); "
    "with --matrix only these series, e.g. 6.1,7.3",
    case="only these ways to crash, e.g. sysrq,nmi; quick means those of every test run (with --matrix)",
    tree="build the kernel of this source folder in a container and crash it (with --matrix)",
    config="the configuration file for --tree's kernel: its distribution's own (the tree's .config)",
    places="find the functions to crash in instead, for every --kernel and --nic that has some",
)
def smoke(
    _: Context,
    distro: str = "",
    nic: str = "",
    matrix: bool = False,
    kernel: str = "",
    case: str = "",
    tree: str = "",
    config: str = "",
    places: bool = False,
) -> None:
    """Install the built packages in two VMs, crash one, read its last words on the other."""
    if places:
        reach.run(kernel, nic)
    elif matrix or tree or config:
        crash_matrix.run(kernel, nic, case, tree, config)
    else:
        smoke_test.run(distro, nic or "virtio-net-pci", kernel or smoke_test.STOCK)


@command(
    positional=["what"],
    what=f"what to measure: {', '.join(BENCHES)}, or names",
    kernel="only these series, e.g. 6.1,7.3 (panic, build)",
    runs="how many crashes, floods or builds to take each figure from (3)",
    netconsd="folder of netconsd's source, to measure it too ($PANICAST_NETCONSD; for receiver)",
    sizes="how many records, separated by commas, e.g. 10000,1000000 (store, central)",
    corpus="folder of logs of crashes with their answers (names)",
    answers=f"whose answers they are: {', '.join(bench_names.ANSWERS)} (names)",
)
def bench(
    _: Context,
    what: str,
    kernel: str = "",
    runs: int = 3,
    netconsd: str = "",
    sizes: str = "",
    corpus: str = "",
    answers: str = "syzkaller",
) -> None:
    """Measure the figures of docs/benchmarks*.md, beside other tools."""
    if what == "names":
        bench_names.run(corpus, answers)
        return
    for measure in choose("bench", what, BENCHES):
        measure(kernel, runs, netconsd, sizes)


@command(
    positional=["version"],
    version="the version to release, e.g. 1.2.0; CHANGELOG.md must have its entry",
    distro="only these targets (all)",
    smoke="the targets whose packages to install and crash in virtual machines",
    sign="the GnuPG key to sign with; without it nothing is signed",
    modules="the targets whose newest kernels get packages with the module itself, signed with the key "
    "that PANICAST_MODULE_KEY names (none)",
    dry_run="only check, and list every step",
)
def release(
    _: Context,
    version: str,
    distro: str = "",
    smoke: str = "debian-12,debian-13,el9",
    sign: str = "",
    modules: str = "",
    dry_run: bool = False,
) -> None:
    """Test, build, smoke-test, sign and gather VERSION in release/VERSION; resumes if interrupted."""
    releases.run(version, distro, smoke, sign, dry_run, modules)


@command(
    distro=TARGETS,
    rpm_host="where RPMs are built: see ./inv --help package",
    jobs="how many targets to build at once (0: one for each CPU)",
)
def reproduce(_: Context, distro: str = "", rpm_host: str = "auto", jobs: int = 1) -> None:
    """Build the commit twice in different surroundings and compare, byte by byte."""
    reproducing.run(distro, rpm_host, jobs)


@command(
    sign="the GnuPG key to sign with, as gpg --list-secret-keys has it; without it nothing is signed",
    distro="only these targets (else all that were built)",
    into="the folder to publish to (dist/repo)",
    url="where that folder will be served (else as packaging/metadata.toml says)",
    valid_days="how many days apt accepts the indexes",
    kernels="the targets whose patched kernels to publish too, in a place of their own (none)",
    trust="a comma list of more keys that users shall trust: the next one, or the last",
)
def repo(
    _: Context,
    sign: str = "",
    distro: str = "",
    into: str = "",
    url: str = "",
    valid_days: int = 30,
    kernels: str = "",
    trust: str = "",
) -> None:
    """Publish the packages in dist/ as apt and dnf repositories."""
    repositories.run(sign, distro, into, url, valid_days, kernel_names=kernels, trust=trust)


@command(
    distro="only these of Debian's family (all)",
    kernels="then build the patched kernels of these targets, if their archives have newer sources (none)",
    modules="then build the packages with the module itself for these targets' newest kernels (none)",
)
def watch(_: Context, distro: str = "", kernels: str = "", modules: str = "") -> None:
    """Build the module for the newest kernel of every suite's archive; stop at the first failure."""
    kernel_watch.run(distro, kernels, modules)


@command()
def workflows(_: Context) -> None:
    """Write the files that GitHub Actions and GitLab CI run, a job for each target."""
    ci_workflows.run()


@command()
def support(_: Context) -> None:
    """Write docs/support.md from the evidence in dist/ of what was built, installed and crashed."""
    support_page.run()


@command(
    unit="only tests that need no container engine and no VM",
    explore="try properties with values that no run had before",
    nightly="run also those that take long and are like one of every run; CI does each night",
)
def test(_: Context, unit: bool = False, explore: bool = False, nightly: bool = False) -> None:
    """Run the tests: linters, units, packages, the crash of a real kernel."""
    testing.test(unit, explore, nightly)


@command(
    path="a room or file, such as kmod or receiver/src/panicast_receiver/wire (all that is pure without)",
    minutes="for so many minutes",
)
def mutate(_: Context, path: str = "", minutes: int = 60) -> None:
    """Put small mistakes into the code, one at a time, and count which the quick tests notice."""
    mutating.run(path, minutes)


@command()
def lint(_: Context) -> None:
    """Run every linter: Python, shell, the module's C, the built packages."""
    testing.lint()
