"""`annotate`: the entities of many texts, in several processes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from wasabi import msg

from .arguments import parse_workers
from .options import Arg, Code, GpuId, Opt
from .wrapping import CommandError

if TYPE_CHECKING:
    from spacy_bert_ner.annotating import AnnotationSummary


def annotate_cli(
    model: Annotated[str, Arg(help="Folder or package name of a pipeline that sets doc.ents")],
    inputs: Annotated[list[str], Arg(help="Files (.jsonl .parquet .csv .tsv .txt .spacy), folders, globs, or -")],
    output: Annotated[Path, Arg(help="Folder for shards, or a file: .jsonl .parquet .spacy")],
    workers: Annotated[str, Opt("--workers", "-n", help="Processes; auto for one per core")] = "auto",
    engine: Annotated[str, Opt("--engine", help="local, or ray for a Ray cluster")] = "local",
    ray_address: Annotated[
        str | None, Opt("--ray-address", help="The cluster's; without it one is started here")
    ] = None,
    gpu_id: GpuId = -1,
    format: Annotated[str | None, Opt("--format", "-f", help="Of the shards: jsonl, parquet or spacy")] = None,
    text_field: Annotated[str, Opt("--text-field", help="The input's field or column with the text")] = "text",
    id_field: Annotated[
        str | None, Opt("--id-field", help="The one with the id; by default id, if it is there")
    ] = None,
    fields: Annotated[
        str | None, Opt("--fields", help="The input's fields to keep, with commas; by default all")
    ] = None,
    entities_field: Annotated[str, Opt("--entities-field", help="The output's field with the entities")] = "entities",
    labels: Annotated[str | None, Opt("--labels", help="Entity types to keep, with commas; by default all")] = None,
    min_confidence: Annotated[float, Opt("--min-confidence", help="Leave out entities of a lower one")] = 0.0,
    max_characters: Annotated[
        int, Opt("--max-characters", help="Cut longer texts at line or sentence ends")
    ] = 1_000_000,
    text_files: Annotated[str, Opt("--text-files", help=".txt: lines for a document per line, or documents")] = "lines",
    stdin_format: Annotated[str, Opt("--stdin-format", help="What - holds: jsonl, csv, tsv or text")] = "jsonl",
    shard_size: Annotated[int, Opt("--shard-size", help="Maximum number of documents of a shard")] = 500,
    batch_words: Annotated[int, Opt("--batch-words", help="Maximum number of tokens predicted together")] = 8000,
    retry_failed: Annotated[bool, Opt("--retry-failed", help="Do the shards with texts that failed again")] = False,
    fresh: Annotated[bool, Opt("--fresh", help="Start over, even if the output holds a run")] = False,
    code: Code = None,
) -> None:
    """Annotate texts with entities; after an interruption, the same command resumes."""
    annotate_or_exit(
        model,
        inputs,
        output,
        workers=parse_workers(workers),
        engine=engine,
        ray_address=ray_address,
        gpu_id=gpu_id,
        format=format,
        text_field=text_field,
        id_field=id_field,
        fields=split_names(fields),
        entities_field=entities_field,
        labels=split_names(labels),
        min_confidence=min_confidence,
        max_characters=max_characters,
        text_files=text_files,
        stdin_format=stdin_format,
        shard_size=shard_size,
        batch_words=batch_words,
        retry_failed=retry_failed,
        fresh=fresh,
        code=code,
    )


def annotate_or_exit(model: str, inputs: list[str], output: Path, **options: Any) -> None:
    """Annotate and show the summary; where that fails, print the reason and end the process.

    model, inputs, output, options: See annotating.annotate.
    """
    from spacy_bert_ner.annotating import AnnotationError, annotate

    try:
        summary = annotate(model, inputs, output, **options)
    except AnnotationError as error:
        raise CommandError("Annotation cannot go on", str(error)) from error
    except KeyboardInterrupt:
        msg.warn("Interrupted", "The same command goes on from here")
        raise
    show_summary(summary, options["min_confidence"])


def show_summary(summary: "AnnotationSummary", min_confidence: float) -> None:
    """Print the summary of a run."""
    rows = [("documents", f"{summary.documents:,}"), ("words", f"{summary.words:,}")]
    if summary.words_per_second is not None:
        rows.append(("words per second", f"{summary.words_per_second:,.0f}"))
    rows += [(f"entities, {label}", f"{count:,}") for label, count in summary.entities.items()]
    msg.table(rows, aligns=("l", "r"), divider=True)
    if min_confidence and summary.unscored:
        msg.warn(
            f"{summary.unscored} entities have no confidence and were kept: --min-confidence does not apply to them"
        )
    if summary.failures:
        msg.warn(f"{summary.failed} texts failed: see {summary.failures}", "--retry-failed tries them again")
    if summary.words_per_second is None:
        msg.info("All was done before")
    msg.good(f"Wrote {summary.output}")


def split_names(names: str | None) -> tuple[str, ...] | None:
    """RETURNS (tuple[str, ...] | None): Names with commas between them; None for all where the option is not given."""
    return None if names is None else tuple(name for each in names.split(",") if (name := each.strip()))
