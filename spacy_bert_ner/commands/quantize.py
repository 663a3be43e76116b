"""`quantize`: a trained pipeline with its encoder in int8, for prediction on processors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from wasabi import msg

from .arguments import check_corpus, check_target, load_pipeline, read_examples, set_up, write_figures, write_pipeline
from .calibrate import find_component
from .options import Arg, Code, Force, Json, Opt, TrainingCorpus
from .wrapping import CommandError, explained

if TYPE_CHECKING:
    from spacy_bert_ner.quantization.procedure import Quantization


def quantize_cli(
    model: Annotated[str, Arg(help="Folder or package name of the trained pipeline")],
    data: Annotated[Path, Arg(help="Texts (.spacy), annotated or not, which it was not trained on", exists=True)],
    output: Annotated[Path, Arg(help="Folder for the pipeline in int8", file_okay=False)],
    train: TrainingCorpus = None,
    figures: Json = None,
    component: Annotated[str | None, Opt("--component", help="Its bert_ner, where it has several")] = None,
    most_loss: Annotated[
        float, Opt("--most-loss", help="Points of F1 that may be lost; a pipeline that lost more is not written", min=0)
    ] = 0.3,
    sample: Annotated[int, Opt("--sample", help="Documents whose inputs give the ranges", min=1)] = 80,
    floats: Annotated[
        list[str] | None, Opt("--floats", help="A type of layer that stays in floats: qkv, mix, expand, contract, ...")
    ] = None,
    if_wanted: Annotated[str, Opt("--if", help="Do nothing unless this is true: for project.yml")] = "true",
    force: Force = False,
    code: Code = None,
) -> None:
    """Quantize the encoder of a trained pipeline to int8, measure what that costs, and calibrate it anew."""
    if if_wanted.lower() != "true":
        msg.info(f"No int8: it is {if_wanted}, and wanted where it is true")
        return
    check_corpus(data)
    check_corpus(train)
    check_target(output, force)
    set_up(code, -1)
    from spacy_bert_ner.ner.lengths import lift_max_length
    from spacy_bert_ner.quantization.procedure import Choices, quantize
    from spacy_bert_ner.quantization.quantizer import PARTS

    if unknown := sorted({*(floats or ())} - {*PARTS}):
        raise CommandError(f"--floats {unknown[0]} is no type of layer", f"Expected one of {', '.join(PARTS)}")
    nlp = load_pipeline(model)
    lift_max_length(nlp)
    name = find_component(nlp, model, component)
    seen = [example.reference for example in read_examples(train, nlp)] if train else []
    with explained(f"{model} cannot be quantized on {data}"):
        found = quantize(
            nlp,
            name,
            lambda: read_examples(data, nlp),
            source=str(model),
            train=seen,
            choices=Choices(sample, frozenset(floats or ())),
            say=msg.info,
        )
    show(found)
    write_figures(figures, vars(found))
    if found.annotated and found.f1["lost"] > most_loss:
        raise CommandError(
            f"{found.f1['lost']:.2f} points of F1 are lost, more than --most-loss {most_loss}: nothing is written",
            "Keep the layers that cost most in floats, as by --floats "
            f"{max(found.costs, key=lambda part: found.costs[part])}, or take ranges from more documents by --sample",
        )
    write_pipeline(nlp, output)
    msg.good(f"Wrote {output}")


def show(found: "Quantization") -> None:
    """Print what was done, and what it cost."""
    rows = [
        (part, "floats" if part in found.floats else "int8", f"{cost:.5f}", f"{found.shares[part]:.0%}")
        for part, cost in sorted(found.costs.items(), key=lambda item: -item[1])
    ]
    header = ("layers", "in", "cost alone, nats a token", "of the products")
    msg.table(rows, header=header, divider=True, aligns=("l", "l", "r", "r"))
    msg.info(f"Ranges by {found.method}")
    if not found.annotated:
        msg.warn(
            f"{found.documents:,} documents without annotation: F1 and calibration are not known",
            f"Its entities and those in floats agree to {found.f1['agreement']:.2f} % (F1). To know what is lost, "
            "quantize on annotated documents, or evaluate the result",
        )
        return
    f1, calibration = found.f1, found.calibration
    errors = ["-" if error is None else f"{error:.4f}" for error in (calibration["before"], calibration["after"])]
    msg.table(
        [("F1", f"{f1['before']:.2f}", f"{f1['after']:.2f}"), ("calibration error", *errors)],
        header=(f"{found.documents:,} documents", "before", "after"),
        divider=True,
        aligns=("l", "r", "r"),
    )
