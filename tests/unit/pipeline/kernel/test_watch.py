# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv watch builds the next of the patched kernels that are published."""

from __future__ import annotations

import pytest

from panicast_build import watch
from panicast_build.kernel.build import Options


@pytest.mark.parametrize(
    ("built", "next_"),
    [(("smoke", "cloud"), ["cloud"]), (("distro", "cloud"), ["distro", "cloud"]), ((), ["distro"])],
)
def test_the_next_kernels_are_those_that_are_published(
    built: tuple[str, ...], next_: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, str]] = []

    def run(distro: str, options: Options) -> None:
        ran.append((distro, options.wanted.config.name))

    monkeypatch.delenv("PANICAST_MODULE_KEY", raising=False)
    monkeypatch.setattr(watch.kernel_task, "run", run)
    monkeypatch.setattr(watch.dist, "read", lambda _: {"components": {name: {} for name in built}})
    monkeypatch.setattr(watch.engine, "connect", lambda: None)
    monkeypatch.setattr(watch, "_newest", lambda *_: ["6.1"])
    watch.run("debian-12", "debian-12")
    assert ran == [("debian-12", name) for name in next_]
