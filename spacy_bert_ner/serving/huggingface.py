"""The API of Hugging Face's token classification, so that its clients can use this service.

https://huggingface.co/docs/inference-providers/tasks/token-classification
"""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from .answers import Answer, FoundEntity
from .endpoints import ERROR_RESPONSES, annotate_texts, catalogue_of, require_answers
from .error_responses import RefusalError, listing, reply, shorten
from .forms import name_ignored
from .schemas import HuggingFaceEntity, HuggingFaceParameters, HuggingFaceRequest

huggingface_router = APIRouter()
# An entity's tokens agree here by construction, so that all strategies but "none" give the same.
STRATEGIES = ("none", "simple", "first", "average", "max")


@huggingface_router.post(
    "/hf",
    response_model=list[HuggingFaceEntity] | list[list[HuggingFaceEntity]],
    responses=ERROR_RESPONSES,
    summary="Like Hugging Face's",
)
async def default_model(body: HuggingFaceRequest, request: Request) -> Response:
    """Find the entities of a text, or of several, with the first model."""
    return await answer(body, request, None)


@huggingface_router.post(
    "/hf/{model}",
    response_model=list[HuggingFaceEntity] | list[list[HuggingFaceEntity]],
    responses=ERROR_RESPONSES,
    summary="… by a model",
)
async def named_model(model: str, body: HuggingFaceRequest, request: Request) -> Response:
    """Find the entities of a text, or of several, with the model of that name."""
    return await answer(body, request, model)


async def answer(body: HuggingFaceRequest, request: Request, model: str | None) -> Response:
    """RETURNS (Response): A flat list for one text, a list of lists for several."""
    parameters = body.parameters or HuggingFaceParameters.model_validate({})
    strategy = parameters.aggregation_strategy or "simple"
    if strategy not in STRATEGIES:
        raise RefusalError(
            400, f"aggregation_strategy: found {shorten(strategy)}, expected one of {listing(STRATEGIES)}", "parameter"
        )
    runner = catalogue_of(request).find(model)
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    answers = require_answers(await annotate_texts(runner, texts, request))
    write = _words if strategy == "none" else _groups
    found = [
        list(write(text, each, parameters.ignore_labels or [], runner.settings.default_score))
        for text, each in zip(texts, answers, strict=True)
    ]
    ignored = [*body.ignored(), *parameters.ignored("parameters.")]
    return reply(found[0] if isinstance(body.inputs, str) else found, headers=name_ignored(ignored))


def _groups(text: str, found: Answer, leave_out: list[str], default: float) -> Iterator[dict[str, Any]]:
    for ent in found.entities:
        if ent.label not in leave_out:
            place = {"word": text[ent.start : ent.end], "start": ent.start, "end": ent.end}
            yield {"entity_group": ent.label, "score": _score(ent, default), **place}


def _words(text: str, found: Answer, leave_out: list[str], default: float) -> Iterator[dict[str, Any]]:
    for ent in found.entities:
        for i, word in enumerate(ent.words):
            label = f"{'I' if i else 'B'}-{ent.label}"
            if label not in leave_out:
                place = {"word": text[word.start : word.end], "start": word.start, "end": word.end}
                # Hugging Face counts word pieces, the first of which is [CLS].
                yield {"entity": label, "score": _score(ent, default), "index": word.number + 1, **place}


def _score(ent: FoundEntity, default: float) -> float:
    return default if ent.confidence is None else ent.confidence
