"""JSON schemas of the files that the catalog reads, for editors and for `pyrunbook schema`."""

from __future__ import annotations

from typing import Any

import msgspec

from pyrunbook.catalog.metadata import ArgumentSpec
from pyrunbook.catalog.step_notes import StepNotes
from pyrunbook.catalog.values import schema_of


def metadata_schema() -> dict[str, Any]:
    """Of `<name>.meta.yml`: one spec with a `runbook` block, and perhaps others of plays that have none."""
    (spec,), definitions = msgspec.json.schema_components(
        [ArgumentSpec], schema_hook=schema_of, ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Metadata of a runbook",
        "type": "object",
        "properties": {
            "argument_specs": {
                "type": "object",
                "additionalProperties": {"if": {"required": ["runbook"]}, "then": spec},
            }
        },
        "required": ["argument_specs"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def step_schema() -> dict[str, Any]:
    """Of a role's `meta/step.yml`."""
    (notes,), definitions = msgspec.json.schema_components(
        [StepNotes], schema_hook=schema_of, ref_template="#/$defs/{name}"
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **notes, "$defs": definitions}
