# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock dnf on what ./inv repo published: it installs what is whole, and refuses all else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.core.run import run
from panicast_build.repository import dnf as repositories
from panicast_build.repository import task
from panicast_build.repository.key import Key, export_text
from panicast_build.repository.publish import Snapshot, Terms
from panicast_build.targets import distros, metadata

from .conftest import OURS, RPM, THEIRS, URL, Client, refuses_untrusted

PACKAGE = "panicast-receiver"
DNF = ["dnf", "-y", "--releasever=9", "--setopt=retries=1"]
KEY = "RPM-GPG-KEY-panicast"
KERNEL = """
Name: {name}
Version: {version}
Release: 1
Summary: A kernel
License: GPL-2.0-only
BuildArch: noarch
Provides: installonlypkg(kernel)

%description
As rpm sees it.

%files
"""


def install(box: Client) -> tuple[bool, str]:
    """Whether dnf installed the receiver, and what it said."""
    box.run([*DNF, "clean", "all"])
    said = box.run([*DNF, "install", PACKAGE], check=False).output
    return box.run(["rpm", "-q", PACKAGE], check=False).code == 0, said


def test_installs_from_the_publication_that_the_metalink_names(dnf: Client, repository: Path) -> None:
    installed, said = install(dnf)
    assert installed, said
    assert metadata.load().version in dnf.run(["rpm", "-q", PACKAGE]).output
    assert "digests signatures OK" in dnf.run(["sh", "-c", f"rpm -K /srv/www/rpm/el9/{PACKAGE}-*.rpm"]).output
    name = (repository / "current").resolve().name
    fetched = dnf.read("/srv/log").decode()
    assert f"GET /snapshots/{name}/rpm/el9/repodata/repomd.xml.asc" in fetched
    assert f"GET /snapshots/{name}/rpm/el9/{PACKAGE}" in fetched


def test_an_upgrade_takes_nothing_of_the_distributions(dnf: Client) -> None:
    """Even where this machine has built kernels: they are not published unless they are named."""
    assert install(dnf)[0]
    would = dnf.run([*DNF, "check-update"], check=False)
    assert would.code == 0, would.output
    only_ours = ["--disablerepo=*", "--enablerepo=panicast", "--quiet"]
    asked = [*DNF, *only_ours, "repoquery", "--queryformat", "is %{name}\n"]
    offered = set(re.findall(r"^is (\S+)$", dnf.run(asked).output, re.MULTILINE))
    assert "panicast-dkms" in offered
    assert {name for name in offered if not name.startswith(("panicast-", "kmod-panicast"))} == set()


def test_knows_where_the_source_packages_are(dnf: Client) -> None:
    """By the name that `dnf download --source` looks for beside panicast's."""
    only_source = ["--disablerepo=*", "--enablerepo=panicast-source", "--quiet"]
    asked = [*DNF, *only_source, "repoquery", "--arch=src", "--location", PACKAGE]
    (found,) = re.findall(r"^http\S+$", dnf.run(asked).output, re.MULTILINE)
    assert found.startswith(f"{URL}/snapshots/") and found.endswith(".src.rpm")


def test_refuses_a_package_that_was_tampered_with(dnf: Client, copy: Path) -> None:
    (rpm,) = (copy / "current/rpm/el9").glob(f"{PACKAGE}-*.rpm")
    text = bytearray(rpm.read_bytes())
    text[-100] ^= 1
    rpm.write_bytes(text)
    dnf.serve(copy)
    installed, said = install(dnf)
    assert not installed and "checksum doesn't match" in said


def test_refuses_a_package_without_the_archives_signature(
    dnf: Client, copy: Path, keys: dict[str, Key]
) -> None:
    """Though the index that names it is signed: who can publish cannot sign packages by that."""
    folder = copy / "current/rpm/el9"
    (rpm,) = folder.glob(f"{PACKAGE}-*.rpm")
    run(["rpmsign", "--delsign", rpm])
    republish(folder, keys[OURS])
    dnf.serve(copy)
    installed, said = install(dnf)
    assert not installed and "is not signed" in said


def republish(folder: Path, signing: Key) -> None:
    """Makes and signs the index anew, and the metalink's hash of it."""
    top = folder.parents[1]
    shutil.rmtree(folder / "repodata")
    made = Snapshot(top, top.resolve().name)
    terms = Terms(metadata.load(), [signing], 1_800_000_000, 1, URL)
    repositories.make(made, distros.get(RPM), terms)


def test_refuses_an_unknown_key_and_no_signature(dnf: Client, copy: Path, keys: dict[str, Key]) -> None:
    refuses_untrusted(dnf, copy, RPM, keys[THEIRS], install, "GPG", "repomd.xml")


def test_refuses_a_key_that_has_expired(dnf: Client, tmp_path: Path, expired: Key) -> None:
    """As the client's copy of the key says."""
    export_text([expired], tmp_path / KEY)
    dnf.write({KEY: tmp_path / KEY}, "/etc/pki/rpm-gpg")
    installed, said = install(dnf)
    assert not installed, said


def test_refuses_an_old_index_that_a_mirror_replays(dnf: Client, copy: Path) -> None:
    """The metalink says which index is the current one."""
    old = (copy / "current").resolve()
    task.run(OURS, RPM, str(copy), URL, now=1_900_000_000)
    new = (copy / "current").resolve()
    assert old != new
    shutil.rmtree(new / "rpm/el9/repodata")
    shutil.copytree(old / "rpm/el9/repodata", new / "rpm/el9/repodata")
    dnf.serve(copy)
    installed, said = install(dnf)
    assert not installed and "checksum" in said.lower(), said


