"""Binary annotation: the answers about one text become one partial annotation."""

from collections import defaultdict

from spacy_bert_ner.data.notes import Notes

from .annotated import Draft, DraftSpan

_LEFT_OUT = "{n} texts have rejected suggestions only, which teach nothing: left out"

CONTRADICTED = "{n} suggestions were accepted and rejected, so that their tokens count as unknown:"
CONFLICTS = "{n} pairs of accepted suggestions exclude each other, so that their tokens count as unknown:"
REFUTED = "{n} texts have accepted suggestions only that were contradicted: left out"


def merge_answers(drafts: list[Draft], notes: Notes) -> list[Draft]:
    """Merge the answers about each text: accepted spans are entities, everything else is unannotated.

    A rejected span may be part of an entity, or one of another type: it annotates nothing. Texts are compared
    themselves, not by their `_input_hash`, which an edited task keeps.

    drafts (list[Draft]): Drafts whose text is chosen.
    notes (Notes): Receives what is merged, left out, or contradictory.
    RETURNS (list[Draft]): Complete annotations, and one draft for each text with answers, at its first place.
    """
    answers: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        if draft.answer is not None:
            answers[_text(draft)].append(draft)
    if not answers:
        return drafts
    notes.count(
        "{n} answers to single suggestions (Prodigy's binary interface) were read", sum(map(len, answers.values()))
    )
    notes.count("{n} texts have them: what nobody accepted is unknown there, not outside", len(answers))
    merged: list[Draft] = []
    for draft in drafts:
        group = [draft] if draft.answer is None else answers.pop(_text(draft), None)
        if group is not None:
            merged += [draft] if draft.answer is None else _merge(group, notes)
    return merged


def _text(draft: Draft) -> str:
    return next(iter(draft.texts.values())).text


def _merge(group: list[Draft], notes: Notes) -> list[Draft]:
    rejected = {_key(span) for draft in group if draft.answer == "reject" for span in draft.spans}
    accepted = []
    for draft in group:
        for span in draft.spans if draft.answer == "accept" else []:
            if _key(span) in rejected:
                notes.place(CONTRADICTED, _place(draft.where, span))
            else:
                accepted.append((draft.where, span))
    spans = _without_conflicts(accepted, notes)
    if not spans:
        notes.count(REFUTED if accepted else _LEFT_OUT)
        return []
    first = group[0]
    return [Draft(first.where, first.texts, spans, answer="accept")]


def _without_conflicts(accepted: list[tuple[str, DraftSpan]], notes: Notes) -> list[DraftSpan]:
    """Leave out accepted suggestions that overlap with another, or have the same span and another type."""
    unique = {_key(span): (where, span) for where, span in reversed(accepted)}
    placed = [
        (span.start, span.end, where, span)
        for where, span in reversed(unique.values())
        if span.start is not None and span.end is not None
    ]
    placed.sort(key=lambda item: item[:2])
    conflicting = set()
    for i, (_, end, where, left) in enumerate(placed):
        for start, _, other, right in placed[i + 1 :]:
            if start >= end:
                break
            conflicting |= {_key(left), _key(right)}
            notes.place(CONFLICTS, f"{_place(where, left)}; {_place(other, right)}")
    return [span for _, span in accepted if _key(span) not in conflicting]


def _place(where: str, span: DraftSpan) -> str:
    return f"{where}: {span.label}, {span.start} to {span.end}"


def _key(span: DraftSpan) -> tuple[int | None, int | None, str]:
    return span.start, span.end, span.label
