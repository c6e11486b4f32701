"""Requests drawn from the API's own OpenAPI document: such as it asks for, and such as it does not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.gateway.bodies import Problem
from tests.serving.gateway.stage import bearer

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_IDS = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffd"), min_size=1, max_size=200)
_KEYS = st.sampled_from([bearer("bot"), bearer("desk"), bearer("prometheus"), {"Authorization": ""}])
_TYPES = st.sampled_from(["application/json"] * 8 + ["text/plain", "application/xml", ""])


@dataclass(frozen=True)
class Request:
    """One request to a path of the document."""

    method: str
    path: str
    content: bytes
    headers: Mapping[str, str]


def requests(document: Mapping[str, Any]) -> st.SearchStrategy[Request]:
    """Return requests to every path of ``document``: half of the bodies are as it says, the others nearly or not."""
    found = []
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            body = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            found.append(_requests(document, method.upper(), path, body))
    return st.one_of(found)


@st.composite
def _requests(draw: st.DrawFn, document: Mapping[str, Any], method: str, path: str, body: Any) -> Request:
    headers = {"Content-Type": draw(_TYPES), **draw(_KEYS)}
    names = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=210)
    if draw(st.booleans()):
        headers["Idempotency-Key"] = draw(names)
    content = b""
    if body is not None:
        sent = draw(values(body, document))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            sent = draw(ANY_JSON)
        elif kind == 1 and isinstance(sent, dict):
            sent = {**sent, draw(st.sampled_from([*sent, "unknown"])): draw(ANY_JSON)}
        elif kind == 2 and isinstance(sent, dict) and sent:
            absent = draw(st.sampled_from(sorted(sent)))
            sent = {name: value for name, value in sent.items() if name != absent}
        content = json.dumps(sent).encode()
        if kind == 3:
            content = draw(st.binary(max_size=40)) + content[: draw(st.integers(0, len(content)))]
    return Request(method, path, content, headers)


def values(schema: Mapping[str, Any], document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of a JSON schema, as far as FastAPI's documents use them."""
    if "$ref" in schema:
        return values(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        return st.one_of([values(one, document) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "object":
        fields = {name: values(one, document) for name, one in schema.get("properties", {}).items()}
        required = set(schema.get("required", ()))
        optional = {name: one for name, one in fields.items() if name not in required}
        return st.fixed_dictionaries({name: fields[name] for name in required}, optional=optional)
    if kind == "array":
        items = values(schema.get("items", {}), document)
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=min(4, schema.get("maxItems", 4)))
    return _single(schema, kind)


def _single(schema: Mapping[str, Any], kind: str | None) -> st.SearchStrategy[Any]:
    if kind == "string" and schema.get("format") == "date-time":
        return st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)  # noqa: DTZ001
    if kind == "string":
        return _IDS if "pattern" in schema else st.text(max_size=min(300, schema.get("maxLength", 300)))
    if kind == "integer":
        return st.integers(schema.get("minimum", -(10**6)), schema.get("maximum", 10**6))
    if kind == "number":
        return st.floats(schema.get("minimum", -1e6), schema.get("maximum", 1e6), allow_nan=False)
    return {"boolean": st.booleans(), "null": st.none()}.get(str(kind), ANY_JSON)


def find_fault(client: TestClient, request: Request, document: Mapping[str, Any]) -> str:
    """Send ``request`` and return what is wrong with the answer, "" where nothing is."""
    answered = client.request(request.method, request.path, content=request.content, headers=dict(request.headers))
    documented = document["paths"][request.path][request.method.lower()]["responses"]
    status = str(answered.status_code)
    if answered.status_code >= 500 and request.path != "/ready":
        return f"{request.method} {request.path} answered {status}"
    if status not in documented:
        return f"{request.method} {request.path} answered {status}, which the document does not name"
    if status != "200" and request.path != "/ready" and answered.json().keys() != set(Problem.model_fields):
        return f"{request.method} {request.path} refused in another form than Problem's"
    return ""
