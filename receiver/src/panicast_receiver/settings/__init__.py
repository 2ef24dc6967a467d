# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists every setting once: these tables make the TOML keys, the flags, their help and their
checks.

Precedence: flag, then configuration file, then default.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

from ..errors import UsageError
from .exports import EXPORTS
from .intake import INTAKE
from .keeping import KEEPING
from .kinds import Setting, Value
from .nearest import suggestion
from .running import RUNNING
from .sinks import SINKS
from .symbols import SYMBOLS
from .web import WEB

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_FILE = Path("/etc/panicast/receiver.toml")
SYSTEM_STATE_DIR = Path("/var/lib/panicast")
#: Those that `serve` uses, and with those of `web` all of them.
SERVE: tuple[Setting, ...] = (*INTAKE, *KEEPING, *SYMBOLS, *SINKS, *EXPORTS, *RUNNING)
SETTINGS: tuple[Setting, ...] = (*SERVE, *WEB)


class Settings:
    """The values in force, as attributes named like the keys."""

    listen: str
    interface: str
    capture: str
    raw_frames: bool
    netconsole_port: int
    state_dir: str
    idle_s: float
    memory_mib: int
    reserve_mib: int
    spill_mib: int
    max_in_flight: int
    max_text_kib: int
    raw_window_s: float
    receive_buffer_mib: int
    key_file: str
    require_sealed: bool
    sealed_hosts: str
    confirm: str
    source_records_per_minute: int
    mac_records_per_minute: int
    records_per_host: int
    keep_days: float
    keep_mib: int
    symbols: str
    hook: str
    webhook: str
    webhook_file: str
    webhook_format: str
    alerts_file: str
    syslog: str
    journal: bool
    postgresql: str
    postgresql_file: str
    postgresql_keep_days: float
    postgresql_keep_mib: int
    nats: str
    nats_login: str
    loki: str
    loki_headers: str
    otlp: str
    otlp_headers: str
    s3: str
    s3_endpoint: str
    s3_region: str
    s3_login: str
    silent_s: float
    retire_days: float
    labels: str
    log_level: str
    stats_s: float
    web_listen: str
    web_base: str
    web_token_file: str
    web_tokens_file: str
    web_oidc: str
    web_oidc_client: str
    web_readers: str
    web_operators: str
    web_names: str
    web_central: bool
    web_proxy: bool

    def __init__(self, values: Mapping[str, Value], file: Path | None = None) -> None:
        """``file`` is where they were read; None where no file is."""
        self.file = file
        for setting in SETTINGS:
            setattr(self, setting.key, values.get(setting.key, setting.default))

    def state_path(self, writing: bool) -> Path:
        """Return this user's state folder, see the setting's help."""
        if self.state_dir:
            return Path(self.state_dir)
        usable = os.access(SYSTEM_STATE_DIR, os.W_OK if writing else os.R_OK | os.X_OK)
        if usable or os.geteuid() == 0:
            return SYSTEM_STATE_DIR
        own = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "panicast"
        # Who has no records of his own and asks on a log host is to hear how he gets at the host's.
        reads_none = not writing and not own.exists()
        return SYSTEM_STATE_DIR if reads_none and SYSTEM_STATE_DIR.exists() else own


def load(flags: Mapping[str, Value], config: str | None, needed: bool = True) -> Settings:
    """Merge the given flags with the configuration file. Raises UsageError.

    ``config`` names the file; None means the packaged one, if it exists. If it is not ``needed``, a
    user who may not read it goes without it.
    """
    path = Path(config) if config is not None else CONFIG_FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        unread = isinstance(error, FileNotFoundError) or (isinstance(error, PermissionError) and not needed)
        if config is None and unread:
            return Settings(flags)
        raise UsageError(
            f"cannot read the configuration {path}: {error.strerror}"
            + ("; run this as root" if isinstance(error, PermissionError) else "")
        ) from error
    return Settings({**_parse(path, text), **flags}, path)


def _parse(path: Path, text: bytes) -> Mapping[str, Value]:
    try:
        table = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    by_key = {setting.key: setting for setting in SETTINGS}
    for key in table:
        if key not in by_key:
            hint = suggestion(key, by_key) or "; `man panicast-receiver` lists the settings"
            raise UsageError(f"{path}: unknown setting {key!r}{hint}")
    return {key: by_key[key].convert(value, f"{path}: {key}") for key, value in table.items()}


def from_flag(setting: Setting) -> Callable[[str], Value]:
    """Return the converter that argparse calls for a flag's text; it raises UsageError."""

    def convert(text: str) -> Value:
        try:
            value = setting.kind(text)
        except ValueError:
            value = text
        return setting.convert(value, setting.flag)

    return convert


def render_toml() -> str:
    """Return the shipped configuration file: every setting with its help, commented out at its
    default."""
    parts = [
        "# Configuration of panicast-receiver. Every setting is also a flag of `panicast-receiver serve`;\n"
        "# flags win. Each line below shows the default. After a change:\n"
        "#   panicast-receiver check-config && systemctl reload-or-restart panicast-receiver\n"
        "# A reload does not apply settings marked (restart). Settings that begin with web_ belong to\n"
        "# `panicast-receiver web`: systemctl restart panicast-receiver-web\n"
    ]
    for setting in SETTINGS:
        lines = textwrap.wrap(setting.help + ("" if setting.live else " (restart)"), 96)
        if setting.kind in (int, float):
            lines.append(f"From {setting.low:.12g} to {setting.high:.12g}.")
        shown = (
            str(setting.default).lower()
            if setting.kind is bool
            else (f'"{setting.default}"' if setting.kind is str else str(setting.default))
        )
        parts.append("".join(f"# {line}\n" for line in lines) + f"#{setting.key} = {shown}\n")
    return "\n".join(parts)
