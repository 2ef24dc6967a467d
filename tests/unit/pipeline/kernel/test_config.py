# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel is configured with, and what the builder refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from panicast_build.build import signing
from panicast_build.core.errors import UserError
from panicast_build.core.progress import Step
from panicast_build.core.run import Result
from panicast_build.kernel import ccache, config, estimate, source
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro


def test_every_configuration_has_its_fragment_and_a_suffix_of_its_own() -> None:
    configs = config.load().values()
    assert all(not each.fragment or each.wanted.startswith("#") for each in configs)
    assert (
        len({each.suffix for each in configs})
        == len({each.version_suffix for each in configs})
        == len(configs)
    )
    assert all(each.suffix.startswith("-panicast") for each in configs)


def test_a_wrong_configuration_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UserError) as raised:
        config.get("small")
    assert raised.value.hint == "there are: distro, cloud, smoke"


def test_every_flavour_of_a_distros_kernel_has_a_configuration_of_its_own() -> None:
    flavours = [each.flavour for each in config.load().values() if not each.base]
    files = [distro.kernel_config_file for distro in distros.of_family(DebDistro).values()]
    for name in filter(None, files):
        assert len({name.format(flavour=flavour) for flavour in flavours}) == len(flavours) == 2


def test_what_the_kernel_did_not_take_is_missing() -> None:
    wanted = "# words\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n"
    assert config.missing(wanted, "CONFIG_A=y\nCONFIG_B=y\n") == ["CONFIG_B=m"]


def test_modules_are_signed_only_with_a_key() -> None:
    smoke = config.get("smoke")
    without = config.settings(smoke, False, "").splitlines()
    assert "# CONFIG_MODULE_SIG_ALL is not set" in without and 'CONFIG_MODULE_SIG_KEY=""' in without
    signed = config.settings(smoke, False, "/key/k.pem").splitlines()
    assert {"CONFIG_MODULE_SIG=y", "CONFIG_MODULE_SIG_ALL=y", 'CONFIG_MODULE_SIG_KEY="/key/k.pem"'} <= set(
        signed
    )


def test_debug_info_is_a_switch() -> None:
    smoke = config.get("smoke")
    assert "CONFIG_DEBUG_INFO=y" in config.settings(smoke, True, "")
    assert "CONFIG_DEBUG_INFO=y" not in config.settings(smoke, False, "")


def test_a_disk_that_is_too_small_is_refused_with_figures() -> None:
    estimate.refuse_without(3, 3 * 2**30)
    with pytest.raises(UserError, match=r"needs about 14 GiB, and 2\.5 GiB are free") as raised:
        estimate.refuse_without(14, int(2.5 * 2**30))
    assert "--config smoke" in raised.value.hint


def test_progress_is_what_the_build_says(capsys: pytest.CaptureFixture[str]) -> None:
    step = Step("compiling")
    follow = estimate.follower(step, 10)
    for text in ("  CC      init/main.o\n  HOSTCC  scripts/x\n  C", "C [M]  fs/ext4/", "inode.o\n"):
        follow(text)
    assert step.detail == "20 %, fs/ext4/inode.o"
    assert "10 %, init/main.o" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "variable"),
    [
        ("ccache version 4.7.5\n", "CCACHE_REMOTE_STORAGE"),
        ("ccache version 4.11.2\n", "CCACHE_REMOTE_STORAGE"),
        ("ccache version 4.5.1\n", "CCACHE_SECONDARY_STORAGE"),
    ],
)
def test_a_server_is_named_as_the_ccache_calls_it(version: str, variable: str) -> None:
    assert ccache.remote_variable(version) == variable


def test_a_ccache_without_servers_says_so() -> None:
    with pytest.raises(UserError, match=r"ccache 4\.2 of this distro does not support servers"):
        ccache.remote_variable("ccache version 4.2\n")


@pytest.mark.parametrize(
    ("version", "remembers"),
    [
        ("ccache version 4.2\n", False),
        ("ccache version 4.5.1\n", False),
        ("ccache version 4.7.3\n", False),
        ("ccache version 4.7.5\nFeatures: file-storage http-storage redis-storage\n", True),
        ("ccache version 4.11.2\n", True),
        ("no ccache at all\n", False),
    ],
)
def test_only_a_ccache_without_the_race_remembers_headers(version: str, remembers: bool) -> None:
    variables = ccache.remembering(version)
    assert ("CCACHE_INODECACHE" in variables) == remembers
    assert variables.get("CCACHE_TEMPDIR") == (ccache.MEMORY if remembers else None)


class Box:
    """A container of Debian's with these headers."""

    def __init__(self, headers: str) -> None:
        self._headers = headers

    def run(self, argv: Sequence[str], **_: object) -> Result:
        if argv[0] == "ccache":
            return Result(0, "ccache version 4.11.2\n")
        return Result(0, self._headers) if argv[0] == "dpkg-query" else Result(127, "")


def test_what_another_compiler_or_other_headers_made_is_not_used() -> None:
    """A container's compiler has the time of its package, which another's may have, too."""
    one, again, other = (
        ccache.environment(cast(Any, Box(headers))) for headers in ("libc6-dev 1\n", "libc6-dev 1\n", "2\n")
    )
    assert one == again and one["CCACHE_NAMESPACE"] != other["CCACHE_NAMESPACE"]
    assert one["CCACHE_COMPILERCHECK"] == "content"


def pem(*parts: str) -> str:
    return "".join(f"-----BEGIN {part}-----\nAAAA\n-----END {part}-----\n" for part in parts)


def test_a_key_needs_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signing.SETTING, raising=False)
    assert signing.load("") is None
    path = tmp_path / "key.pem"
    path.write_text(pem("PRIVATE KEY"))
    with pytest.raises(UserError, match="a private key and its certificate") as raised:
        signing.load(str(path))
    assert "openssl req" in raised.value.hint
    path.write_text(pem("RSA PRIVATE KEY", "CERTIFICATE"))
    monkeypatch.setenv(signing.SETTING, str(path))
    key = signing.load("")
    assert key and len(key.fingerprint) == 64
    with pytest.raises(UserError, match="cannot be read: No such file"):
        signing.load(str(tmp_path / "none"))


def test_a_source_of_ones_own_is_a_kernels(tmp_path: Path) -> None:
    tarball = tmp_path / "linux-6.12.9.tar.xz"
    tarball.write_bytes(b"x")
    assert source.own(str(tarball)).files == (tarball,)
    with pytest.raises(UserError, match="is not a kernel's source"):
        source.own(str(tmp_path / "linux-6.13.tar.xz"))
