"""`calibrate`: fit confidences so that they equal the share of entities that are right."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from wasabi import msg

from .arguments import check_corpus, check_target, load_pipeline, read_examples, set_up, write_figures, write_pipeline
from .options import Arg, Code, Force, GpuId, Json, Opt, TrainingCorpus
from .wrapping import CommandError, explained

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_bert_ner.calibration.promising import PromiseRequest

# Of a promise, where --certainty is left out.
CERTAINTY = 0.95
MEASURES_SHOWN = ("ece", "brier", "log_loss", "auc", "precision_above_0.9")


def calibrate_cli(
    model: Annotated[str, Arg(help="Folder or package name of the trained pipeline")],
    dev: Annotated[Path, Arg(help="Development data (.spacy), which it was not trained on", exists=True)],
    output: Annotated[Path, Arg(help="Folder for the calibrated pipeline", file_okay=False)],
    train: TrainingCorpus = None,
    figures: Json = None,
    component: Annotated[str | None, Opt("--component", help="Its bert_ner, where it has several")] = None,
    precision: Annotated[
        float | None, Opt("--precision", help="Promise that so many of the entities are right: 0.98 leaves out others")
    ] = None,
    recall: Annotated[
        float | None, Opt("--recall", help="Promise that so many gold entities are covered: 0.99 adds what it takes")
    ] = None,
    by_type: Annotated[bool, Opt("--by-type", help="Promise it of each entity type by itself")] = False,
    labels: Annotated[str | None, Opt("--labels", help="Of these entity types alone, with commas")] = None,
    certainty: Annotated[
        float | None, Opt("--certainty", help="Of all that is promised, together; by default 0.95")
    ] = None,
    force: Force = False,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Fit the confidences of a trained pipeline to development data, and promise a precision or a recall by them."""
    promise = ask_promise(precision, recall, by_type=by_type, labels=labels, certainty=certainty)
    check_corpus(dev)
    check_corpus(train)
    check_target(output, force)
    set_up(code, gpu_id)
    from spacy_bert_ner.calibration.workflow import calibrate
    from spacy_bert_ner.ner.lengths import lift_max_length

    nlp = load_pipeline(model)
    lift_max_length(nlp)
    name = find_component(nlp, model, component)
    seen = [example.reference for example in read_examples(train, nlp)] if train else []
    examples = read_examples(dev, nlp)
    with explained(f"{model} cannot be calibrated on {dev}"):
        measures = calibrate(nlp, name, examples, seen, promise)
    write_pipeline(nlp, output)
    write_figures(figures, measures)
    show_measures(measures)
    if measures["promise"]:
        show_promise(measures["promise"], dev)
    msg.good(f"Wrote {output}")


def ask_promise(
    precision: float | None, recall: float | None, *, by_type: bool, labels: str | None, certainty: float | None
) -> "PromiseRequest | None":
    """Read what is to be promised off the options, which are the command's.

    RETURNS (PromiseRequest | None): That; None for nothing.
    RAISES: CommandError where they contradict each other, or are out of range.
    """
    from spacy_bert_ner.calibration.promising import PromiseRequest

    if precision is not None and recall is not None:
        raise CommandError("--precision and --recall", "A pipeline keeps one promise: write two pipelines")
    if precision is None and recall is None:
        given = {"--by-type": by_type, "--labels": labels is not None, "--certainty": certainty is not None}
        if any(given.values()):
            name = next(name for name, is_given in given.items() if is_given)
            raise CommandError(f"{name} promises nothing by itself", "Add --precision 0.98, or --recall 0.99")
        return None
    chosen = None if labels is None else tuple(label.strip() for label in labels.split(",") if label.strip())
    if chosen is not None and not chosen:
        raise CommandError(f"--labels {labels!r} names no entity type", "Expected some, with commas: --labels PER,ORG")
    sure = CERTAINTY if certainty is None else certainty
    with explained("This cannot be promised"):
        if precision is not None:
            return PromiseRequest("precision", precision, sure, by_type, chosen)
        assert recall is not None
        return PromiseRequest("recall", recall, sure, by_type, chosen)


