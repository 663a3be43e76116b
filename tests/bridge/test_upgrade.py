"""Pipelines of 0.1.0 in the one-component form: what that version saved, and configs that it could write."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bert_ner.bridge.upgrading import plan_upgrade, upgrade
from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.storage.models import DamagedModelError
from tests.storage.test_fixtures import check as check_fixture

FIXTURE = Path(__file__).parents[1] / "fixtures" / "v0.1.0"
OLD = FIXTURE / "model"
ENCODER = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": "encoder", "window": 64}
LISTENER = {"@architectures": "spacy-bert-ner.TransformerListener.v1", "upstream": "*", "grad_factor": 1.0}


def check(nlp: Language) -> None:
    check_fixture(nlp, FIXTURE)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(bert_ner_cli, ["upgrade", *arguments])


def test_the_command(tmp_path: Path) -> None:
    result = run(str(OLD), str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    nlp = spacy.load(tmp_path / "new")
    assert nlp.pipe_names == ["bert_ner"]
    check(nlp)
    meta = json.loads((tmp_path / "new" / "meta.json").read_text(encoding="utf8"))
    before = json.loads((OLD / "meta.json").read_text(encoding="utf8"))
    assert {key: meta[key] for key in ("lang", "name", "version")} == {
        key: before[key] for key in ("lang", "name", "version")
    }
    assert any(each.startswith("spacy-bert-ner[torch]") for each in meta["requirements"])
    again = run(str(OLD), str(tmp_path / "new"))
    assert again.exit_code == 1
    assert "--force" in again.output
    assert run(str(OLD), str(tmp_path / "new"), "--force").exit_code == 0


def test_it_learns_on(tmp_path: Path) -> None:
    nlp, notes = upgrade(OLD)
    assert notes == []
    check(nlp)
    optimizer = nlp.resume_training()
    doc = nlp.make_doc("Jane Smith lives in Paris.")
    gold = spacy.training.Example.from_dict(doc, {"entities": [(0, 10, "PER"), (20, 25, "LOC")]})
    losses = [nlp.update([gold], sgd=optimizer)["bert_ner"] for _ in range(10)]
    assert losses[-1] < losses[0]


def test_other_components_are_kept(tmp_path: Path) -> None:
    """A ruler before, and a tagger with a tok2vec of its own behind: put into the saved pipeline by hand."""
    old = Path(shutil.copytree(OLD, tmp_path / "old"))
    other = spacy.blank("en")
    other.add_pipe("tagger").add_label("N")  # type: ignore[attr-defined]
    other.initialize()
    other.add_pipe("entity_ruler").add_patterns([{"label": "JOB", "pattern": "engineers"}])  # type: ignore[attr-defined]
    config = spacy.util.load_config(old / "config.cfg")
    for name in ("entity_ruler", "tagger"):
        other.get_pipe(name).to_disk(old / name)  # type: ignore[attr-defined]
        config["components"][name] = other.config["components"][name]
    config["nlp"]["pipeline"] = ["entity_ruler", *config["nlp"]["pipeline"], "tagger"]
    config.to_disk(old / "config.cfg")
    nlp, _ = upgrade(old)
    nlp.to_disk(tmp_path / "new")
    for pipeline in (nlp, spacy.load(tmp_path / "new")):
        assert pipeline.pipe_names == ["entity_ruler", "bert_ner", "tagger"]
        doc = pipeline("The engineers of Acme Tools met in London on Monday.")
        assert ("engineers", "JOB") in [(ent.text, ent.label_) for ent in doc.ents]
        assert ("London", "LOC") in [(ent.text, ent.label_) for ent in doc.ents]
        assert all(token.tag_ == "N" for token in doc)


@pytest.mark.parametrize("file", ["transformer/model", "bert_ner/model"])
def test_damage_is_said(tmp_path: Path, file: str) -> None:
    old = Path(shutil.copytree(OLD, tmp_path / "old"))
    content = (old / file).read_bytes()
    (old / file).write_bytes(content[:-40] + b"\0" + content[-39:])
    with pytest.raises(DamagedModelError, match="is damaged"):
        upgrade(old)


def config_of(**components: Any) -> Config:
    return Config({"nlp": {"lang": "en", "pipeline": list(components)}, "components": components, "training": {}})


def transformer(**settings: Any) -> dict[str, Any]:
    return {"factory": "transformer", "model": dict(ENCODER), **settings}


def bert_ner(**listener: Any) -> dict[str, Any]:
    return {"factory": "bert_ner", "model": {"pieces": "mean", "tok2vec": {**LISTENER, **listener}}}


CLEANER = {"factory": "doc_cleaner", "attrs": {"_.trf_data": None}}
TAGGER = {"factory": "tagger", "model": {"tok2vec": {"@architectures": "spacy-transformers.TransformerListener.v1"}}}


def test_configs() -> None:
    plan = plan_upgrade(config_of(transformer=transformer(), bert_ner=bert_ner(), doc_cleaner=CLEANER))
    assert plan.config["nlp"]["pipeline"] == ["bert_ner"]
    assert plan.config["components"] == {
        "bert_ner": {
            "factory": "bert_ner",
            "model": {
                "pieces": "mean",
                "tok2vec": {"@architectures": "spacy-bert-ner.Encoder.v1", "name": "encoder", "window": 64},
            },
        }
    }
    assert plan.notes == []


def test_what_has_no_counterpart_is_said() -> None:
    cleaner = {"factory": "doc_cleaner", "attrs": {"_.trf_data": None, "_.mine": None}}
    config = config_of(
        encoder=transformer(max_batch_items=99), names=bert_ner(upstream="encoder", grad_factor=0.5), clean=cleaner
    )
    config["training"] = {"frozen_components": ["encoder", "x"], "annotating_components": ["encoder"]}
    plan = plan_upgrade(config)
    assert plan.config["nlp"]["pipeline"] == ["names", "clean"]
    assert plan.config["components"]["clean"]["attrs"] == {"_.mine": None}
    assert plan.config["components"]["names"]["model"]["tok2vec"]["trainable"] is False
    assert plan.config["training"] == {"frozen_components": ["x"], "annotating_components": []}
    said = "\n".join(plan.notes)
    assert all(word in said for word in ("max_batch_items = 99", "grad_factor = 0.5", "trainable = false", "_.mine"))


def test_two_that_shared_an_encoder_have_one_each() -> None:
    plan = plan_upgrade(config_of(transformer=transformer(), a=bert_ner(), b=bert_ner()))
    assert plan.config["nlp"]["pipeline"] == ["a", "b"]
    assert {origin.component for origin in plan.origins.values()} == {"transformer"}
    assert "a, b shared the encoder" in plan.notes[0]


def test_an_encoder_that_replaced_a_listener() -> None:
    alone = {"@architectures": "spacy-bert-ner.Tok2VecTransformer.v1", "transformer": dict(ENCODER)}
    plan = plan_upgrade(config_of(bert_ner={"factory": "bert_ner", "model": {"tok2vec": alone}}))
    assert plan.origins["bert_ner"].component == "bert_ner"
    assert plan.config["components"]["bert_ner"]["model"]["tok2vec"]["name"] == "encoder"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (config_of(transformer=transformer(), bert_ner=bert_ner(), tagger=TAGGER), "tagger read the transformer"),
        (config_of(ner={"factory": "ner"}), "There is nothing to upgrade"),
        (config_of(bert_ner=bert_ner(), transformer=transformer()), "no component before it"),
        (config_of(transformer=transformer(), bert_ner=bert_ner(upstream="other")), "upstream = 'other'"),
    ],
)
def test_refused(config: Config, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_upgrade(config)


def test_no_pipeline(tmp_path: Path) -> None:
    for name, what in (("nowhere", "neither a folder nor a pipeline's package"), (str(tmp_path), "without a pipeline")):
        said = " ".join(run(name, str(tmp_path / "new")).output.split())
        assert f"{what} Expected a trained pipeline, such as training/model-best" in said
    (tmp_path / "meta.json").write_text("{}", encoding="utf8")
    assert "holds no config.cfg" in run(str(tmp_path), str(tmp_path / "new")).output
