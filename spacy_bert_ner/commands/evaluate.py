"""`evaluate`: measures as a table and as JSON, a report as HTML."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from wasabi import msg

from .arguments import check_corpus, load_pipeline, set_up, write_figures, write_text
from .options import Arg, Code, GpuId, Json, Opt, TrainingCorpus
from .wrapping import explained

if TYPE_CHECKING:
    from spacy_bert_ner.evaluation.typed_figures import Metrics
    from spacy_bert_ner.report.curve import CurvePoint


def evaluate_cli(
    model: Annotated[str, Arg(help="Folder or package name of a pipeline that sets doc.ents")],
    corpus: Annotated[Path, Arg(help="Gold corpus (.spacy)", exists=True)],
    figures: Json = None,
    report: Annotated[Path | None, Opt("--report", "-r", help="Where to write the report (.html)")] = None,
    errors: Annotated[Path | None, Opt("--errors", help="Where to write every error (.jsonl)", dir_okay=False)] = None,
    compare: Annotated[str | None, Opt("--compare", help="A second pipeline to compare with")] = None,
    train: TrainingCorpus = None,
    curve: Annotated[
        Path | None, Opt("--curve", help="Training curve, where none is beside the model", exists=True, dir_okay=False)
    ] = None,
    spans_key: Annotated[str | None, Opt("--spans-key", "-sk", help="Where in doc.spans the scores are")] = None,
    mapping: Annotated[
        list[str] | None, Opt("--map", "-m", help="Take one label for another, in corpus and predictions: person=PER")
    ] = None,
    raw_text: Annotated[bool, Opt("--raw-text/--no-raw-text", help="Predict on raw text too: a second pass")] = True,
    resamples: Annotated[int, Opt("--resamples", help="Bootstrap samples for intervals and tests", min=100)] = 2000,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Evaluate a pipeline on a gold corpus: a table here, measures as JSON, a report as HTML."""
    check_corpus(corpus)
    check_corpus(train)
    rename = read_mapping(mapping or [])
    set_up(code, gpu_id)
    evaluate_to_files(
        model,
        corpus,
        figures=figures,
        report=report,
        errors=errors,
        compare=compare,
        curve=curve,
        train=train,
        spans_key=spans_key,
        rename=rename,
        raw_text=raw_text,
        resamples=resamples,
    )


def read_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """Parse --map. RETURNS (dict[str, str]): Labels to other labels; an invalid value ends the command."""
    rename: dict[str, str] = {}
    for pair in pairs:
        label, _, other = pair.partition("=")
        if not (label and other) or rename.get(label, other) != other:
            reason = f"after --map {label}={rename[label]}" if label in rename else "expected such as person=PER"
            msg.fail(f"--map {pair}: {reason}", exits=1)
        rename[label] = other
    return rename


def evaluate_to_files(
    model: str,
    corpus: Path,
    *,
    figures: Path | None,
    report: Path | None,
    errors: Path | None,
    compare: str | None,
    curve: Path | None,
    resamples: int,
    **settings: Any,
) -> None:
    """Evaluate, print the table, write the files that are asked for.

    model, corpus, figures, report, errors, compare, curve, resamples: As on the command line.
    settings: What else `evaluation.evaluate` takes.
    """
    # Here, since every `python -m spacy` imports this module.
    from spacy_bert_ner.evaluation import TABLE_HEADER, Resampling, evaluate, table
    from spacy_bert_ner.report import render
    from spacy_bert_ner.report.advice import nothing_to_measure

    nlp = load_pipeline(model)
    log = find_curve(Path(model), curve)
    other = load_pipeline(compare) if compare else None
    with explained(f"{model} cannot be evaluated on {corpus}"):
        evaluation = evaluate(nlp, corpus, other=other, how=Resampling(resamples=resamples), **settings)
    metrics = evaluation.metrics
    if reason := nothing_to_measure(metrics["corpus"]):
        msg.fail("There is nothing to measure", reason, exits=1)
    compare_labels(metrics, settings["rename"])
    write_figures(figures, metrics)
    msg.table(table(metrics), header=TABLE_HEADER, divider=True, aligns=("l", *"r" * (len(TABLE_HEADER) - 1)))
    describe(metrics)
    if report:
        write_text(report, render(evaluation, curve=log))
    if errors:
        write_text(errors, "".join(json.dumps(error, ensure_ascii=False) + "\n" for error in evaluation.all_errors))
    written = ", ".join(str(path) for path in (figures, report, errors) if path)
    if written:
        msg.good(f"Written: {written}")


def compare_labels(metrics: "Metrics", rename: Mapping[str, str]) -> None:
    """Warn where pipeline and corpus share no label, and where --map names labels that neither has."""
    own = metrics["labels"]
    gold, found = ({rename.get(label, label) for label in own[side]} for side in ("corpus", "pipeline"))
    if gold and found and not gold & found:
        msg.warn(
            f"No label in common: the corpus has {', '.join(sorted(gold))}, the pipeline {', '.join(sorted(found))}",
            "Nothing can be right like this. Say which label is which, as in "
            f"--map {own['pipeline'][0]}={own['corpus'][0]}",
        )
    if unused := rename.keys() - {*own["corpus"], *own["pipeline"]}:
        msg.warn(
            f"--map names {', '.join(sorted(unused))}, no label of the corpus ({', '.join(own['corpus'])}) nor of the "
            f"pipeline ({', '.join(own['pipeline'])})"
        )


def find_curve(model: Path, named: Path | None = None) -> "list[CurvePoint]":
    """Read a pipeline's training curve: a file that is named, else what is in its folder or beside it.

    model (Path): The pipeline's folder, or the name of a package, which has no curve.
    named (Path | None): The file.
    RETURNS (list[CurvePoint]): Its evaluations; empty where there is no curve.
    RAISES: CommandError where the file is not a curve.
    """
    from spacy_bert_ner.report.curve import read_curve
    from spacy_bert_ner.training.training_curve import CURVE

    beside = [model / CURVE, model.parent / CURVE] if model.is_dir() else []
    for path in [named] if named else beside:
        if path.is_file():
            with explained(f"{path} is no training curve"):
                return read_curve(path)
    return []


def describe(metrics: "Metrics") -> None:
    """Print the figures that are not in the table."""
    from spacy_bert_ner.report.advice import advise
    from spacy_bert_ner.report.figures import p_value, signed, signed_interval

    for reason in metrics["parity"]["reasons"]:
        msg.warn(reason)
    comparison = metrics["comparison"]
    if comparison and comparison["rows"]:
        f1 = comparison["rows"]["all"]["f1"]
        msg.info(
            f"Against {comparison['model']['name']}: F1 {signed(f1['difference'])} "
            f"({signed_interval(f1['interval'])}), p = {p_value(f1['p_value'])}"
        )
    for sentence in advise(metrics):
        msg.info(sentence)
    speed = metrics["speed"]
    msg.info(f"{speed['words_per_second'] or 0:,.0f} words per second; {speed['evaluation_seconds']:.0f} s in all.")
