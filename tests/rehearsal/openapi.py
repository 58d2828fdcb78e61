"""GitHub's own description of its REST API (@octokit/openapi), as something to hold replies against."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, FormatChecker
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

Json = dict[str, Any]
FILE = "@octokit/openapi/generated/api.github.com.json"
URN = "urn:github"
NOT_A_SCHEMA = {"$ref", "definitions", "$schema", "id"}

formats = FormatChecker(formats=())


@formats.checks("date-time")
def is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value))


@formats.checks("uri")
def is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.match(r"(https?|git)://\S+$", value))


def nullable(rule: Any) -> Any:
    """Yield a keyword's rule that leaves None alone where OpenAPI 3.0 says `nullable`."""

    def check(validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if instance is None and schema.get("nullable"):
            return
        yield from rule(validator, value, instance, schema) or ()

    return check


OpenApiValidator = extend(  # type: ignore[no-untyped-call] # jsonschema has no types here
    Draft4Validator,
    {name: nullable(rule) for name, rule in Draft4Validator.VALIDATORS.items() if name not in NOT_A_SCHEMA},
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the description, and where in it it stands."""

    pointer: str
    document: Json

    @property
    def id(self) -> str:
        return str(self.document["operationId"])


class Description:
    """All operations of the API."""

    def __init__(self, modules: Path) -> None:
        self._document: Json = json.loads((modules / FILE).read_text(encoding="utf-8"))
        resource = Resource.from_contents(self._document, default_specification=DRAFT4)
        self._registry: Registry[Any] = Registry().with_resource(URN, resource)
        # The path with the fewest parameters wins: /releases/latest before /releases/{release_id}.
        self._paths = sorted(self._document["paths"], key=lambda path: (path.count("{"), path))

    def operation(self, method: str, path: str) -> Operation:
        """Return the operation of a request; refs and workflow files may hold slashes."""
        for template in self._paths:
            pattern = re.sub(r"\{(\w+)\}", lambda m: "(.+)" if m[1] == "ref" else "([^/]+)", template)
            if method.lower() in self._document["paths"][template] and re.fullmatch(pattern, path):
                pointer = f"/paths/{escaped(template)}/{method.lower()}"
                return Operation(pointer=pointer, document=self._document["paths"][template][method.lower()])
        raise LookupError(f"{method} {path} is no operation of GitHub's")

    def request_faults(self, operation: Operation, body: object, query: Mapping[str, str]) -> list[str]:
        """Return what GitHub's description says against a request."""
        known = {self._resolved(p)["name"] for p in operation.document.get("parameters", ())}
        faults = [f"{operation.id}: unknown parameter {name}" for name in query if name not in known]
        if body is None:
            return faults
        return faults + self._faults(f"{operation.pointer}/requestBody/content/application~1json/schema", body)

    def reply_faults(self, operation: Operation, status: int, reply: object) -> list[str]:
        """Return what GitHub's description says against a reply."""
        if str(status) not in operation.document["responses"]:
            return [f"{operation.id}: no reply of status {status} is described"]
        pointer = f"{operation.pointer}/responses/{status}"
        content = self._resolved(operation.document["responses"][str(status)]).get("content")
        if content is None:
            return []
        if "$ref" in operation.document["responses"][str(status)]:
            pointer = operation.document["responses"][str(status)]["$ref"].removeprefix("#")
        faults = self._faults(f"{pointer}/content/application~1json/schema", reply)
        # GitHub's errors carry a `status` that its own description does not always name.
        return [fault for fault in faults if status < 400 or fault != "status: GitHub has no such field"]

    def _faults(self, pointer: str, instance: object) -> list[str]:
        schema = {"$ref": f"{URN}#{pointer}"}
        validator = OpenApiValidator(schema, registry=self._registry, format_checker=formats)
        faults = [
            f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(instance)
        ]
        return faults + [f"{name}: GitHub has no such field" for name in self._unknown(pointer, instance)]

    def _unknown(self, pointer: str, instance: object) -> list[str]:
        schema = self._registry.resolver(URN).lookup(f"#{pointer}").contents
        while "$ref" in schema:
            schema = self._resolved(schema)
        if not isinstance(instance, dict) or "properties" not in schema:
            return []
        return [name for name in instance if name not in schema["properties"]]

    def _resolved(self, node: Json) -> Json:
        return self._registry.resolver(URN).lookup(node["$ref"]).contents if "$ref" in node else node


def escaped(part: str) -> str:
    """Return a part of a JSON pointer (RFC 6901); braces are not allowed in a URI's fragment."""
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
