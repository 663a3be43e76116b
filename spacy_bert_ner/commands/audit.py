"""`audit`: where is the annotation probably wrong? Judged by models that were not trained on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from spacy_bert_ner.terminal import divider

from .arguments import check_corpus, load_pipeline, set_up
from .calibrate import find_component
from .options import Arg, CheckpointEvery, Code, Epochs, Evaluations, Fresh, GpuId, Opt, Processes
from .train import refuse_torchrun, train_or_exit
from .training_request import TrainingRequest, read_request
from .wrapping import CommandError, explained

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from spacy_bert_ner.auditing.fold_run import Fold, FoldStore
    from spacy_bert_ner.auditing.places import SpanPosteriors


@dataclass(frozen=True)
class AuditRequest:
    """What is asked of an audit, whoever judges.

    output (Path): Folder for the doubts, and for the folds' runs.
    count (int): How many doubts are listed.
    component (str | None): The `bert_ner` that judges, where the pipeline has several.
    fresh (bool): Whether to start over.
    """

    output: Path
    count: int
    component: str | None
    fresh: bool


def audit_cli(
    ctx: typer.Context,
    source: Annotated[
        Path,
        Arg(help="Training config (.cfg), whose training corpus is audited; or, with --model, annotated documents"),
    ],
    output: Annotated[Path, Arg(help="Folder for the doubts, and for the folds' runs", file_okay=False)],
    model: Annotated[
        str | None, Opt("--model", help="A trained pipeline that judges documents that it was not trained on")
    ] = None,
    folds: Annotated[
        int, Opt("--folds", help="Into how many parts to divide the corpus: as many trainings", min=2)
    ] = 5,
    count: Annotated[int, Opt("--count", help="Places to list, the most doubtful ones", min=1)] = 1000,
    component: Annotated[str | None, Opt("--component", help="Its bert_ner, where it has several")] = None,
    code: Code = None,
    gpu_id: GpuId = -1,
    fresh: Fresh = False,
    epochs: Epochs = "auto",
    evaluations: Evaluations = None,
    checkpoint_every: CheckpointEvery = 10,
    processes: Processes = 1,
) -> None:
    """List annotation that is probably wrong, by models that were not trained on it; resumed where it was interrupted.

    Without --model, the corpus is divided into folds, and each is judged by a model trained on the others: as many
    trainings. The config's settings can be overridden, as for train: --training.dropout 0.2.
    """
    from spacy_bert_ner.auditing.audit_error import AuditError
    from spacy_bert_ner.training.training_error import RunError

    refuse_torchrun("audit")
    if not source.exists():
        raise CommandError(f"{source} does not exist", "Expected a training config, or with --model documents (.spacy)")
    request = AuditRequest(output, count, component, fresh)
    try:
        if model is not None:
            if ctx.args:
                raise CommandError(
                    f"No such option: {ctx.args[0]}", "Settings of a config are for audits without --model"
                )
            judge_held_out(source, model, request, code, gpu_id)
            return
        if source.suffix == ".spacy" or source.is_dir():
            raise CommandError(
                f"{source} is no training config",
                "To audit documents that a pipeline was not trained on: --model MODEL; else name the training config",
            )
        training = read_request(
            ctx,
            source,
            code=code,
            gpu_id=gpu_id,
            fresh=fresh,
            epochs=epochs,
            evaluations=evaluations,
            checkpoint_every=checkpoint_every,
            processes=processes,
        )
        audit_by_folds(training, folds, request)
    except (AuditError, RunError) as error:
        raise CommandError("The audit cannot go on", str(error)) from error


def judge_held_out(corpus: Path, model: str, request: AuditRequest, code: Path | None, gpu_id: int) -> None:
    """Audit documents by a pipeline that was not trained on them, and write the files."""
    check_corpus(corpus)
    set_up(code, gpu_id)
    from spacy_bert_ner.auditing.audit_run import check_annotated, read_every_document
    from spacy_bert_ner.auditing.fold_run import FoldStore, identify_model
    from spacy_bert_ner.auditing.judging import judge_annotation

    nlp = load_pipeline(model)
    name = find_component(nlp, model, request.component)
    docs = read_every_document(corpus)
    check_annotated(docs, corpus)
    identity = identify_model(model, corpus, request.component, code, gpu_id)
    FoldStore(request.output).open(identity, fresh=request.fresh)
    with explained(f"{model} cannot judge {corpus}"):
        judged = list(judge_annotation(nlp, name, docs))
    finish(docs, judged, request, corpus=corpus, judge=f"{model}, which must not have been trained on it")


def audit_by_folds(training: TrainingRequest, folds: int, request: AuditRequest) -> None:
    """Audit a config's training corpus: train on all folds but one, judge that, for each that is not done.

    training (TrainingRequest): The training on all of the corpus.
    folds (int): How many.
    request (AuditRequest): What is written.
    RAISES: AuditError, and RunError, where the folder holds the audit of something else.
    """
    from spacy_bert_ner.auditing.audit_run import check_annotated, read_every_document
    from spacy_bert_ner.auditing.fold_run import FoldStore, describe_cost, make_folds
    from spacy_bert_ner.auditing.folds import assign_folds
    from spacy_bert_ner.training import data_curve

    setting, path = data_curve.locate_corpus(training.load_config())
    docs = read_every_document(path)
    check_annotated(docs, path)
    parts = make_folds(assign_folds([[token.text for token in doc] for doc in docs], folds))
    store = FoldStore(request.output)
    store.open(training.identify(folds=folds, component=request.component), fresh=request.fresh)
    todo = [fold for fold in parts if not store.is_done(fold)]
    for fold in parts:
        # Where the process was killed between the two.
        if store.is_done(fold):
            store.clear(fold)
    if todo:
        msg.info(describe_cost(docs, parts, len(todo)))
    for left, fold in zip(range(len(todo), 0, -1), todo, strict=True):
        divider(f"fold {fold.number} of {folds}: {len(fold.training)} documents train, {len(fold.held_out)} are judged")
        started = monotonic()
        train_fold(training, store, fold, docs, setting)
        # Training may have done so in other processes, or before an interruption.
        set_up(training.code, training.use_gpu)
        judge_fold(training, store, fold, docs, request.component)
        if left > 1:
            minutes = (monotonic() - started) / 60
            msg.info(f"{minutes:.0f} minutes for this fold: about {minutes * (left - 1):.0f} for the other {left - 1}")
    judge = f"{folds} models, each trained on the other folds"
    finish(docs, store.read(parts), request, corpus=path, judge=judge)


def train_fold(
    training: TrainingRequest, store: "FoldStore", fold: "Fold", docs: "Sequence[Doc]", setting: str
) -> None:
    """Train on all documents that a fold does not hold out, unless that has been done.

    setting (str): Names the training corpus, by dotted path.
    """
    from spacy_bert_ner.training.data_curve import write_part

    if store.is_trained(fold):
        return
    run = store.run_folder(fold)
    write_part([docs[i] for i in fold.training], run / "train.spacy")
    train_or_exit(training.with_setting(setting, str(run / "train.spacy")), run)
    store.mark_trained(fold)


def judge_fold(
    training: TrainingRequest, store: "FoldStore", fold: "Fold", docs: "Sequence[Doc]", component: str | None
) -> None:
    """Judge the documents that a fold holds out by its best pipeline, calibrated on the config's dev set."""
    from spacy_bert_ner.auditing.fold_calibration import calibrate_fold
    from spacy_bert_ner.auditing.judging import judge_annotation

    run = store.run_folder(fold)
    best = str(run / "model-best")
    nlp = load_pipeline(best)
    name = find_component(nlp, best, component)
    if reason := calibrate_fold(nlp, name, training.load_config(), [docs[i] for i in fold.training]):
        msg.warn("The posteriors are not calibrated", reason)
    with explained(f"Fold {fold.number} cannot be judged"):
        store.write(fold, list(judge_annotation(nlp, name, [docs[i] for i in fold.held_out])))
    store.clear(fold)


