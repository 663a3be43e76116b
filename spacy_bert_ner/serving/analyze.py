"""The form of Presidio's analyzer, so that its clients can ask this service.

https://microsoft.github.io/presidio/api-docs/api-docs.html
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from .answers import Answer
from .endpoints import ERRORS, catalogue_of, read_all, read_or_refuse
from .error_responses import RefusalError, listing, reply
from .forms import name_ignored
from .schemas import AnalyzeRequest, AnalyzerResult

router = APIRouter()
# As Presidio maps what spaCy finds; labels that are not here stay as they are.
TYPES = {
    "PER": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "ORG": "ORGANIZATION",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
    "NORP": "NRP",
}


@router.post(
    "/analyze",
    response_model=list[AnalyzerResult] | list[list[AnalyzerResult]],
    responses={400: ERRORS[404] | {"description": "No model of that language, or an unknown entity"}, **ERRORS},
    summary="Like Presidio's analyzer",
)
async def analyze(body: AnalyzeRequest, request: Request) -> Response:
    """Find the entities of a text, or of several, with the first model of a language."""
    catalogue = catalogue_of(request)
    room = catalogue.speaking(body.language)
    labels = catalogue.facts[room.name]["labels"]
    wanted = None if body.entities is None else _known(body.entities, labels)
    texts = [body.text] if isinstance(body.text, str) else body.text
    answers = read_or_refuse(await read_all(room, texts, request))
    found = [_results(answer, wanted, body.score_threshold or 0.0, room.settings.default_score) for answer in answers]
    return reply(found[0] if isinstance(body.text, str) else found, headers=name_ignored(body.ignored()))


def _known(entities: list[str], labels: list[str]) -> set[str]:
    """RETURNS (set[str]): The entities that were asked for. RAISES: RefusalError where the model knows none of them."""
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
