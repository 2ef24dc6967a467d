# SPDX-License-Identifier: GPL-2.0-or-later
"""Each parameter of the module has one default everywhere, and each card's driver is described as it is."""

import re
from pathlib import Path

import pytest

from panicast_build.core.paths import ROOT
from panicast_build.crash.kit import NICS

KMOD = Path(__file__).resolve().parents[3] / "kmod"
PARAMS = "".join((KMOD / name).read_text(encoding="utf-8") for name in ("params.c", "key.c"))
NAMES = sorted(set(re.findall(r"^(?:NUMBER|module_param_cb)\((\w+)", PARAMS, re.M)) - {"name"})


def defaults() -> dict[str, str]:
    text = (KMOD / "dist/panicast.conf").read_text(encoding="utf-8")
    return dict(re.findall(r"^#options panicast (\w+)=(.*)$", text, re.M))


def test_the_config_file_has_every_parameter_and_no_other() -> None:
    assert sorted(defaults()) == NAMES, "kmod/dist/panicast.conf has other parameters than params.c and key.c"


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_default_is_the_one_in_the_code(name: str) -> None:
    described = re.search(rf"MODULE_PARM_DESC\({name},[^;]*?\(([^()]*)\)\"\)", PARAMS)
    assert defaults().get(name) == (described.group(1) if described else ""), "see kmod/dist/panicast.conf"


def test_every_parameter_that_can_be_written_is_written_in_a_guest_rightly_and_wrongly() -> None:
    """The last right value is the default; key_id comes with the key."""
    text = (ROOT / "packaging/panicast_build/crash/init").read_text(encoding="utf-8")
    table = re.search(r"<< VALUES\n(.*?)^VALUES$", text, re.M | re.S)
    assert table
    tried: dict[str, dict[str, str]] = {"+": {}, "-": {}}
    for line in table[1].splitlines():
        sign, name, value = (*line.split(" ", 2), "")[:3]
        tried[sign][name] = value
    writable = {name: value for name, value in defaults().items() if name != "key_id"}
    assert tried["+"] == writable | {"key": "none"}
    assert set(tried["-"]) == set(writable)


@pytest.mark.parametrize("name", NAMES)
def test_the_man_page_has_the_default(name: str) -> None:
    page = (KMOD / "dist/panicast-ctl.8").read_text(encoding="utf-8")
    wanted = rf"^\.BR {name} = ?{re.escape(defaults().get(name, ''))}$"
    assert re.search(wanted, page, re.M), f"kmod/dist/panicast-ctl.8 has no {name} with this default"


def test_each_command_of_panicast_ctl_is_explained_and_carried_out() -> None:
    usage, _, script = (KMOD / "dist/panicast-ctl").read_text(encoding="utf-8").partition("TEXT\n}")
    commands = re.findall(r"^  ([a-z]+)\b", usage.partition("Commands:")[2].partition("Options:")[0], re.M)
    assert len(commands) >= 7
    branches = script.partition("case $command in")[2].partition("-h | --help")[0]
    carried_out = re.findall(r"[a-z]+", " ".join(re.findall(r"^([a-z |]+)\)", branches, re.M)))
    assert sorted(commands) == sorted(carried_out), "usage() and the case of kmod/dist/panicast-ctl differ"
    page = (KMOD / "dist/panicast-ctl.8").read_text(encoding="utf-8")
    missing = [name for name in commands if not re.search(rf"^\.BR? {name}\b", page, re.M)]
    assert not missing, f"explain {missing} in kmod/dist/panicast-ctl.8"


def test_what_is_in_force_at_load_is_the_documented_default() -> None:
    """A number that config.c leaves out is 0; what is no number has a type of its own there."""
    text = (KMOD / "config.c").read_text(encoding="utf-8")
    initial = dict(re.findall(r"^\t\t\.(\w+) = (\d+),$", text, re.M))
    numbers = {name: value for name, value in defaults().items() if value.isdigit()}
    assert len(numbers) > 8
    assert {name: initial.get(name, "0") for name in numbers} == numbers


def drivers() -> dict[str, bool]:
    """Whether a driver takes locks of its own, by its name in the module's table."""
    rows = re.findall(r'^\t\{ "([\w-]+)", (NONE)?', (KMOD / "driver.c").read_text(encoding="utf-8"), re.M)
    assert len(rows) > 20
    return {name: not none for name, none in rows}


def test_the_page_names_the_drivers_that_always_send() -> None:
    page = (ROOT / "packaging/templates/docs/crashes.md").read_text(encoding="utf-8")
    named = re.search(r"to send or to poll always send: ([^(]*)\(", page)
    assert named
    always = {name.removesuffix("_core") for name, locks in drivers().items() if not locks}
    assert set(re.split(r",\s+", named[1].strip())) == always


def test_the_crashes_expect_of_each_card_what_the_module_knows_of_its_driver() -> None:
    known = drivers()
    cards = {name: [known[one] for one in nic.drivers if one in known] for name, nic in NICS.items()}
    assert cards == {name: [nic.locks] for name, nic in NICS.items()}
