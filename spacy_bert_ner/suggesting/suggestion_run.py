"""From texts to the files of what to annotate next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language

from spacy_bert_ner.annotating.annotation_error import AnnotationError
from spacy_bert_ner.annotating.conversion import RecordError, get_text
from spacy_bert_ner.annotating.inputs import find_sources
from spacy_bert_ner.annotating.output_options import ID, OutputOptions
from spacy_bert_ner.annotating.readers import check_sources, read_sources
from spacy_bert_ner.data.exports.tasks import AnnotationTask, write_tasks
from spacy_bert_ner.storage.files import write_atomically

from .selection import weigh_types
from .text_doubts import TextDoubts

SUGGESTIONS = "suggestions.jsonl"
_DIGITS = 6


@dataclass(frozen=True)
class FoundText:
    """A text that could be annotated.

    id (Any): Its id, or else its place.
    text (str): The text.
    """

    id: Any
    text: str


@dataclass(frozen=True)
class FoundTexts:
    """The texts of an input.

    texts (list[FoundText]): Each text once.
    repeated (int): How many more there were that are equal to an earlier one.
    ignored (tuple[str, ...]): Files in named folders whose kind no reader knows.
    failed (list[str]): Records that hold no text: place and reason.
    """

    texts: list[FoundText]
    repeated: int
    ignored: tuple[str, ...]
    failed: list[str]


def read_texts(
    inputs: Sequence[str], output: Path, *, text_field: str, id_field: str | None, text_files: str
) -> FoundTexts:
    """Read all texts of an input.

    inputs (Sequence[str]): Files, folders and globs, as `annotate` takes them.
    output (Path): The folder that is written, never input.
    text_field, id_field, text_files: See OutputOptions.
    RETURNS (FoundTexts): The texts, in order.
    RAISES: AnnotationError where a file cannot be read at all, or there is no text.
    """
    # Fields that it would clash with are not written.
    options = OutputOptions(
        text_field=text_field, id_field=id_field, text_files=text_files, entities_field=f"{text_field} (entities)"
    )
    found = find_sources(inputs, options.stdin_format, [output])
    check_sources(found.sources, options)
    seen: set[str] = set()
    texts: list[FoundText] = []
    failed: list[str] = []
    repeated = 0
    for record, _ in read_sources(found.sources, options):
        try:
            text = get_text(record, options)
        except RecordError as error:
            failed.append(f"{record.place}: {error}")
            continue
        if text in seen:
            repeated += 1
            continue
        seen.add(text)
        texts.append(FoundText(record.fields.get(id_field or ID, record.place), text))
    if not texts:
        reason = failed[0] if failed else f"found nothing in {', '.join(inputs)}"
        raise AnnotationError(f"There is no text to choose from: {reason}")
    return FoundTexts(texts, repeated, found.ignored, failed)


def leave_out_known(texts: Sequence[FoundText], known: Iterable[str]) -> list[FoundText]:
    """Leave out what is annotated already: by its words, as corpora may have lost its white space.

    texts (Sequence[FoundText]): The texts.
    known (Iterable[str]): Texts that are annotated.
    RETURNS (list[FoundText]): The others, in order.
    """
    ours = {"".join(text.split()) for text in known}
    return [each for each in texts if "".join(each.text.split()) not in ours]


def write_suggestions(
    nlp: Language,
    name: str,
    texts: Sequence[FoundText],
    judged: Sequence[TextDoubts],
    chosen: Sequence[int],
    output: Path,
) -> list[Path]:
    """Write the chosen texts, the most valuable first: as lines, and as tasks for annotation tools.

    nlp (Language): The pipeline that judged them.
    name (str): Its `bert_ner` component.
    texts (Sequence[FoundText]), judged (Sequence[TextDoubts]): All texts, and what it says of them.
    chosen (Sequence[int]): Indices of those to write.
    output (Path): The folder.
    RETURNS (list[Path]): The files.
    """
    labels = nlp.get_pipe(name).labels  # type: ignore[attr-defined]
    weights = weigh_types(judged)
    source = f"{nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}"
    tasks, lines = [], []
    for rank, i in enumerate(chosen, start=1):
        doubts = judged[i].entropy * weights / max(1, judged[i].words)
        by_type = {
            label: round(float(value), _DIGITS)
            for label, value in sorted(zip(labels, doubts, strict=True), key=lambda pair: -pair[1])
            if round(float(value), _DIGITS)
        }
        meta = {"rank": rank, "source": texts[i].id, "doubt": round(float(doubts.sum()), _DIGITS), "types": by_type}
        tasks.append(
            AnnotationTask(texts[i].text, None, judged[i].entities, source, meta, _cut(nlp, texts[i].text, judged[i]))
        )
        spans = [span._asdict() for span in judged[i].entities]
        lines.append({**meta, "words": judged[i].words, "text": texts[i].text, "entities": spans})
    content = "".join(srsly.json_dumps(line) + "\n" for line in lines)
    write_atomically(output / SUGGESTIONS, content.encode("utf8"))
    return [output / SUGGESTIONS, *write_tasks(tasks, output)]


def _cut(nlp: Language, text: str, judged: TextDoubts) -> tuple[tuple[int, int], ...]:
    """RETURNS (tuple): First character and end of every token; none where a component has split one that counts."""
    cuts = tuple((token.idx, token.idx + len(token)) for token in nlp.make_doc(text))
    starts, ends = {start for start, _ in cuts}, {end for _, end in cuts}
    return cuts if all(span.start in starts and span.end in ends for span in judged.entities) else ()
