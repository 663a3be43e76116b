"""A teacher, a student and texts, small: what the tests of distillation share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Config, fix_random_seed

from spacy_bert_ner.training import running
from spacy_bert_ner.training.distillation.distillation import Distillation
from spacy_bert_ner.training.distillation.texts import Texts
from tests.scenarios import CNN, examples_of
from tests.training.training_runs import OUTPUT, contents, make_config, write_corpus

NER = {"factory": "bert_ner", "model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}}
TEXTS = ["Jane met Paris.", "IBM (the IBM) works near Jane", "nobody works", "  ", "Paris met IBM and Jane"]


def make_teacher(labels: Sequence[str] = ("MISC",), seed: int = 1, **settings: Any) -> Language:
    """RETURNS: A pipeline that knows the scenarios' labels and others, its weights drawn at random."""
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": NER["model"], **settings})
    known = sorted({ent.label_ for each in examples_of(nlp) for ent in each.reference.ents})
    component: Any = nlp.get_pipe("bert_ner")
    component.initialize(lambda: examples_of(nlp), nlp=nlp, labels=[*labels, *known])
    linear = next(node for node in component.model.get_ref("scorer").walk() if node.has_param("W"))
    linear.set_param("W", linear.ops.asarray2f(linear.ops.xp.random.normal(size=linear.get_param("W").shape)))
    return nlp


def write_problem(folder: Path, *, both_forms: bool = True) -> None:
    """Write corpora, config.cfg, the pipeline `teacher`, and texts.jsonl."""
    write_corpus(folder)
    student_config(both_forms=both_forms).to_disk(folder / "config.cfg")
    make_teacher().to_disk(folder / "teacher")
    lines = [json.dumps({"text": text}) for text in TEXTS * 4]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")


def student_config(*, both_forms: bool = True, **training: Any) -> Config:
    optimizer = {"@optimizers": "spacy-bert-ner.AdamW.v1", "learn_rate": 0.01}
    config = make_config({"bert_ner": NER}, {"optimizer": optimizer, "max_steps": 8, "eval_frequency": 4, **training})
    if both_forms:
        config["corpora"]["train"]["augmenter"] = {"@augmenters": "spacy-bert-ner.retokenize.v1"}
    return config


def distillation_of(**settings: Any) -> Distillation:
    texts = settings.pop("texts", ("texts.jsonl",))
    return Distillation(settings.pop("teachers", ("teacher",)), Texts(texts), **settings)


def distill(folder: Path, distillation: Distillation | None = None, **options: Any) -> dict[str, bytes]:
    """Train a student in a folder. RETURNS: The files that the run leaves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        running.train(Path("config.cfg"), OUTPUT, teaching=distillation or distillation_of(), **options)
        return contents()


def corpus_examples(folder: Path, nlp: Language) -> list[Example]:
    """RETURNS: The training corpus as the student gets it, in both forms."""
    from spacy.training import Corpus

    from spacy_bert_ner.rawtext.retokenizing import both_forms

    return list(Corpus(folder / "train.spacy", augmenter=both_forms)(nlp))


def text_docs(nlp: Language) -> list[Doc]:
    return [nlp.tokenizer(text) for text in TEXTS * 4]
