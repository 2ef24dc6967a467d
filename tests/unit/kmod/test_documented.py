# SPDX-License-Identifier: GPL-2.0-or-later
"""Every parameter of the module is in the packaged modprobe.d file and the man page, with its default."""

import re
from pathlib import Path

import pytest

KMOD = Path(__file__).resolve().parents[3] / "kmod"
PARAMS = "".join((KMOD / name).read_text(encoding="utf-8") for name in ("params.c", "key.c"))
NAMES = sorted(set(re.findall(r"^(?:NUMBER|module_param_cb)\((\w+)", PARAMS, re.M)) - {"name"})


def defaults() -> dict[str, str]:
    text = (KMOD / "dist/panicast.conf").read_text(encoding="utf-8")
    return dict(re.findall(r"^#options panicast (\w+)=(.*)$", text, re.M))


def test_the_config_file_has_every_parameter_and_no_other() -> None:
    assert sorted(defaults()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_default_is_the_one_in_the_code(name: str) -> None:
    described = re.search(rf"MODULE_PARM_DESC\({name},[^;]*?\(([^()]*)\)\"\)", PARAMS)
    assert defaults()[name] == (described.group(1) if described else "")


@pytest.mark.parametrize("name", NAMES)
def test_the_man_page_has_the_default(name: str) -> None:
    page = (KMOD / "dist/panicast-ctl.8").read_text(encoding="utf-8")
    assert re.search(rf"^\.BR {name} = ?{re.escape(defaults()[name])}$", page, re.M)
