"""A package's meta.json: what a pipeline is, where it comes from, how good it is, what it was made of."""

from collections.abc import Iterable
from typing import Any

from spacy_bert_ner.storage.provenance import KEY, require, versions


def describe_package(
    meta: dict[str, Any],
    *,
    name: str,
    version_: str,
    licence: str | None = None,
    sources: Iterable[str] = (),
    scores: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Fill in a pipeline's meta.

    meta (dict[str, Any]): The meta that training wrote.
    name (str): Name of the package without its language.
    version_ (str): The package's version.
    licence (str | None): The licence that the training data and the encoder leave possible; None for the meta's own.
    sources (Iterable[str]): Training data and encoder.
    scores (dict[str, Any] | None): The measures of evaluation.evaluate on the test set.
    RETURNS (dict[str, Any]): The meta. "performance" holds test scores, those from raw text under "raw_ents_f", and the
        dev score under "dev_ents_f"; without test scores, what training wrote there.
    """
    require(meta)
    labels = {label for labels in meta.get("labels", {}).values() for label in labels}
    types = scores["types"] if scores else sorted(labels)
    what = f"Named-entity recognition ({', '.join(types)}) by a fine-tuned transformer and spacy-bert-ner."
    filled = {
        **meta,
        "name": name,
        "version": version_,
        "description": f"{what} {_spell_f1(scores)}".strip(),
        "license": meta.get("license", "") if licence is None else licence,
        # A pipeline that was trained further by hand brings no record.
        KEY: meta.get(KEY) or {"versions": versions()},
    }
    if named := list(sources):
        filled["sources"] = [{"name": source, "url": "", "license": "", "author": ""} for source in named]
    if scores:
        filled["performance"] = _performance(meta, scores)
    return filled


def _spell_f1(scores: dict[str, Any] | None) -> str:
    if scores is None:
        return ""
    f1 = "undefined" if scores["f1"] is None else f"{100 * scores['f1']:.2f}"
    return f"F1 on its test set: {f1}."


def _performance(meta: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    return {
        "ents_p": scores["precision"],
        "ents_r": scores["recall"],
        "ents_f": scores["f1"],
        "raw_ents_f": scores["raw_text"]["f1"] if scores["raw_text"] else None,
        "dev_ents_f": meta.get("performance", {}).get("ents_f"),
        "ents_per_type": {
            label: {"p": row["precision"], "r": row["recall"], "f": row["f1"]} for label, row in scores["types"].items()
        },
    }
