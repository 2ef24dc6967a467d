# SPDX-License-Identifier: GPL-2.0-or-later
"""The tasks as ./inv lists them."""

import re

import pytest

from panicast_build.core.paths import ROOT
from panicast_build.core.run import run


def inv(*arguments: str) -> str:
    return run([ROOT / "inv", *arguments]).output


def test_every_task_is_listed_with_a_summary() -> None:
    # A summary that does not fit on its line goes on further to the right.
    listed = re.findall(r"^  (\w+) +\w", inv("--list"), re.MULTILINE)
    building = "bench branches clean demo distros fetch image kernel lint modules mutate package"
    assert " ".join(listed) == f"{building} release repo reproduce smoke support test watch workflows"


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("bench", ("--what", "--kernel")),
        ("package", ("--distro", "--component", "--rpm-host")),
        ("kernel", ("--distro", "--config", "--key", "--source")),
        ("smoke", ("--distro", "--nic", "--kernel", "--case")),
    ],
)
def test_every_argument_has_help(task: str, arguments: tuple[str, ...]) -> None:
    shown = inv(task, "--help")
    for argument in arguments:
        explained = shown[shown.index(f"{argument}=STRING") :].splitlines()[0]
        assert len(explained.split()) > 4


def test_distros_lists_every_target() -> None:
    shown = inv("distros")
    assert "debian-12" in shown and "debian-13" in shown


@pytest.mark.parametrize("task", ["image", "package", "smoke", "kernel"])
def test_without_a_distro_it_lists_the_targets(task: str) -> None:
    done = run([ROOT / "inv", task], check=False)
    assert done.code == 2 and "no distro given" in done.output and "debian-12" in done.output


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    for arguments in (("bench", "speed"), ("smoke", "--matrix", "--kernel", "2.6")):
        done = run([ROOT / "inv", *arguments], check=False)
        assert done.code == 2 and "is called" in done.output and "there are:" in done.output
