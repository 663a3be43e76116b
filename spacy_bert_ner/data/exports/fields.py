"""Choice of the field that holds a record's text: the one that matches the spans' own text."""

from collections import Counter, defaultdict

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes

from .annotated import Draft
from .placing import count_fitting, fit
from .references import is_reference, may_be_reference
from .visible import Visible

USUAL_FIELD = "text"


def choose_texts(drafts: list[Draft], notes: Notes) -> list[Draft]:
    """Choose the text of each draft.

    drafts (list[Draft]): All of a file.
    notes (Notes): Receives the chosen field where there are several.
    RETURNS (list[Draft]): The same with one text each; a record without spans gives one for each field that others use.
    RAISES: CorpusError where the field is ambiguous, or the text is the name of a file.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    voted = {id(draft): _vote(draft) for draft in drafts if len(draft.texts) > 1}
    for draft in drafts:
        if name := voted.get(id(draft)):
            votes[draft.field][name] += 1
    chosen: list[Draft] = []
    for draft in drafts:
        name = voted.get(id(draft))
        names = [name] if name else _usual(draft, votes)
        for name in names:
            if len(draft.texts) > 1:
                notes.count(f"{{n}} texts were read from the field {name!r}")
            chosen.append(_with_text(draft, name))
    _refuse_references(chosen)
    return chosen


def _vote(draft: Draft) -> str | None:
    """RETURNS (str | None): The field that most spans fit; None where none fits, or several fit equally."""
    quoting = [span for span in draft.spans if span.quoted]
    if not quoting:
        return None
    scores = {
        name: count_fitting(fit(visible, quoting).readings[0], quoting, visible.text)
        for name, visible in draft.texts.items()
    }
    best = [name for name, score in scores.items() if score and score == max(scores.values())]
    return USUAL_FIELD if USUAL_FIELD in best else best[0] if len(best) == 1 else None


def _usual(draft: Draft, votes: dict[str, Counter[str]]) -> list[str]:
    """Fall back on the only field, on the field of the file's other records, on the usual name."""
    if len(draft.texts) == 1:
        return list(draft.texts)
    own = votes.get(draft.field) or (sum(votes.values(), Counter()) if not draft.spans else None)
    if own:
        names = [name for name in own if name in draft.texts]
        if draft.spans or not draft.field:
            names = names[:1] if draft.spans else names
        if names:
            return names
    if USUAL_FIELD in draft.texts:
        return [USUAL_FIELD]
    raise CorpusError(
        f"{draft.where}: nothing tells which of the fields is the text: {', '.join(map(repr, draft.texts))}; expected "
        f"spans that carry their own text, or a field called {USUAL_FIELD!r}: rename the one that was annotated"
    )


def _with_text(draft: Draft, name: str) -> Draft:
    texts = {name: draft.texts[name]}
    return Draft(draft.where, texts, draft.spans, draft.field, draft.answer, draft.counts_utf16)


def _refuse_references(drafts: list[Draft]) -> None:
    """RAISES: CorpusError where a text is the name of a file."""
    texts = [
        (draft, visible) for draft in drafts for visible in draft.texts.values() if not _is_annotated(draft, visible)
    ]
    everywhere = len(texts) == len(drafts) and all(may_be_reference(visible) for _, visible in texts)
    for draft, visible in texts:
        if is_reference(visible) or everywhere:
            raise CorpusError(
                f"{draft.where}: the text is {visible.text[:100]!r}: the export holds a reference to the text, not the "
                "text itself; put the file's content in its place, or import the texts themselves into the tool (in "
                "Label Studio tasks with the text in a field, not uploaded files) and export again"
            )


def _is_annotated(draft: Draft, visible: Visible) -> bool:
    """RETURNS (bool): Whether the spans match the text, so that it is not a reference."""
    whole = any((span.start, span.end) == (0, len(visible.text)) for span in draft.spans)
    quoting = [span for span in draft.spans if span.quoted]
    return whole or (bool(quoting) and count_fitting(fit(visible, quoting).readings[0], quoting, visible.text) > 0)