def finish(
    docs: "Sequence[Doc]",
    judged: "Sequence[SpanPosteriors]",
    request: AuditRequest,
    *,
    corpus: Path,
    judge: str,
) -> None:
    """Rank the places, write the files, print what was found."""
    from spacy_bert_ner.auditing.audit_run import describe_audit, write_audit
    from spacy_bert_ner.auditing.doubts import rank_doubts
    from spacy_bert_ner.auditing.places import DOUBT_KINDS

    ranking = rank_doubts(docs, judged)
    figures = describe_audit(docs, ranking, request.count, corpus=corpus, judge=judge)
    written = write_audit(request.output, docs, ranking, request.count, figures)
    divider("Doubtful annotation")
    rows = [(DOUBT_KINDS[kind], f"{number:,}") for kind, number in figures["kinds"].items()]
    msg.table(rows, header=("of those listed", "places"), divider=True, aligns=("l", "r"))
    msg.info(
        f"{figures['likely']:,} of {figures['places']:,} places are more likely wrong than right, by the model and by "
        "how equal strings are annotated"
    )
    if figures["unjudged"]:
        msg.warn(f"{figures['unjudged']:,} entities are of types that the judging model does not know: not judged")
    msg.good(f"Written: {', '.join(str(path) for path in written)}")
