# SPDX-License-Identifier: GPL-2.0-or-later
"""The one table of a record's fields against what the reader, the documentation and old receivers say."""

import json
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import jsonschema
import pytest

from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import Meaning
from panicast_receiver.records.extents import Run
from panicast_receiver.records.fields import FIELDS, TEXT_FIELDS, render_markdown
from panicast_receiver.records.present import as_json
from panicast_receiver.sinks.document import checked

from ..cli.test_cli import RECORD

PAGE = Path(__file__).parents[4] / "docs/receiver.md"


@pytest.fixture
def shown(tmp_path):
    """What show --json prints of a v1 record with a gap, and of a raw one of which little is known."""
    store = Store(tmp_path)
    raw = replace(RECORD, identity=b"r" * 20, format="raw", boot_id=None, event=None, time_ns=None)
    store.write([replace(RECORD, runs=(Run(2, b"\xffb"),)), replace(raw, metadata=None)])
    store.close()
    reader = Reader(tmp_path)
    try:
        return [as_json(entry.summary, reader.load(entry)) for entry in reader.select(Query())]
    finally:
        reader.close()


def test_the_reader_says_each_field_in_order(shown):
    assert len(shown) == 2
    for record in shown:
        names = [field.name for field in (*FIELDS, *TEXT_FIELDS)]
        assert list(record) == names, "db/reader.py sets other fields than records/fields.py lists"


def test_each_value_is_as_its_field_says(shown):
    for record in shown:
        for field in (*FIELDS, *TEXT_FIELDS):
            jsonschema.validate(record[field.name], field.schema)


def test_the_page_has_the_table():
    assert render_markdown() in PAGE.read_text(), "put what records.fields.render_markdown() returns there"


@pytest.mark.parametrize(("part", "needed"), [("title", True), ("signature", True), ("module", False)])
def test_of_a_crash_what_every_receiver_tells_is_required(part, needed):
    schema = next(field.schema for field in FIELDS if field.name == "crash")
    crash = json.loads(json.dumps(asdict(Meaning())))
    jsonschema.validate(crash, schema)
    del crash[part]
    with pytest.raises(jsonschema.ValidationError) if needed else nullcontext():
        jsonschema.validate(crash, schema)


@pytest.mark.parametrize("name", [field.name for field in (*FIELDS, *TEXT_FIELDS) if field.column])
def test_what_the_central_store_keeps_must_be_sent(shown, name):
    field = next(field for field in (*FIELDS, *TEXT_FIELDS) if field.name == name)
    sent = json.loads(json.dumps(shown[0]))
    del sent[name]
    if not field.required:
        assert checked(sent)[name] == field.usual
        return
    with pytest.raises(ValueError, match=name):
        checked(sent)
    with pytest.raises(ValueError, match=name):
        checked({**sent, name: object()})
