# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of module files says of each document here what `proa check` says of it.

Documents are written as JSON, which the host reads as the YAML it also is. The validator below knows just the
words the schema uses and refuses any other, so it needs no package; where jsonschema is installed, that is asked too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import unittest
from typing import Any

try:
    import jsonschema
except ImportError:  # a package of convenience only
    jsonschema = None

with open(os.environ["PROA_SCHEMA"], encoding="utf-8") as file:
    SCHEMA = json.load(file)

TYPES: dict[str, Any] = {
    "object": dict,
    "null": type(None),
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
SILENT = {"$schema", "title", "description", "default", "definitions", "then"}  # they refuse nothing by themselves


def is_of_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def fits_object(value: dict[str, Any], schema: dict[str, Any], word: str) -> bool:
    rule = schema[word]
    if word == "required":
        return all(name in value for name in rule)
    if word == "minProperties":
        return len(value) >= rule
    if word == "propertyNames":
        return all(fits(name, rule) for name in value)
    if word == "properties":
        return all(fits(value[name], inner) for name, inner in rule.items() if name in value)
    rest = [name for name in value if name not in schema.get("properties", {})]  # additionalProperties
    return not rest if rule is False else all(fits(value[name], rule) for name in rest)


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether the value fits: JSON Schema draft-07, as far as our schema uses it."""
    return all(fits_word(value, schema, word) for word in schema if word not in SILENT)


def fits_word(value: Any, schema: dict[str, Any], word: str) -> bool:
    rule = schema[word]
    match word:
        case "type":
            return any(is_of_type(value, name) for name in ([rule] if isinstance(rule, str) else rule))
        case "enum":
            return value in rule
        case "const":
            return bool(value == rule)
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "minimum":
            return not is_of_type(value, "number") or value >= rule
        case "maximum":
            return not is_of_type(value, "number") or value <= rule
        case "anyOf":
            return any(fits(value, inner) for inner in rule)
        case "allOf":
            return all(fits(value, inner) for inner in rule)
        case "if":
            return not fits(value, rule) or fits(value, schema["then"])
        case "$ref":
            return fits(value, SCHEMA["definitions"][rule.removeprefix("#/definitions/")])
        case "required" | "minProperties" | "propertyNames" | "properties" | "additionalProperties":
            return not isinstance(value, dict) or fits_object(value, schema, word)
    raise AssertionError(f"this validator does not know the word {word}")


def endpoint(**keys: Any) -> dict[str, Any]:
    return {"kind": "proa.v1/endpoint", "spec": {"functions": {"a/b": {}}, "url": "http://h/"} | keys}


def egress(**keys: Any) -> dict[str, Any]:
    return {"kind": "proa.v1/egress", "spec": {"name": "a/out"} | keys}


CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # the host reads it; Debian has it from ca-certificates

GOOD = [
    None,
    endpoint(),
    endpoint(functions={"a/b": None, "a/*": {"takes": "io.statefun.types/int"}, "c/d": {}}),
    endpoint(url="https://h:8443/{function.name}"),
    endpoint(url="${PROA_TEST_NOT_SET:-http://h/}"),
    endpoint(url="http+unix:///run/f.sock/{function.name}"),
    endpoint(call=None, retry=None),
    endpoint(call={"timeout": "2m", "in_flight": "auto", "batch": 1, "batch_bytes": "512KiB", "run_ahead": True}),
    endpoint(call={"timeout": "500ms", "in_flight": 7, "batch": "100", "batch_bytes": 1000, "run_ahead": "false"}),
    endpoint(call={"batch": "${PROA_TEST_NOT_SET:-5}"}),
    endpoint(retry={"first": "1s", "factor": 1.5, "max": "1h", "attempts": 3, "then": "drop"}),
    endpoint(retry={"factor": "2", "then": "park"}),
    endpoint(http="1.1"),
    endpoint(http=1.1),
    endpoint(http="h2c"),
    endpoint(tls=None),
    endpoint(url="https://h/", tls={"verify": True}),
    endpoint(url="https://h/", tls={"verify": "false"}),
    endpoint(url="https://h/", tls={"ca": CERTIFICATES}),
    endpoint(url="https://h/", tls={"ca": "${PROA_TEST_NOT_SET:-" + CERTIFICATES + "}"}),
    egress(),
    egress(queue=None),
    egress(queue={"max_bytes": "1GiB"}),
    {"kind": "io.statefun.endpoints.v2/http", "spec": {"functions": "a/b", "urlPathTemplate": "http://h/"}},
]

BAD = [
    5,
    "text",
    [],
    {},
    {"kind": "proa.v1/endpoint"},
    {"spec": {}},
    {"kind": "proa.v1/endpiont", "spec": {}},
    {"kind": "proa.v1/endpoint", "spec": None},
    {"kind": "proa.v1/endpoint", "spec": {"url": "http://h/"}},
    {"kind": "proa.v1/endpoint", "spec": {"functions": {"a/b": {}}}},
    endpoint() | {"metadata": {}},
    endpoint(retries=5),
    endpoint(functions={}),
    endpoint(functions=["a/b"]),
    endpoint(functions="a/b"),
    endpoint(functions={"a": {}}),
    endpoint(functions={"a/b*": {}}),
    endpoint(functions={"*/b": {}}),
    endpoint(functions={"a/b": {"take": "x/y"}}),
    endpoint(functions={"a/b": {"takes": "int"}}),
    endpoint(functions={"a/b": "text"}),
    endpoint(url="localhost:8000"),
    endpoint(url="ftp://h/"),
    endpoint(url="http+unix://f.sock/"),
    endpoint(url=""),
    endpoint(url=None),
    endpoint(call="2m"),
    endpoint(call={"timeuot": "2m"}),
    endpoint(call={"timeout": 2}),
    endpoint(call={"timeout": "2 min"}),
    endpoint(call={"in_flight": 0}),
    endpoint(call={"in_flight": 1025}),
    endpoint(call={"in_flight": "many"}),
    endpoint(call={"batch": 0}),
    endpoint(call={"batch": 1.5}),
    endpoint(call={"batch": -1}),
    endpoint(call={"batch_bytes": "1KB"}),
    endpoint(call={"batch_bytes": 67108865}),
    endpoint(call={"run_ahead": "yes"}),
    endpoint(call={"run_ahead": 1}),
    endpoint(retry={"factor": 0.5}),
    endpoint(retry={"factor": "2."}),
    endpoint(retry={"attempts": 0}),
    endpoint(retry={"then": "stop"}),
    endpoint(http="h2"),
    endpoint(http=2),
    endpoint(http=None),
    endpoint(url="https://h/", tls="ca.pem"),
    endpoint(url="https://h/", tls={"ca": ""}),
    endpoint(url="https://h/", tls={"ca": 5}),
    endpoint(url="https://h/", tls={"cacert": CERTIFICATES}),
    endpoint(url="https://h/", tls={"verify": "no"}),
    {"kind": "proa.v1/egress", "spec": {}},
    egress(name="out"),
    egress(name="a/*"),
    egress(nam="a/b"),
    egress(queue={"max_bytes": 1}),
    egress(queue={"max_bytes": "1 GiB"}),
]


class TestSchema(unittest.TestCase):
    """Schema, host and, where it is installed, jsonschema agree."""

    def host_takes(self, document: Any) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as module:
            module.write("---\n" + json.dumps(document))
            module.flush()
            run = subprocess.run(
                [os.environ["PROA_BINARY"], "check", module.name],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        self.assertIn(run.returncode, (0, 1), run.stderr)
        return run.returncode == 0

    def test_documents(self) -> None:
        for document in GOOD + BAD:
            with self.subTest(document=document):
                is_good = any(document is good for good in GOOD)
                self.assertEqual(fits(document, SCHEMA), is_good)
                self.assertEqual(self.host_takes(document), is_good)

    def test_the_binary_prints_it(self) -> None:
        run = subprocess.run(
            [os.environ["PROA_BINARY"], "check", "--schema"], capture_output=True, timeout=60, check=True
        )
        self.assertEqual(json.loads(run.stdout), SCHEMA)

    @unittest.skipIf(jsonschema is None, "jsonschema is not installed")
    def test_with_jsonschema(self) -> None:
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        validator = jsonschema.Draft7Validator(SCHEMA)
        for document in GOOD + BAD:
            with self.subTest(document=document):
                self.assertEqual(validator.is_valid(document), any(document is good for good in GOOD))


if __name__ == "__main__":
    unittest.main()
