# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads kernel configurations from kernel-patch/configs/configs.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import choice, tables
from panicast_build.core.errors import BuildError, UserError
from panicast_build.engine.container import Container
from panicast_build.kernel.series import FOLDER

CONFIGS = FOLDER / "configs"
TABLE = CONFIGS / "configs.toml"
DEFAULT = "distro"
# Whatever a distro's configuration says of them: its own keys are not ours to have.
ALWAYS = {"SYSTEM_TRUSTED_KEYS": '""', "SYSTEM_REVOCATION_KEYS": '""'}
# Older kernels have a switch, newer ones a choice of formats, of which none is one.
DEBUG_INFO = {
    True: {"DEBUG_INFO": "y", "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT": "y"},
    False: {"DEBUG_INFO_NONE": "y", "DEBUG_INFO": "n", "DEBUG_INFO_BTF": "n"},
}


@dataclass(frozen=True)
class Config:
    """One configuration: see configs.toml."""

    name: str
    title: str
    suffix: str
    version_suffix: str
    objects: int
    cpu_minutes: int
    gib: int
    debug_cpu_minutes: int
    debug_gib: int
    base: str = ""
    flavour: str = ""
    fragment: str = ""
    published: bool = True

    @property
    def wanted(self) -> str:
        """Returns the lines of its fragment."""
        return (CONFIGS / self.fragment).read_text() if self.fragment else ""


def load() -> dict[str, Config]:
    """Returns the configurations by name."""
    return tables.read(TABLE, Config)


def get(name: str) -> Config:
    """Returns the configuration called name. Raises UserError, which lists the right names."""
    known = load()
    choice.check("configuration", name, known)
    return known[name]


def must_have_base(config: Config, source: str) -> None:
    """Raises UserError for a configuration that comes from a distro's kernel: a tarball has none."""
    if not config.base:
        bases = ", ".join(each.name for each in load().values() if each.base)
        raise UserError(
            f"--config {config.name} belongs to a distro's own kernel, and {source} does not have it",
            f"say --config, and one of: {bases}",
        )


def settings(config: Config, debug_info: bool, key: str) -> str:
    """Returns the options that are set besides the base and the fragment. key is the path of the
    key that signs modules, as the build sees it; "" if none does."""
    signing = {"MODULE_SIG_KEY": f'"{key}"', "MODULE_SIG_ALL": "y" if key else "n"}
    if key:
        signing["MODULE_SIG"] = "y"
    values = {"LOCALVERSION": f'"{config.suffix}"', **ALWAYS, **DEBUG_INFO[debug_info], **signing}
    lines = (
        f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"
        for name, value in values.items()
    )
    return "".join(f"{line}\n" for line in lines)


def missing(wanted: str, got: str) -> list[str]:
    """Returns the options that wanted sets and that got, a .config, has otherwise."""
    has = set(got.splitlines())
    return [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line not in has]


def check(box: Container, tree: str, wanted: str, debug_info: bool, log: Path) -> None:
    """Raises BuildError unless the .config in tree has all that was wanted."""
    got = box.read(f"{tree}/.config").decode()
    if lacking := missing(wanted, got):
        raise BuildError(f"this kernel cannot be configured with {', '.join(lacking)}", log)
    if debug_info != ("CONFIG_DEBUG_INFO=y" in got.splitlines()):
        raise BuildError(f"this kernel cannot be built {'with' if debug_info else 'without'} debug info", log)
