"""What to do next: the measures that stand out, in sentences."""

from collections.abc import Iterator

from spacy_bert_ner.evaluation.console import percent
from spacy_bert_ner.evaluation.error_kinds import VERDICTS
from spacy_bert_ner.evaluation.typed_figures import CorpusFigures, ErrorKindFigures, Metrics

# A slice with a smaller share of the gold entities is not mentioned.
MIN_SHARE = 0.02
# Nor is a smaller calibration error, even where it exceeds what chance explains.
MIN_CALIBRATION_ERROR = 0.02


def advise(metrics: Metrics) -> list[str]:
    """Say what to improve. RETURNS (list[str]): A few sentences, the largest F1 gain first."""
    if metrics["f1"] is None:
        return [nothing_to_measure(metrics["corpus"]) or "Neither the corpus nor the pipeline's output has an entity."]
    found = [*_costliest_errors(metrics), *_weakest_slice(metrics), *_raw_text(metrics), *_scores(metrics)]
    found += _promises(metrics)
    return found or ["Nothing stands out."]


def nothing_to_measure(corpus: CorpusFigures) -> str:
    """RETURNS (str): Why a corpus cannot be evaluated on; "" where it can. corpus: `metrics["corpus"]`."""
    if not corpus["documents"]:
        return f"{corpus['path']} holds no document with a token."
    if corpus["unannotated"] == corpus["words"]:
        return f"No token of {corpus['path']} is annotated: was doc.ents set before it was saved?"
    return ""


def _costliest_errors(metrics: Metrics) -> Iterator[str]:
    kinds = [kind for kind in metrics["errors"]["kinds"] if kind["errors"]]
    whole = sorted((x for x in kinds if not (x["gold"] or x["found"])), key=lambda x: -x["gain"])
    for kind in whole[:1]:
        gain = f"{100 * kind['gain']:.1f} points of F1"
        yield f"{VERDICTS[kind['verdict']]}: {kind['errors']} errors; fixing them gains {gain}."
    single = [x for x in kinds if x["gold"] or x["found"]]
    for kind in single[:2]:
        yield f"{_confusion(kind)}: {kind['errors']} errors; fixing them gains {100 * kind['gain']:.1f} points."


def _confusion(kind: ErrorKindFigures) -> str:
    if kind["verdict"] == "boundary":
        return f"{kind['gold']} with a wrong boundary"
    if kind["verdict"] == "missed":
        return f"{kind['gold']} missed"
    if kind["verdict"] == "spurious":
        return f"{kind['found']} where there is no entity"
    return f"{kind['gold']} taken for {kind['found']}" + (", boundary wrong too" if kind["verdict"] == "both" else "")


def _weakest_slice(metrics: Metrics) -> Iterator[str]:
    """The slice whose distance from the whole, times its size, is the largest."""
    least, whole = max(MIN_SHARE * metrics["counts"]["gold"], 1), metrics["f1"]
    slices = [
        ((whole - row["f1"]) * row["counts"]["gold"], way["title"], name, row)
        for way in metrics["slices"]
        for name, row in way["slices"].items()
        if whole is not None and row["f1"] is not None and row["counts"]["gold"] >= least
    ]
    for lost, title, name, row in sorted(slices, key=lambda x: -x[0])[:1]:
        if lost > 0:
            yield (
                f"Weakest large slice: {name} ({title[0].lower() + title[1:]}), F1 {percent(row['f1'], 1)} on "
                f"{row['counts']['gold']:,} entities."
            )


def _raw_text(metrics: Metrics) -> Iterator[str]:
    raw, f1 = metrics["raw_text"], metrics["f1"]
    if raw and raw["f1"] is not None and f1 is not None and f1 - raw["f1"] > 0.005:
        cut = raw["recall_by_tokens"]["cut otherwise"]
        same = raw["recall_by_tokens"]["as in the corpus"]
        yield (
            f"Raw text costs {100 * (f1 - raw['f1']):.1f} points: the tokenizer cuts {cut['gold']:,} "
            f"entities otherwise than the corpus (recall {percent(cut['recall'], 1)} there, "
            f"{percent(same['recall'], 1)} elsewhere)."
        )


def _scores(metrics: Metrics) -> Iterator[str]:
    """Say where the calibration error is larger than chance explains."""
    raw = metrics["raw_text"]
    for where, scores in (("", metrics["scores"]), (" on raw text", raw["scores"] if raw else None)):
        if scores is None:
            continue
        summary = scores["summary"]
        error, by_chance = summary["ece"], summary["ece_by_chance"]
        if error is not None and by_chance is not None and error > max(MIN_CALIBRATION_ERROR, by_chance):
            what_to_do = (
                "The pipeline was calibrated on texts unlike these: set thresholds by the report's score bands."
                if metrics["calibrated"]
                else "Calibrate before setting thresholds."
            )
            yield (
                f"The calibration error{where} is {100 * error:.1f} points, and chance explains at most "
                f"{100 * by_chance:.1f}: the mean score is {percent(summary['mean_score'], 1)} per cent, and "
                f"{percent(summary['precision'], 1)} per cent are right. {what_to_do}"
            )
            return


def _promises(metrics: Metrics) -> Iterator[str]:
    """Say of each promise whether it holds."""
    for promise in metrics["promises"]:
        for name, row in promise["rows"].items():
            for where, found in (("", row["gold_tokens"]), (" on raw text", row["raw_text"])):
                if found and found["share"] is not None and found["verdict"] != "held":
                    yield (
                        f"Promised {promise['measure']} of {name}{where}: {percent(row['promised'])} per cent, found "
                        f"{percent(found['share'])} of {found['entities']:,} entities: {found['verdict']}."
                    )
