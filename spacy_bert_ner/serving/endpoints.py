"""Endpoints of our own form: entities, models, health, metrics."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from .answers import Answer, Entity, Failure
from .batching import Room
from .error_responses import RefusalError, listing, reply
from .offsets import Counter
from .schemas import EntitiesRequest, EntitiesResponse, ModelsResponse, Problem
from .served import Catalogue

router = APIRouter()
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": said}
    for status, said in {
        401: "The API key is missing or wrong",
        404: "There is no model of that name",
        408: "The request was sent too slowly",
        413: "Too much in one request",
        422: "The body is not as described, or the pipeline fails on its only text",
        503: "Too much is in the queue: see the header Retry-After",
        504: "It took too long",
    }.items()
}


def catalogue_of(request: Request) -> Catalogue:
    """RETURNS (Catalogue): The models of the app that a request came to."""
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


async def read_all(room: Room, texts: Sequence[str], request: Request) -> list[Answer | Failure]:
    """Find the entities of a request's texts.

    room (Room): The model.
    texts (Sequence[str]): The texts.
    request (Request): The request, for the log.
    RETURNS (list[Answer | Failure]): For each text what was found.
    RAISES: RefusalError where there are too many texts; see also Room.read.
    """
    most = room.settings.max_texts
    if len(texts) > most:
        message = f"Found {len(texts)} texts, expected at most {most} a request (--max-texts): send fewer at once"
        raise RefusalError(413, message, "size")
    request.state.texts = texts
    return await room.read(texts)


def read_or_refuse(answers: Sequence[Answer | Failure]) -> list[Answer]:
    """RETURNS (list[Answer]): The answers, for a form that cannot say that one text failed.

    RAISES: RefusalError where one did.
    """
    for i, answer in enumerate(answers):
        if isinstance(answer, Failure):
            raise RefusalError(422, answer.error if len(answers) == 1 else f"text {i}: {answer.error}", "text")
    return [answer for answer in answers if isinstance(answer, Answer)]


@router.post("/v1/entities", response_model=EntitiesResponse, responses=ERRORS, summary="Find entities")
async def entities(body: EntitiesRequest, request: Request) -> Response:
    """Find the entities of one or several texts."""
    catalogue = catalogue_of(request)
    room = catalogue.find(body.model)
    texts = body.texts if body.texts is not None else [body.text or ""]
    answers = await read_all(room, texts, request)
    if body.texts is None:
        read_or_refuse(answers)
    results = [_result(text, answer, body) for text, answer in zip(texts, answers, strict=True)]
    warnings = _warnings(body, catalogue.facts[room.name]["labels"], answers)
    return reply({"model": room.name, "results": results, "warnings": warnings})


def _result(text: str, answer: Answer | Failure, body: EntitiesRequest) -> dict[str, Any]:
    if isinstance(answer, Failure):
        return {"entities": None, "error": answer.error}
    count = Counter(text, utf16=body.offsets == "utf16")
    kept = [ent for ent in answer.entities if body.labels is None or ent.label in body.labels]
    kept = [ent for ent in kept if ent.confidence is None or ent.confidence >= body.min_confidence]
    return {"entities": [_entity(text, ent, count) for ent in kept], "error": None}


def _entity(text: str, ent: Entity, count: Counter) -> dict[str, Any]:
    return {
        "start": count(ent.start),
        "end": count(ent.end),
        "label": ent.label,
        "text": text[ent.start : ent.end],
        "confidence": ent.confidence,
        "runner_up": ent.runner_up and ent.runner_up._asdict(),
    }


def _warnings(body: EntitiesRequest, known: Sequence[str], answers: Sequence[Answer | Failure]) -> list[str]:
    found = [ent for answer in answers if isinstance(answer, Answer) for ent in answer.entities]
    said = []
    # A component may set labels that it does not declare.
    unknown = sorted(set(body.labels or ()) - set(known) - {ent.label for ent in found})
    if unknown:
        said.append(f"labels: the model knows no {listing(unknown)}; it knows {listing(known)}")
    without = sum(ent.confidence is None for ent in found)
    if body.min_confidence and without:
        said.append(f"min_confidence: the model gives {without} of {len(found)} entities no confidence; they stay")
    return said


@router.get("/v1/models", response_model=ModelsResponse, responses={401: ERRORS[401]}, summary="List the models")
async def models(request: Request) -> Response:
    """Say what is known of the models: labels, scores, versions, calibration."""
    return reply({"models": list(catalogue_of(request).facts.values())})


@router.get("/healthz", summary="Is it alive?")
async def healthz() -> Response:
    """Say that the process answers."""
    return reply({"status": "alive"})


@router.get("/readyz", responses={503: {"model": Problem}}, summary="Would it answer?")
async def readyz(request: Request) -> Response:
    """Say whether every model would take a request."""
    if all(room.is_ready for room in catalogue_of(request)):
        return reply({"status": "ready"})
    raise RefusalError(503, "Not ready: a model is stopping", "stopping", Retry_After="1")


@router.get("/metrics", summary="Figures for Prometheus")
async def metrics(request: Request) -> Response:
    """Show the figures in Prometheus's text format."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
