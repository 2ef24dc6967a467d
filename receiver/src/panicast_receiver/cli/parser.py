# SPDX-License-Identifier: GPL-2.0-or-later
"""An argparse parser that suggests what was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from ..settings.nearest import suggestion


class Parser(argparse.ArgumentParser):
    """Names the word nearest to a wrong one, or all right ones if none is near."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            hint = suggestion(str(value), known) or f"; right are: {', '.join(known)}"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")


def parse(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments. End the program if there is one too many, with a suggestion."""
    args, wrong = parser.parse_known_args(argv)
    if not wrong:
        return args
    flags = _flags(parser)
    word = next((one for one in wrong if one.startswith("-")), wrong[0])
    name = word.partition("=")[0]
    elsewhere = [command for command, known in flags.items() if name in known]
    if elsewhere:
        hint = f"; it is a flag of {', '.join(elsewhere)}"
    else:
        hint = suggestion(name, flags.get(args.command, ())) if name.startswith("-") else ""
    usage = f"`{parser.prog} {args.command} --help` lists all"
    parser.error(f"{args.command} does not know {word!r}{hint}; {usage}")


def _flags(parser: argparse.ArgumentParser) -> Mapping[str, Sequence[str]]:
    """Return the flags of each command."""
    commands = next(a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {name: list(one._option_string_actions) for name, one in commands.items()}
