"""`debug`: checks of data and config, and an estimate of time and memory, before training."""

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from spacy_bert_ner.terminal import divider

from .arguments import check_corpora, set_up, write_figures
from .options import Code, GpuId, Json, Opt, TrainingConfig
from .overrides import options_of, read_overrides
from .wrapping import UNREADABLE

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example
    from thinc.api import Config

    from spacy_bert_ner.inspection import Finding

PLACES_SHOWN = 10


def debug_cli(
    ctx: typer.Context,
    config: TrainingConfig,
    figures: Json = None,
    timing: Annotated[bool, Opt("--timing/--no-timing", help="Time real updates on this device")] = True,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Check a config and its corpora; the config's settings can be overridden: --paths.train FILE."""
    set_up(code, gpu_id)
    overrides = read_overrides(ctx.args, config, options_of(ctx))
    check_corpora(config, overrides)
    result = debug(config, overrides, timing, gpu_id)
    show_findings(result)
    write_figures(figures, result)
    if figures:
        msg.good(f"Wrote {figures}")
    errors = sum(finding["level"] == "error" for finding in result["findings"])
    if errors:
        msg.fail(f"{errors} errors: training would fail", exits=1)


def debug(path: Path, overrides: dict[str, Any], timing: bool, gpu_id: int = -1) -> dict[str, Any]:
    """Check a config and its corpora.

    path (Path): The config.
    overrides (dict[str, Any]): Values by dotted path.
    timing (bool): Whether to time updates.
    gpu_id (int): GPU, or -1 for the CPU.
    RETURNS (dict[str, Any]): "counts", "pieces", "plan", "timing" and "findings".
    """
    from spacy import util
    from spacy.cli._util import show_validation_error
    from spacy.schemas import ConfigSchemaTraining

    from spacy_bert_ner.inspection import Finding, find_encoder, inspect_annotation, inspect_pieces

    result: dict[str, Any] = {"counts": {}, "pieces": {}, "plan": {}, "timing": {}}
    with show_validation_error(path):
        raw, unplanned = plan(path, overrides, gpu_id)
        filled = util.load_model_from_config(raw, auto_fill=True).config.interpolate()
        training = util.registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    nlp, labels, findings = try_initialize(raw, gpu_id)
    msg.text("Reading the corpora ...")
    try:
        names = [training["train_corpus"], training["dev_corpus"]]
        corpora = zip(("train", "dev"), util.resolve_dot_names(filled, names), strict=True)
        splits = {name: list(corpus(nlp)) for name, corpus in corpora}
    except UNREADABLE as error:
        findings.append(Finding("error", "corpus", f"The corpora cannot be read: {error}"))
        return result | {"findings": list(map(asdict, findings))}
    result["counts"], found = inspect_annotation(splits, labels)
    initialized = all(finding.kind != "initialize" for finding in findings)
    result["plan"], planned = check_steps(splits["train"], training)
    findings += [*found, *planned]
    if initialized and (encoder := find_encoder(nlp)):
        result["pieces"], found = inspect_pieces(splits, *encoder)
        findings += found
    if not any(finding.level == "error" for finding in findings):
        # Else it is said already what is wrong.
        findings += unplanned
    if timing and not any(finding.level == "error" for finding in findings):
        result["timing"], found = try_updates(nlp, splits, training)
        findings += found
    return result | {"findings": list(map(asdict, findings))}


def plan(path: Path, overrides: dict[str, Any], gpu_id: int) -> "tuple[Config, list[Finding]]":
    """Load a config and decide its "auto". RETURNS: The config, valid in any case, and what could not be decided."""
    from spacy import util

    from spacy_bert_ner.inspection import Finding
    from spacy_bert_ner.training.completion import load_completed, open_settings, override

    try:
        return load_completed(path, overrides, gpu=gpu_id >= 0), []
    except UNREADABLE as error:
        config = util.load_config(path, overrides=overrides, interpolate=False)
        still_open = open_settings(config)
        if not still_open:
            raise
        found = Finding("error", "plan", f"The steps cannot be laid out: {error}")
        return override(config, dict.fromkeys(still_open, 1)), [found]


def check_steps(train: "list[Example]", training: dict[str, Any]) -> "tuple[dict[str, Any], list[Finding]]":
    """Count the steps that a config plans. RETURNS: The plan, and what is wrong with it and with its batches."""
    from spacy_bert_ner.inspection import describe_plan, inspect_batches, inspect_plan

    planned = describe_plan(training, sum(1 for _ in training["batcher"](train)))
    return planned, [*inspect_batches(train, training["batcher"]), *inspect_plan(planned)]


def try_initialize(config: "Config", gpu_id: int) -> "tuple[Language, tuple[str, ...], list[Finding]]":
    """Create and initialize a config's pipeline. RETURNS: The pipeline, its `bert_ner`'s labels, and the problems."""
    from spacy import util

    from spacy_bert_ner.inspection import Finding, inspect_order, inspect_sources
    from spacy_bert_ner.ner import sourced
    from spacy_bert_ner.ner.component import BertNER

    msg.text("Initializing the pipeline ...")
    try:
        nlp = sourced.initialize(config, gpu_id)
    except UNREADABLE as error:
        message = f"The pipeline cannot be initialized: {error}"
        return util.load_model_from_config(config, auto_fill=True), (), [Finding("error", "initialize", message)]
    labels = next((pipe.labels for _, pipe in nlp.pipeline if isinstance(pipe, BertNER)), ())
    return nlp, labels, [*inspect_sources(config), *inspect_order(nlp)]


def try_updates(
    nlp: "Language", splits: "dict[str, list[Example]]", training: dict[str, Any]
) -> "tuple[dict[str, Any], list[Finding]]":
    """Time a few updates. RETURNS: Time and memory, and the problems, warnings included."""
    from spacy_bert_ner.inspection import Finding, estimate

    msg.text("Timing updates and an evaluation ...")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            result = estimate(nlp, splits, training)
        except (RuntimeError, ValueError) as error:
            return {}, [Finding("error", "update", f"Training fails at its first steps: {error}")]
    messages = dict.fromkeys(str(warning.message) for warning in caught if warning.category is UserWarning)
    return result, [Finding("warning", "update", message) for message in messages]


def show_findings(result: dict[str, Any]) -> None:
    """Print what `debug` found."""
    counts = result["counts"]
    if counts:
        divider("Data")
        for split, numbers in counts.items():
            msg.info(f"{split}: {numbers['documents']} documents, {numbers['tokens']} tokens")
        train, dev = counts["train"]["labels"], counts["dev"]["labels"]
        rows = [(label, train.get(label, 0), dev.get(label, 0)) for label in {**train, **dev}]
        msg.table(rows, header=("label", "train", "dev"), divider=True, aligns=("l", "r", "r"))
    if result["pieces"]:
        divider("Word pieces")
        rows = [
            (key.replace("_", " "), *(f"{part[key]:.3f}" for part in result["pieces"].values()))
            for key in result["pieces"]["train"]
        ]
        msg.table(rows, header=("", "train", "dev"), divider=True, aligns=("l", "r", "r"))
    if planned := result["plan"]:
        divider("Plan")
        steps, patience = planned["steps"], planned["patience"]
        most = f"{steps} steps" if steps is not None else "steps until patience ends it"
        msg.text(f"{most}, {planned['steps_per_epoch']} an epoch; an evaluation every {planned['evaluation_interval']}")
        msg.text(f"patience: {patience} steps without a better score end it" if patience else "patience: none")
    if times := result["timing"]:
        divider("On this device (estimated)")
        peaks = [f"{kind} {size / 2**20:,.0f} MB" for kind, size in times["peak_memory_bytes"].items()]
        memory = ", ".join(peaks) or "unknown"
        msg.text(f"epoch: {times['epoch_seconds']:,.0f} s in {times['steps_per_epoch']} steps; peak memory: {memory}")
        share = f"{100 * times['evaluations_share']:.0f} % of the time"
        msg.text(f"evaluation: {times['evaluation_seconds']:,.0f} s each, {share}")
        if times["run_seconds"] is not None:
            msg.text(f"the whole run: {times['run_seconds'] / 60:,.0f} min, unless patience ends it")
    divider("Findings")
    for finding in result["findings"]:
        (msg.fail if finding["level"] == "error" else msg.warn)(finding["message"])
        for where in finding["places"][:PLACES_SHOWN]:
            detail = where.get("label") or (f"same as train document {where['same_as']}" if "same_as" in where else "")
            at = f", tokens {where['tokens']}, characters {where['characters']}" if "tokens" in where else ""
            msg.text(
                f"  {where['split']} document {where['document']}{at}: {where['text']!r}{detail and f' ({detail})'}"
            )
        if len(finding["places"]) > PLACES_SHOWN:
            msg.text(f"  ... and {len(finding['places']) - PLACES_SHOWN} more (--json writes all)")
    if not result["findings"]:
        msg.good("Nothing is wrong")
