"""The served pipelines, by name, and their descriptions."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import spacy
from spacy.language import Language

from spacy_bert_ner import __version__

from .batching import ModelRunner
from .error_responses import RefusalError, listing, shorten
from .metrics import ServiceMetrics
from .service_settings import ServiceSettings


class Catalogue:
    """The models that are served.

    loaders (Mapping[str, Callable[[], Language]]): Functions that load the pipelines, by name, the first the default;
        each is called in its model's thread.
    settings (ServiceSettings): Limits.
    metrics (ServiceMetrics): Receives counts and times.
    """

    def __init__(
        self, loaders: Mapping[str, Callable[[], Language]], settings: ServiceSettings, metrics: ServiceMetrics
    ) -> None:
        self.runners = {name: ModelRunner(name, load, settings, metrics) for name, load in loaders.items()}
        self.facts = {name: describe_model(name, runner.nlp) for name, runner in self.runners.items()}

    def __iter__(self) -> Iterator[ModelRunner]:
        return iter(self.runners.values())

    def find(self, name: str | None) -> ModelRunner:
        """Look a model up. RETURNS (ModelRunner): The model, or the first one where no name is given.

        RAISES: RefusalError, 404 where there is none of that name.
        """
        if name is None:
            return next(iter(self))
        if name not in self.runners:
            raise RefusalError(
                404, f"model: found {shorten(name)}, expected one of {listing(list(self.runners))}", "model"
            )
        return self.runners[name]

    def find_by_language(self, language: str) -> ModelRunner:
        """Look a model up by its language. RETURNS (ModelRunner): The first one.

        language (str): Such as "en".
        RAISES: RefusalError, 400 where none has that language.
        """
        for runner in self:
            if runner.nlp.lang == language:
                return runner
        spoken = list(dict.fromkeys(str(runner.nlp.lang) for runner in self))
        raise RefusalError(400, f"language: found {shorten(language)}, expected one of {listing(spoken)}", "language")


def describe_model(name: str, nlp: Language) -> dict[str, Any]:
    """Describe a pipeline, mostly by its meta.json.

    name (str): The name by which it is served.
    nlp (Language): The pipeline.
    RETURNS (dict[str, Any]): See schemas.Model.
    """
    meta = nlp.meta
    return {
        "name": name,
        "package": f"{meta['lang']}_{meta['name']}",
        "version": meta["version"],
        "lang": meta["lang"],
        "description": meta.get("description", ""),
        "license": meta.get("license", ""),
        "pipeline": list(nlp.pipe_names),
        "labels": declared_labels(nlp),
        "scores": {key: value for key, value in meta.get("performance", {}).items() if key.startswith("ents_")},
        "versions": meta.get("spacy_bert_ner", {}).get("versions", {}),
        "served_by": {"spacy-bert-ner": __version__, "spacy": spacy.__version__},
        "calibration": calibrations(nlp),
    }


def declared_labels(nlp: Language) -> list[str]:
    """RETURNS (list[str]): The labels that the components that set doc.ents declare, sorted."""
    setters = [name for name in nlp.pipe_names if "doc.ents" in nlp.get_pipe_meta(name).assigns]
    return sorted({str(label) for name in setters for label in getattr(nlp.get_pipe(name), "labels", ())})


def calibrations(nlp: Language) -> dict[str, dict[str, Any]]:
    """RETURNS (dict[str, dict[str, Any]]): By component, its calibration, where it has one, and its promise."""
    found = {}
    for name, component in nlp.pipeline:
        cfg = getattr(component, "cfg", None)
        if isinstance(cfg, dict) and "temperature" in cfg:
            offsets = cfg.get("offsets", {})
            calibrated = cfg["temperature"] != 1.0 or bool(offsets)
            found[name] = {"calibrated": calibrated, "temperature": cfg["temperature"], "offsets": offsets}
            if cfg.get("promise"):
                found[name]["promise"] = cfg["promise"]
    return found
