"""Endpoints of the service's own schema: entities, models, health, metrics."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from .answers import Answer, Failure, FoundEntity
from .batching import ModelRunner
from .error_responses import RefusalError, listing, reply
from .offsets import OffsetConverter
from .schemas import EntitiesRequest, EntitiesResponse, ModelsResponse, Problem
from .served import Catalogue

entities_router = APIRouter()
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        401: "The API key is missing or wrong",
        404: "There is no model of that name",
        408: "The request was sent too slowly",
        413: "Too much in one request",
        422: "The body does not match the schema, or the pipeline fails on its only text",
        503: "Too much is in the queue: see the header Retry-After",
        504: "The deadline passed",
    }.items()
}


def catalogue_of(request: Request) -> Catalogue:
    """RETURNS (Catalogue): The models of the app that a request came to."""
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


async def annotate_texts(runner: ModelRunner, texts: Sequence[str], request: Request) -> list[Answer | Failure]:
    """Find the entities of a request's texts.

    request (Request): Keeps the texts for the log.
    RETURNS (list[Answer | Failure]): One for each text.
    RAISES: RefusalError where there are too many texts; see also ModelRunner.annotate.
    """
    max_texts = runner.settings.max_texts
    if len(texts) > max_texts:
        message = f"Found {len(texts)} texts, expected at most {max_texts} a request (--max-texts): send fewer at once"
        raise RefusalError(413, message, "size")
    request.state.texts = texts
    return await runner.annotate(texts)


def require_answers(answers: Sequence[Answer | Failure]) -> list[Answer]:
    """RETURNS (list[Answer]): The answers, for a schema that cannot represent a failed text.

    RAISES: RefusalError where one did.
    """
    for i, answer in enumerate(answers):
        if isinstance(answer, Failure):
            raise RefusalError(422, answer.error if len(answers) == 1 else f"text {i}: {answer.error}", "text")
    return [answer for answer in answers if isinstance(answer, Answer)]


@entities_router.post(
    "/v1/entities", response_model=EntitiesResponse, responses=ERROR_RESPONSES, summary="Find entities"
)
async def entities(body: EntitiesRequest, request: Request) -> Response:
    """Find the entities of one or several texts."""
    catalogue = catalogue_of(request)
    runner = catalogue.find(body.model)
    texts = body.texts if body.texts is not None else [body.text or ""]
    answers = await annotate_texts(runner, texts, request)
    if body.texts is None:
        require_answers(answers)
    results = [_result(text, answer, body) for text, answer in zip(texts, answers, strict=True)]
    warnings = _warnings(body, catalogue.facts[runner.name]["labels"], answers)
    return reply({"model": runner.name, "results": results, "warnings": warnings})


def _result(text: str, answer: Answer | Failure, body: EntitiesRequest) -> dict[str, Any]:
    if isinstance(answer, Failure):
        return {"entities": None, "error": answer.error}
    convert = OffsetConverter(text, utf16=body.offsets == "utf16")
    kept = [ent for ent in answer.entities if body.labels is None or ent.label in body.labels]
    kept = [ent for ent in kept if ent.confidence is None or ent.confidence >= body.min_confidence]
    return {"entities": [_entity(text, ent, convert) for ent in kept], "error": None}


def _entity(text: str, ent: FoundEntity, convert: OffsetConverter) -> dict[str, Any]:
    return {
        "start": convert(ent.start),
        "end": convert(ent.end),
        "label": ent.label,
        "text": text[ent.start : ent.end],
        "confidence": ent.confidence,
        "runner_up": ent.runner_up and ent.runner_up._asdict(),
    }


def _warnings(body: EntitiesRequest, known: Sequence[str], answers: Sequence[Answer | Failure]) -> list[str]:
    found = [ent for answer in answers if isinstance(answer, Answer) for ent in answer.entities]
    warnings = []
    # A component may set labels that it does not declare.
    unknown = sorted(set(body.labels or ()) - set(known) - {ent.label for ent in found})
    if unknown:
        warnings.append(f"labels: the model knows no {listing(unknown)}; it knows {listing(known)}")
    without = sum(ent.confidence is None for ent in found)
    if body.min_confidence and without:
        warnings.append(f"min_confidence: the model gives {without} of {len(found)} entities no confidence; they stay")
    return warnings


@entities_router.get(
    "/v1/models", response_model=ModelsResponse, responses={401: ERROR_RESPONSES[401]}, summary="List the models"
)
async def models(request: Request) -> Response:
    """Describe the models: labels, scores, versions, calibration."""
    return reply({"models": list(catalogue_of(request).facts.values())})


@entities_router.get("/healthz", summary="Is it alive?")
async def healthz() -> Response:
    """Liveness probe: the process answers."""
    return reply({"status": "alive"})


@entities_router.get("/readyz", responses={503: {"model": Problem}}, summary="Would it answer?")
async def readyz(request: Request) -> Response:
    """Readiness probe: every model accepts requests."""
    if all(runner.is_ready for runner in catalogue_of(request)):
        return reply({"status": "ready"})
    raise RefusalError(503, "Not ready: a model is stopping", "stopping", Retry_After="1")


@entities_router.get("/metrics", summary="Metrics for Prometheus")
async def metrics(request: Request) -> Response:
    """Export the metrics in Prometheus's text format."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
