"""Error responses: `{"error": "…"}` with the right status."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

# A message quotes at most so many characters of what a client sent, and lists so many errors of a body.
QUOTED_CHARACTERS = 60
LISTED = 5
# In place of the framework's messages.
MESSAGES = {
    400: "The body is no JSON that can be read: expected an object in UTF-8, as /openapi.json describes it",
    404: "There is nothing here: the paths are in /openapi.json",
    405: "This path has no such method: the methods are in /openapi.json",
}


class RefusalError(Exception):
    """A refused request.

    status (int): HTTP status.
    message (str): What was found, what was expected, what to do.
    kind (str): Name in the metrics.
    headers (str): Further headers of the response, with underscores for hyphens.
    """

    def __init__(self, status: int, message: str, kind: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}


def reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """RETURNS (Response): JSON in ASCII, which can represent any Python string, lone surrogates included."""
    body = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(body, status, dict(headers or {}), media_type="application/json")


def shorten(value: object) -> str:
    """RETURNS (str): What a client sent, short and printable for a message."""
    text = str(value)
    return ascii(text if len(text) <= QUOTED_CHARACTERS else text[: QUOTED_CHARACTERS - 3] + "...")


def listing(names: Sequence[str]) -> str:
    """RETURNS (str): Names for a message, separated by commas."""
    shown = [shorten(name) for name in names[:20]]
    return ", ".join([*shown, *(["..."] if len(names) > len(shown) else [])]) or "none"


def describe_validation(errors: Sequence[Mapping[str, Any]]) -> str:
    """Describe what is wrong with a body, without its values.

    errors (Sequence[Mapping[str, Any]]): pydantic's.
    RETURNS (str): One sentence for each of the first few.
    """
    messages = []
    for error in errors[:LISTED]:
        if error["type"] == "json_invalid":
            messages.append(
                f"The body is no JSON at character {error['loc'][-1]}: {error.get('ctx', {}).get('error', '')}"
            )
            continue
        field = ".".join(str(part) for part in error["loc"] if part != "body")
        messages.append(f"{shorten(field)[1:-1]}: {_describe(error)}" if field else _describe(error))
    if len(errors) > LISTED:
        messages.append(f"and {len(errors) - LISTED} more")
    return "; ".join(messages)


def _describe(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "unknown field: the fields are in /openapi.json"
        case "missing":
            return "is missing: send a JSON object with content-type: application/json"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "expected a JSON object, sent with content-type: application/json"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def add_handlers(app: FastAPI) -> None:
    """Give all of an app's errors the same form."""

    # Never with the body that caused them: it may be huge, or invalid text.
    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)
        request.scope.setdefault("state", {})["refused"] = error.kind
        return reply({"error": error.message}, error.status, error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return reply({"error": describe_validation(error.errors())}, 422)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = MESSAGES.get(error.status_code, error.detail)
        return reply({"error": message}, error.status_code, error.headers)

    app.add_exception_handler(RefusalError, refuse)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
