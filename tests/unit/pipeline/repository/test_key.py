# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that signs, in a keyring of the tests': which one is meant, and what it signs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.repository import key
from panicast_build.repository.key import Key

BEGAN = 1_700_000_000
NAMES = ("Release One <one@example.org>", "Release Two <two@example.org>")


def gpg(home: Path, *arguments: str | Path) -> str:
    argv = ["gpg", "--homedir", home, "--batch", "--yes", "--passphrase", "", *arguments]
    language = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=language)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The folder of a keyring with two keys; the second one was extended a day later."""
    tools.need("gpg")
    # Short: its agent's socket has a longer name than a socket may have elsewhere.
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        path = Path(folder)
        for name in NAMES:
            gpg(
                path,
                "--faked-system-time",
                str(BEGAN),
                "--quick-generate-key",
                name,
                "ed25519",
                "sign",
                "20y",
            )
        extend = ("--quick-set-expire", fingerprint(path, NAMES[1]), "19y")
        gpg(path, "--faked-system-time", str(BEGAN + 86400), *extend)
        yield path
        subprocess.run(["gpgconf", "--homedir", path, "--kill", "all"], check=True)


def fingerprint(home: Path, name: str) -> str:
    listed = gpg(home, "--with-colons", "--list-keys", name)
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))


@pytest.fixture(autouse=True)
def ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(home))


@pytest.fixture
def elsewhere(home: Path) -> Iterator[Path]:
    """Another keyring, of somebody who has no key yet."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        yield Path(folder)
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True)


def test_when_a_key_was_changed_is_known() -> None:
    assert [key.find(name).changed() for name in NAMES] == [BEGAN, BEGAN + 86400]


@pytest.mark.parametrize("find", [key.find, key.find_public])
def test_a_key_is_known_by_its_name_address_or_fingerprint(home: Path, find: Callable[[str], Key]) -> None:
    whole = fingerprint(home, NAMES[0])
    assert len(whole) == 40
    for name in ("Release One", "one@example.org", whole, whole[-16:]):
        assert find(name) == Key(whole)


@pytest.mark.parametrize(("find", "kind"), [(key.find, "secret"), (key.find_public, "public")])
def test_a_name_means_one_key(find: Callable[[str], Key], kind: str) -> None:
    with pytest.raises(UserError, match=f"^2 {kind} keys are called Release$"):
        find("Release")
    with pytest.raises(UserError, match=f"^GnuPG has no {kind} key nobody@example.org$") as refused:
        find("nobody@example.org")
    assert f"gpg --list-{kind}-keys" in refused.value.hint


def test_a_key_that_only_others_can_sign_with_does_not_sign(
    home: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key.export([key.find("Release One")], tmp_path / "key")
    gpg(elsewhere, "--import", tmp_path / "key")
    monkeypatch.setenv("GNUPGHOME", str(elsewhere))
    assert key.find_public("Release One").fingerprint == fingerprint(home, NAMES[0])
    with pytest.raises(UserError, match="no secret key"):
        key.find("Release One")


def test_a_key_with_a_subkey_is_one_key(home: Path) -> None:
    whole = fingerprint(home, NAMES[0])
    gpg(home, "--quick-add-key", whole, "ed25519", "sign", "1y")
    assert key.find("Release One") == key.find_public("Release One") == Key(whole)


@pytest.mark.parametrize("how", ["clearsign", "detached", "detached_binary"])
def test_what_a_key_signs_others_verify(how: str, home: Path, elsewhere: Path, tmp_path: Path) -> None:
    text, signed = tmp_path / "text", tmp_path / "signed"
    text.write_text("what is published\n")
    signed.write_text("from an earlier run")
    signing = key.find("Release Two")
    getattr(signing, how)(text, signed)
    key.export([signing], tmp_path / "key")
    gpg(elsewhere, "--import", tmp_path / "key")
    what = [signed] if how == "clearsign" else [signed, text]
    assert f"using EDDSA key {signing.fingerprint}" in gpg(elsewhere, "--verify", *what)
    # What repositories and attestations want of each form.
    assert signed.read_bytes().startswith(b"-----BEGIN PGP SIG") == (how != "detached_binary")
    assert (b"what is published" in signed.read_bytes()) == (how == "clearsign")
    text.write_text("what somebody made of it\n")
    if how != "clearsign":
        with pytest.raises(subprocess.CalledProcessError):
            gpg(elsewhere, "--verify", *what)


def imported(home: Path, data: Path) -> list[str]:
    listed = gpg(home, "--with-colons", "--show-keys", data)
    lines = listed.splitlines()
    return [lines[n + 1].split(":")[9] for n, line in enumerate(lines) if line.startswith("pub")]


def test_all_keys_that_are_trusted_are_exported_in_both_forms(home: Path, tmp_path: Path) -> None:
    keys = [key.find_public("Release Two"), key.find_public("Release One")]
    binary, text = tmp_path / "key.pgp", tmp_path / "key.asc"
    key.export(keys, binary)
    key.export_text(keys, text)
    assert sorted(imported(home, binary)) == sorted(one.fingerprint for one in keys)
    assert b"-----BEGIN" not in binary.read_bytes()
    # In the order that was asked for, and each in a block of its own: rpm reads the first of a block.
    blocks = text.read_text().split("-----BEGIN PGP PUBLIC KEY BLOCK-----")[1:]
    assert len(blocks) == 2 and imported(home, text) == [one.fingerprint for one in keys]
    key.export_text(keys[:1], text)
    assert imported(home, text) == [keys[0].fingerprint]


def test_an_exported_key_has_no_signature_of_others(home: Path, tmp_path: Path) -> None:
    one, two = (fingerprint(home, name) for name in NAMES)
    gpg(home, "--local-user", two, "--quick-sign-key", one)
    for export in (key.export, key.export_text):
        export([Key(one)], tmp_path / "key")
        listed = gpg(
            home, "--with-colons", "--list-options", "show-sig-subpackets", "--show-keys", tmp_path / "key"
        )
        packets = gpg(home, "--list-packets", tmp_path / "key")
        assert two[-16:] not in listed + packets and one[-16:] in packets


def test_rpms_are_signed_with_the_key_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for rpmsign, which says how it was called."""
    program = tmp_path / "rpmsign"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/said\n')
    program.chmod(0o755)
    needed: list[str] = []
    monkeypatch.setattr(tools, "need", needed.append)
    monkeypatch.setattr(tools, "find", {"rpmsign": str(program), "gpg": "/opt/gpg"}.get)
    Key("ABCD").sign_rpms([])
    assert not (tmp_path / "said").exists() and needed == []
    Key("ABCD").sign_rpms([tmp_path / "a.rpm", tmp_path / "b.rpm"])
    assert (tmp_path / "said").read_text().splitlines() == [
        *("--addsign", "--define", "_gpg_name ABCD", "--define", "__gpg /opt/gpg"),
        *(str(tmp_path / name) for name in ("a.rpm", "b.rpm")),
    ]
    assert needed == ["rpmsign"]
    # Where gpg is found by whoever looks for it.
    monkeypatch.setattr(tools, "find", {"rpmsign": str(program)}.get)
    Key("ABCD").sign_rpms([tmp_path / "a.rpm"])
    assert "__gpg gpg" in (tmp_path / "said").read_text().splitlines()