def find_component(nlp: "Language", model: str, chosen: str | None = None) -> str:
    """Find the `bert_ner` of a pipeline.

    nlp (Language): The pipeline.
    model (str): What messages call it.
    chosen (str | None): Its name, where it has several.
    RETURNS (str): Its name.
    RAISES: CommandError where there is none, none of that name, or several of which none is chosen.
    """
    from spacy_bert_ner.ner.component import BertNER

    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, BertNER)]
    if not names:
        raise CommandError(f"{model} holds no bert_ner, but {', '.join(nlp.pipe_names) or 'nothing'}")
    if chosen is not None:
        if chosen not in names:
            raise CommandError(f"--component {chosen} is no bert_ner of {model}", f"It holds {' and '.join(names)}")
        return chosen
    if len(names) > 1:
        raise CommandError(f"{model} holds {' and '.join(names)}", f"Choose one: --component {names[0]}")
    return names[0]


def show_measures(measures: dict[str, Any]) -> None:
    """Print what calibration did."""

    def spell(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    columns = [part[when] for part in (measures, measures["raw_text"]) for when in ("before", "after")]
    rows = [(name, *(spell(column[name]) for column in columns)) for name in MEASURES_SHOWN]
    header = ("dev, cross-fitted", "before", "after", "raw text, before", "after")
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrr"))
    offsets = ", ".join(f"{label} {offset:+.2f}" for label, offset in measures["offsets"].items())
    msg.info(f"Temperature {measures['temperature']:.3f}, log-odds {offsets}")


def show_promise(promise: dict[str, Any], dev: Path) -> None:
    """Print what is promised, what it costs, and what it rests on.

    promise (dict[str, Any]): "promise" of calibration.workflow.calibrate.
    dev (Path): The development data.
    """
    is_recall = promise["measure"] == "recall"
    rows = [
        (
            row["name"],
            f"{row['promised']:.2%}",
            f"{row['threshold']:g}",
            f"{row['amount']:.1%}",
            f"{row['observed']:.2%}",
            f"{row['observed_raw']:.2%}",
            f"{row['entities']:,} in {row['documents']:,}",
        )
        for row in promise["rows"]
    ]
    counted = "gold entities in documents" if is_recall else "entities in documents"
    header = (
        "promise",
        promise["measure"],
        "threshold",
        f"{'words' if is_recall else 'entities'} set",
        "on dev",
        "dev, raw text",
        counted,
    )
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrrrr"))
    for row in promise["rows"]:
        if row["promised"] < promise["least"]:
            msg.warn(*describe_shortfall(row, promise))
    what = "are covered, no word outside of what is set" if is_recall else "that are set are right"
    msg.info(
        f"With a certainty of {promise['certainty']:.0%} for all of it together, so many entities {what}, on texts "
        f"like {dev}, whose documents are taken as independent of each other. {dev} has fitted the confidences, too, "
        "and chosen the checkpoint if it was training's dev set, which makes its figures somewhat better than those of "
        "other texts: evaluate says whether the promise holds on a test set"
    )


def describe_shortfall(row: dict[str, Any], promise: dict[str, Any]) -> tuple[str, str]:
    """RETURNS (tuple[str, str]): That a promise cannot be made as asked for, what can be, and what helps."""
    title = f"{row['name']}: {promise['measure']} {promise['least']:.2%} cannot be promised"
    if not row["promised"]:
        return f"{title}, nor any other", f"{row['entities']:,} entities say too little: none is left out or added"
    short = 100 * (promise["least"] - row["promised"])
    advice = "More documents, a lower --certainty or a better model can show more"
    return f"{title}: {row['promised']:.2%} can, {short:.2f} points less, and is", advice
