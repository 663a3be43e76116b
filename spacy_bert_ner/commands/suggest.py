"""`suggest`: which texts to annotate next, with the model's entities marked."""

from pathlib import Path
from typing import Annotated, Literal

from wasabi import msg

from .arguments import check_corpus, load_pipeline, read_examples, set_up
from .calibrate import find_component
from .options import Arg, Code, GpuId, Opt, TrainingCorpus
from .wrapping import CommandError, explained


def suggest_cli(
    model: Annotated[str, Arg(help="Folder or package name of the trained pipeline")],
    inputs: Annotated[list[str], Arg(help="Files (.jsonl .parquet .csv .tsv .txt .spacy), folders, globs, or -")],
    output: Annotated[Path, Arg(help="Folder for the suggestions", file_okay=False)],
    by: Annotated[
        Literal["uncertainty", "diversity", "both"],
        Opt("--by", help="What counts: doubts per word, being unlike the others, or both"),
    ] = "both",
    count: Annotated[int, Opt("--count", help="How many texts to suggest", min=1)] = 100,
    train: TrainingCorpus = None,
    text_field: Annotated[str, Opt("--text-field", help="The input's field or column with the text")] = "text",
    id_field: Annotated[
        str | None, Opt("--id-field", help="The one with the id; by default id, if it is there")
    ] = None,
    text_files: Annotated[str, Opt("--text-files", help=".txt: lines for a document per line, or documents")] = "lines",
    component: Annotated[str | None, Opt("--component", help="Its bert_ner, where it has several")] = None,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Suggest which texts to annotate next: those that the model is unsure of, nearly equal ones once."""
    from spacy_bert_ner.annotating.annotation_error import AnnotationError

    check_corpus(train)
    set_up(code, gpu_id)
    from spacy_bert_ner.ner.lengths import lift_max_length
    from spacy_bert_ner.suggesting.selection import choose_texts_to_annotate
    from spacy_bert_ner.suggesting.suggestion_run import leave_out_known, read_texts, write_suggestions
    from spacy_bert_ner.suggesting.text_doubts import judge_texts

    try:
        found = read_texts(inputs, output, text_field=text_field, id_field=id_field, text_files=text_files)
    except AnnotationError as error:
        raise CommandError("There is nothing to suggest", str(error)) from error
    for name in found.ignored:
        msg.warn(f"{name} was not read: no reader knows its kind")
    if found.failed:
        msg.warn(f"{len(found.failed):,} records hold no text", "\n".join(found.failed[:10]))
    if found.repeated:
        msg.info(f"{found.repeated:,} texts are equal to an earlier one")
    nlp = load_pipeline(model)
    lift_max_length(nlp)
    chosen_component = find_component(nlp, model, component)
    with explained(f"{model} cannot judge the texts"):
        known = [example.predicted for example in read_examples(train, nlp)] if train else []
        texts = leave_out_known(found.texts, (doc.text for doc in known))
        judged = list(judge_texts(nlp, chosen_component, (nlp.make_doc(each.text) for each in texts)))
        chosen = choose_texts_to_annotate(judged, count, by, list(judge_texts(nlp, chosen_component, known)))
    if len(texts) < len(found.texts):
        msg.info(f"{len(found.texts) - len(texts):,} texts are in {train} already")
    if not chosen:
        raise CommandError("There is nothing to suggest", "The model is sure of every text, or all are like --train")
    written = write_suggestions(nlp, chosen_component, texts, judged, chosen, output)
    words = sum(judged[i].words for i in chosen)
    msg.info(f"{len(chosen):,} of {len(found.texts):,} texts, {words:,} words")
    if len(chosen) < count:
        msg.warn(f"Fewer than --count {count}: the others are nearly equal to these, or the model is sure of them")
    msg.good(f"Written: {', '.join(str(path) for path in written)}")
