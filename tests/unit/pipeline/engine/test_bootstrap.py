# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images from package archives: whose keys are needed, and what is said where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.core.errors import UserError
from panicast_build.engine import bootstrap
from panicast_build.kernel import check
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro


def test_the_keys_of_every_archive_are_known() -> None:
    used = [*distros.of_family(DebDistro).values(), *check.sources()]
    assert {base.image.partition(":")[0] for base in used} == set(bootstrap.KEYRINGS)


def test_missing_keys_are_said_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.tools, "need", lambda *commands: None)
    missing = tmp_path / "keys.gpg"
    monkeypatch.setitem(bootstrap.KEYRINGS, "ubuntu", (missing, "ubuntu-keyring"))
    with pytest.raises(UserError) as raised:
        bootstrap.BOOTSTRAPS["deb"](distros.get("ubuntu-24.04"), "", tmp_path / "root.tar", tmp_path / "log")
    assert str(missing) in str(raised.value) and "Ubuntu 24.04" in str(raised.value)
    assert "ubuntu-keyring" in raised.value.hint
    assert not (tmp_path / "log").exists()
