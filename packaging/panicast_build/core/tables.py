# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads our TOML files of tables, applies inheritance and checks them, with errors for people."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

T = TypeVar("T")
Fields = dict[str, Any]
#: The key of a table that names another of the file: it has all keys of that one, except those that it sets.
LIKE = "like"
_LACKS = re.compile(r"Object missing required field `(?P<key>[^`]+)`")
_WRONG = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$\.?(?P<key>[^`]*)`)?")
_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def read(path: Path, form: type[T]) -> dict[str, T]:
    """Returns the tables of a file by name, each as an instance of the dataclass form."""
    return {name: value(path, name, fields, form) for name, fields in load(path).items()}


def load(path: Path) -> dict[str, Fields]:
    """Returns the tables of a file by name, with the keys that they inherit."""
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(path)} is not TOML: {error}") from error
    for name, fields in tables.items():
        if not isinstance(fields, dict):
            raise UserError(f"{shown(path)}: the key {name} is in no table", "put it below a [heading]")
    return {name: _inherited(path, tables, name, ()) for name in tables}


def value(path: Path, name: str, fields: Fields, form: type[T], *, named: bool = True) -> T:
    """Returns the fields of table name as an instance of the dataclass form.

    If form has a field `name`, it gets the table's name; without named it is a key like the others.
    Paths are relative to the file's folder. Raises UserError with the file, the table and the key
    that is unknown, missing or of a wrong type.
    """
    known = [field.name for field in dataclasses.fields(form)]  # type: ignore[arg-type]
    from_heading = {"name": name} if named and "name" in known else {}
    settable = [key for key in known if key not in from_heading]
    for key in fields:
        if key not in settable:
            near = difflib.get_close_matches(key, settable, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it may have: {', '.join(settable)}"
            raise UserError(f"{shown(path)}: [{name}] has the unknown key {key}", hint)
    try:
        return msgspec.convert({**fields, **from_heading}, form, dec_hook=lambda _, text: path.parent / text)
    except msgspec.ValidationError as error:
        raise UserError(f"{shown(path)}: {_sentence(name, str(error))}") from error


def pick(path: Path, name: str, fields: Fields, key: str, known: dict[str, T]) -> T:
    """Returns the one of the known values that a table's key chooses."""
    if key not in fields:
        raise UserError(f"{shown(path)}: [{name}] lacks the key {key}", f"it is one of: {', '.join(known)}")
    if fields[key] not in known:
        raise UserError(
            f"{shown(path)}: in [{name}], {key} cannot be {fields[key]!r}",
            f"it is one of: {', '.join(known)}",
        )
    return known[fields[key]]


def shown(path: Path) -> str:
    """Returns a file's path in the tree, for messages."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _inherited(path: Path, tables: dict[str, Fields], name: str, heirs: tuple[str, ...]) -> Fields:
    own = dict(tables[name])
    model = own.pop(LIKE, None)
    if model is None:
        return own
    if model not in tables:
        raise UserError(
            f"{shown(path)}: [{name}] is like {model!r}, which does not exist",
            f"there are: {', '.join(tables)}",
        )
    if model in (name, *heirs):
        raise UserError(f"{shown(path)}: [{name}] is like [{model}], which is itself like [{name}]")
    return {**_inherited(path, tables, model, (name, *heirs)), **own}


def _sentence(name: str, complaint: str) -> str:
    if lacks := _LACKS.match(complaint):
        return f"[{name}] lacks the key {lacks['key']}"
    if wrong := _WRONG.match(complaint):
        wanted, got = (_WORDS.get(wrong[part], wrong[part]) for part in ("wanted", "got"))
        return f"in [{name}], {wrong['key']} must be {wanted}, not {got}"
    return f"[{name}]: {complaint}"
