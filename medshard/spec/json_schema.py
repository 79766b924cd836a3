"""The JSON Schema of the spec language, for completion and checks in editors."""

from __future__ import annotations

import json
from typing import Any

from medshard.spec.schema import Spec

__all__ = ["spec_json_schema"]


def spec_json_schema() -> str:
    """Generated from the models. Numbers may also be text, since every scalar of a spec is read as text."""
    schema = Spec.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "medshard spec"
    schema["properties"]["variants"] = {
        "type": "array",
        "description": "A table of parameters; {name} in any text takes the row's value.",
        "items": {"type": "object"},
    }
    schema["properties"]["spec"] = {"enum": [1, "1"]}
    for part in ("properties", "$defs"):
        schema[part] = {name: _loosened(node) for name, node in schema[part].items()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


_PARAMETER = {"type": "string", "pattern": "\\{[a-z][a-z0-9_]*\\}"}
"""A text with a parameter of ``variants`` in it may become anything."""

_NAMED = ("properties", "patternProperties")
"""Words of JSON Schema below which names stand that are not words of JSON Schema."""

_UNQUOTED = {
    "integer": ["integer", "string"],
    "number": ["number", "string"],
    "string": ["string", "number", "boolean"],
}


def _loosened(node: Any) -> Any:
    """A YAML editor types ``1`` and ``yes`` before medshard reads them as text; allow both."""
    if isinstance(node, dict):
        loosened = {
            key: {name: _loosened(named) for name, named in value.items()} if key in _NAMED else _loosened(value)
            for key, value in node.items()
        }
        kind = loosened.get("type")
        if isinstance(kind, str) and kind in _UNQUOTED and "enum" not in loosened and "const" not in loosened:
            loosened["type"] = _UNQUOTED[kind]
        if set(loosened.get("enum", ())) >= {"yes", "no"}:
            loosened["enum"] = [*loosened["enum"], True, False]
            loosened.pop("type", None)
        narrow = {"enum", "const", "pattern"} & set(loosened) or loosened.get("type") in ("object", "array")
        return {"anyOf": [loosened, _PARAMETER]} if narrow and "properties" not in loosened else loosened
    if isinstance(node, list):
        return [_loosened(item) for item in node]
    return node
