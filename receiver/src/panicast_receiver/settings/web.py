# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the web page: where it listens, under which path, and who may read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from . import kinds
from .kinds import Hint, Setting, absolute, host_and_port, open_address

#: What a provider of OpenID Connect says of a person. The kinds are kept apart, because somebody may choose a
#: user name that looks like a group or a mail address.
_PEOPLE = ("user", "mail", "group", "sub")


class Pattern(NamedTuple):
    """People who have a name of this kind that fits; * and ? stand for other characters."""

    kind: str
    name: str


def _base_path(text: str) -> None:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*", text):
        raise ValueError(text)


def _issuer(text: str) -> None:
    open_address(text)
    # In the clear only where nobody else listens.
    if text.startswith("http://") and urlsplit(text).hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError(text)


def parse_names(text: str) -> frozenset[str]:
    """Split a comma list of host names, in lower case; raises ValueError."""
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    if not all(re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", name) for name in names):
        raise ValueError(text)
    return names


def parse_people(text: str) -> Sequence[Pattern]:
    """Split a comma list of KIND:NAME; raises ValueError."""
    patterns = [Pattern(*map(str.strip, one.partition(":")[::2])) for one in kinds.parse_names(text)]
    for one in patterns:
        if one.kind not in _PEOPLE or not one.name:
            raise Hint(f"Say what kind of name each is: {', '.join(f'{kind}:NAME' for kind in _PEOPLE)}")
    return patterns


WEB: tuple[Setting, ...] = (
    Setting(
        "web_listen",
        str,
        "127.0.0.1:6680",
        "ADDR:PORT",
        "Address and TCP port of the web page, IPv6 as [::1]:6680. Without a token "
        "(web_token_file) only addresses of this machine are accepted. Port 0: any free port.",
        check=host_and_port,
        form="an address, no name, and a TCP port",
    ),
    Setting(
        "web_base",
        str,
        "",
        "PATH",
        "Path under which a reverse proxy shows the page, such as /panicast. The proxy must pass "
        "it on unchanged. Empty: the root.",
        check=_base_path,
        form="a path that begins with a slash and does not end in one",
        example="/panicast",
    ),
    Setting(
        "web_token_file",
        str,
        "",
        "FILE",
        "File of mode 0600 with a token of at least 20 characters, which readers must show: "
        "browsers once, programs as `Authorization: Bearer TOKEN`. A name without a slash is a "
        "credential (LoadCredential=). Empty: everybody who reaches the page may read all "
        "records.",
        form="a path, or the name of a credential",
        example="/etc/panicast/web-token",
    ),
    Setting(
        "web_tokens_file",
        str,
        "",
        "FILE",
        "File of mode 0600 with named tokens, each with a role and an end: `panicast-receiver token` "
        "writes it. They open the page like that of web_token_file. Empty: none.",
        check=absolute,
        form="the absolute path of a file",
        example="/etc/panicast/web-tokens",
    ),
    Setting(
        "web_oidc",
        str,
        "",
        "URL",
        "Issuer at which people log in by OpenID Connect. Register a client there whose redirect URI is the "
        "page's address and /login/done. Empty: nobody logs in by name.",
        check=_issuer,
        form="an https address; http only on this machine",
        example="https://sso.example.org/realms/ops",
    ),
    Setting(
        "web_oidc_client",
        str,
        "",
        "FILE",
        "File of mode 0600 with a line CLIENT_ID:SECRET of that client. A name without a slash is a "
        "credential (LoadCredential=).",
        form="a path, or the name of a credential",
        example="/etc/panicast/web-oidc-client",
    ),
    Setting(
        "web_readers",
        str,
        "",
        "KIND:NAME[,KIND:NAME]",
        "Which of these people may read: user:, mail:, group: or sub:, each with a name as the issuer writes "
        "it; * and ? stand for other characters. Empty: everybody whom the issuer lets log in.",
        check=parse_people,
        form="kinds and names, separated by commas",
        example="group:sre,mail:*@ops.example.org",
    ),
    Setting(
        "web_operators",
        str,
        "",
        "KIND:NAME[,KIND:NAME]",
        "Which of these people may also change groups and maintenance windows. Empty: nobody.",
        check=parse_people,
        form="kinds and names, separated by commas",
        example="group:oncall,mail:ann@example.org",
    ),
    Setting(
        "web_names",
        str,
        "",
        "NAME[,NAME]",
        "Host names that the page answers to if there is no token, besides localhost and "
        "addresses: those of a reverse proxy that passes the name on. Other names are refused, "
        "so that no foreign page can read this one under a name of its own.",
        check=parse_names,
        form="host names, separated by commas",
        example="logs.example.org",
    ),
    Setting(
        "web_central",
        bool,
        False,
        "",
        "Show the central store that `postgresql` or `postgresql_file` names, which many receivers fill, "
        "and not the records of this machine. `web --postgresql DSN` does the same.",
    ),
    Setting(
        "web_proxy",
        bool,
        False,
        "",
        "A reverse proxy on this machine shows the page: visitors are told apart by the address "
        "that it adds to X-Forwarded-For. Without one that header is ignored, because any user of "
        "this machine can write it.",
    ),
)
