"""Entities of one text that overlap."""

from .annotated import CharSpan


def overlaps(where: str, text: str, spans: list[CharSpan]) -> list[str]:
    """Find overlaps.

    where (str): The text's place.
    spans (list[CharSpan]): Sorted.
    RETURNS (list[str]): A message for each pair that shares a character.
    """
    faults = []
    for i, left in enumerate(spans):
        for right in spans[i + 1 :]:
            if right.start >= left.end:
                break
            faults.append(
                f"{where}: the entities {_quote(text, left)} and {_quote(text, right)} overlap; a token can be in one "
                "entity only: remove one of them"
            )
    return faults


def _quote(text: str, span: CharSpan) -> str:
    return f"{text[span.start : span.end]!r} ({span.label}, {span.start} to {span.end})"
