"""The API of Presidio's analyzer, so that its clients can use this service.

https://microsoft.github.io/presidio/api-docs/api-docs.html
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from .answers import Answer
from .endpoints import ERROR_RESPONSES, annotate_texts, catalogue_of, require_answers
from .error_responses import RefusalError, listing, reply
from .forms import name_ignored
from .schemas import AnalyzeRequest, AnalyzerResult

analyze_router = APIRouter()
# Presidio's mapping of spaCy's labels; labels that are not here stay as they are.
TYPES = {
    "PER": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "ORG": "ORGANIZATION",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
    "NORP": "NRP",
}


@analyze_router.post(
    "/analyze",
    response_model=list[AnalyzerResult] | list[list[AnalyzerResult]],
    responses={
        400: ERROR_RESPONSES[404] | {"description": "No model of that language, or an unknown entity"},
        **ERROR_RESPONSES,
    },
    summary="Like Presidio's analyzer",
)
async def analyze(body: AnalyzeRequest, request: Request) -> Response:
    """Find the entities of a text, or of several, with the first model of a language."""
    catalogue = catalogue_of(request)
    runner = catalogue.find_by_language(body.language)
    labels = catalogue.facts[runner.name]["labels"]
    wanted = None if body.entities is None else _known(body.entities, labels)
    texts = [body.text] if isinstance(body.text, str) else body.text
    answers = require_answers(await annotate_texts(runner, texts, request))
    found = [_results(answer, wanted, body.score_threshold or 0.0, runner.settings.default_score) for answer in answers]
    return reply(found[0] if isinstance(body.text, str) else found, headers=name_ignored(body.ignored()))


def _known(entities: list[str], labels: list[str]) -> set[str]:
    """RETURNS (set[str]): The requested entity types. RAISES: RefusalError where the model knows none of them."""
    known = {*labels, *(TYPES.get(label, label) for label in labels)}
    wanted = set(entities)
    if known and not wanted & known:
        raise RefusalError(
            400, f"entities: found {listing(entities)}, expected some of {listing(sorted(known))}", "entities"
        )
    return wanted


def _results(found: Answer, wanted: set[str] | None, threshold: float, default: float) -> list[dict[str, Any]]:
    results = []
    for ent in found.entities:
        score = default if ent.confidence is None else ent.confidence
        kind = TYPES.get(ent.label, ent.label)
        if score >= threshold and (wanted is None or wanted & {kind, ent.label}):
            results.append({"entity_type": kind, "start": ent.start, "end": ent.end, "score": score})
    return results