def test_a_client_in_the_middle_of_a_publication_ends_with_what_it_began(dnf: Client, copy: Path) -> None:
    """What the earlier metalink names is there after the next publication, as it was."""
    before = {path: path.read_bytes() for path in copy.resolve().rglob("*") if path.is_file()}
    old = (copy / "current").resolve()
    task.run(OURS, RPM, str(copy), URL)
    for path, text in before.items():
        if old in path.parents:
            assert path.read_bytes() == text
    dnf.serve(copy)
    assert install(dnf)[0]


def test_a_new_key_takes_over_from_the_old_one(dnf: Client, copy: Path) -> None:
    task.run(OURS, RPM, str(copy), URL, trust=THEIRS)
    dnf.serve(copy)
    dnf.run([*DNF, "clean", "all"])
    dnf.run([*DNF, "upgrade", "panicast-release"])
    assert dnf.read(f"/etc/pki/rpm-gpg/{KEY}").decode().count("BEGIN PGP") == 2
    task.run(THEIRS, RPM, str(copy), URL, trust=OURS)
    dnf.serve(copy)
    installed, said = install(dnf)
    assert installed, said


def kernel(box: Client, name: str, version: str, into: Path) -> list[Path]:
    """The packages of a kernel, as rpm sees them, and their source."""
    box.write({"kernel.spec": KERNEL.format(name=name, version=version).encode()}, "/tmp")
    box.run(["rpmbuild", "-ba", "--quiet", "--define", "_topdir /tmp/built", "/tmp/kernel.spec"])
    found = box.run(["find", "/tmp/built", "-name", f"{name}-{version}-*.rpm"]).output.split()
    for path in found:
        box.get(path, into)
    return [into / Path(path).name for path in found]


def test_kernels_lie_beside_the_distributions(dnf: Client, copy: Path, tmp_path: Path, monkeypatch) -> None:
    """An upgrade takes none for a newer one of the distribution's, though their repository is enabled."""
    folder = tmp_path / "dist" / paths.kernel_target(RPM)
    unbuilt = shutil.ignore_patterns("kernel")
    shutil.copytree(paths.dist_dir(RPM), tmp_path / "dist" / RPM, ignore=unbuilt)
    folder.mkdir(parents=True)
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", tmp_path / "dist")

    def publish(*built: Path) -> None:
        stated = {"components": {"distro": {"files": [dist.describe(path) for path in built]}}}
        (folder / dist.METADATA).write_text(json.dumps(stated))
        task.run(OURS, RPM, str(copy), URL, kernel_names=RPM)
        dnf.serve(copy)
        dnf.run([*DNF, "clean", "all"])

    def installed() -> set[str]:
        all_of_it = dnf.run(["rpm", "-qa", "--qf", "%{NAME} %{VERSION}\n"]).output.splitlines()
        # rpm notes a key as a package, at its first use.
        return {name for name in all_of_it if not name.startswith("gpg-pubkey ")}

    (stock,) = [path for path in kernel(dnf, "kernel", "5.14.0", tmp_path) if "noarch" in path.name]
    dnf.write({stock.name: stock}, "/root")
    dnf.run(["rpm", "-i", f"/root/{stock.name}"])
    publish(*kernel(dnf, "kernel-panicast", "6.1", folder), *kernel(dnf, "kernel", "6.1", folder))
    enabled = [*DNF, "--enablerepo=panicast-kernel"]
    before = installed()
    assert "kernel 5.14.0" in before
    dnf.run([*enabled, "upgrade"])
    assert installed() == before
    dnf.run([*enabled, "install", "kernel-panicast"])
    assert installed() == before | {"kernel-panicast 6.1"}
    publish(*kernel(dnf, "kernel-panicast", "6.2", folder))
    dnf.run([*enabled, "upgrade"])
    assert installed() == before | {"kernel-panicast 6.1", "kernel-panicast 6.2"}


def test_a_corrected_address_reaches_who_has_the_archive(dnf: Client, copy: Path) -> None:
    """Even where the source entry was edited: that is kept, and has no address."""
    entry = "/etc/yum.repos.d/panicast.repo"
    dnf.run(["sed", "-i", "/^.panicast-source.$/,/^enabled/s/^enabled=0/enabled=1/", entry])
    edited = dnf.read(entry)
    address = "/etc/dnf/vars/panicast_archive"
    dnf.run(["sh", "-c", f"echo '# edited' >> {address}"])
    task.run(OURS, RPM, str(copy), f"{URL}/moved")
    dnf.serve(copy)
    dnf.run(["ln", "-s", ".", "/srv/www/moved"])
    dnf.run([*DNF, "clean", "all"])
    dnf.run([*DNF, "upgrade", "panicast-release"])
    assert dnf.read(entry) == edited and "enabled=1\nskip" in edited.decode()
    assert b"edited" not in dnf.read(address) and b"edited" in dnf.read(f"{address}.rpmsave")
    installed, said = install(dnf)
    assert installed, said
    assert f"GET /moved/rpm/{RPM}/metalink.xml" in dnf.read("/srv/log").decode()
