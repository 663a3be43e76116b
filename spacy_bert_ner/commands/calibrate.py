"""`calibrate`: fit confidences so that they equal the share of entities that are right."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from wasabi import msg

from .arguments import check_corpus, check_target, load_pipeline, read_examples, set_up, write_figures, write_pipeline
from .options import Arg, Code, Force, GpuId, Json, Opt, TrainingCorpus
from .wrapping import CommandError, explained

if TYPE_CHECKING:
    from spacy.language import Language

MEASURES_SHOWN = ("ece", "brier", "log_loss", "auc", "precision_above_0.9")


def calibrate_cli(
    model: Annotated[str, Arg(help="Folder or package name of the trained pipeline")],
    dev: Annotated[Path, Arg(help="Development data (.spacy), which it was not trained on", exists=True)],
    output: Annotated[Path, Arg(help="Folder for the calibrated pipeline", file_okay=False)],
    train: TrainingCorpus = None,
    figures: Json = None,
    component: Annotated[str | None, Opt("--component", help="Its bert_ner, where it has several")] = None,
    force: Force = False,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Fit the confidences of a trained pipeline to development data, and write the pipeline with them."""
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
        measures = calibrate(nlp, name, examples, seen)
    write_pipeline(nlp, output)
    write_figures(figures, measures)
    show_measures(measures)
    msg.good(f"Wrote {output}")


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
