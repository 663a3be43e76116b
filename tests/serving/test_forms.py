"""The forms of others, by their own clients where those can be installed beside us."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from huggingface_hub import InferenceClient

from spacy_bert_ner.serving.app import make_app
from tests.serving.services import FAULT, asking, make_cnn, make_ruler, serving

TEXT = "Jane met IBM near Paris"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with asking({"cnn": make_cnn(), "rules": make_ruler("de", faulty=True)}, default_score=0.7) as client:
        yield client


def post(client: TestClient, path: str, body: dict[str, Any], status: int = 200) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


# --- Hugging Face ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [None, "simple", "first", "average", "max"])
def test_entities_are_a_flat_list(client: TestClient, strategy: str | None) -> None:
    parameters = {"aggregation_strategy": strategy} if strategy else None
    found = post(client, "/hf", {"inputs": TEXT, "parameters": parameters})
    assert [(each["entity_group"], each["word"], each["start"], each["end"]) for each in found] == [
        ("PER", "Jane", 0, 4),
        ("ORG", "IBM", 9, 12),
        ("LOC", "Paris", 18, 23),
    ]
    assert all(0.5 < each["score"] <= 1 for each in found)
    assert set(found[0]) == {"entity_group", "score", "word", "start", "end"}


def test_without_aggregation_there_are_words() -> None:
    nlp = make_ruler()
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "Acme Ltd"}])  # type: ignore[attr-defined]
    with asking({"rules": nlp}) as client:
        body = {"inputs": "to Acme Ltd", "parameters": {"aggregation_strategy": "none"}}
        assert post(client, "/hf", body) == [
            {"entity": "B-ORG", "score": 0.85, "index": 2, "word": "Acme", "start": 3, "end": 7},
            {"entity": "I-ORG", "score": 0.85, "index": 3, "word": "Ltd", "start": 8, "end": 11},
        ]
        body["parameters"]["ignore_labels"] = ["I-ORG"]
        assert len(post(client, "/hf", body)) == 1


def test_several_inputs_several_lists(client: TestClient) -> None:
    found = post(client, "/hf/rules", {"inputs": ["Jane", "nobody"]})
    assert found == [[{"entity_group": "PER", "score": 0.7, "word": "Jane", "start": 0, "end": 4}], []]


def test_labels_are_ignored(client: TestClient) -> None:
    found = post(client, "/hf", {"inputs": TEXT, "parameters": {"ignore_labels": ["O", "PER"]}})
    assert [each["entity_group"] for each in found] == ["ORG", "LOC"]


def test_parameters_that_are_ignored_are_named(client: TestClient) -> None:
    body = {"inputs": TEXT, "options": {"use_cache": False}, "parameters": {"stride": 8, "x\r\nSet-Cookie: a": 1}}
    response = client.post("/hf", json=body)
    assert response.headers["X-Ignored-Parameters"] == "options, parameters.stride, ..."
    assert "set-cookie" not in response.headers
    assert "X-Ignored-Parameters" not in client.post("/hf", json={"inputs": TEXT}).headers


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (
            "/hf",
            {"inputs": "a", "parameters": {"aggregation_strategy": "sum"}},
            400,
            "found 'sum', expected one of 'none'",
        ),
        ("/hf/nobody", {"inputs": "a"}, 404, "model: found 'nobody', expected one of 'cnn', 'rules'"),
        ("/hf/rules", {"inputs": FAULT}, 422, "The pipeline fails on this text with ValueError"),
        ("/hf/rules", {"inputs": ["a", FAULT]}, 422, "text 1: The pipeline fails"),
        ("/hf", {}, 422, "inputs: is missing"),
        ("/analyze", {"text": "a"}, 422, "language: is missing"),
        ("/analyze", {"text": "a", "language": "fr"}, 400, "language: found 'fr', expected one of 'en', 'de'"),
        ("/analyze", {"text": "a", "language": "en", "entities": ["CAR"]}, 400, "found 'CAR', expected some of 'LOC'"),
        (
            "/analyze",
            {"text": "a", "language": "en", "score_threshold": 2},
            422,
            "score_threshold: Input should be less",
        ),
        ("/analyze", {"text": FAULT, "language": "de"}, 422, "The pipeline fails on this text"),
    ],
)
def test_what_cannot_be_answered_is_explained(
    client: TestClient, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    assert message in post(client, path, body, status)["error"]


def test_hugging_faces_own_client() -> None:
    app = make_app({"cnn": make_cnn, "rules": make_ruler})
    with serving(app) as address:
        found = InferenceClient(model=f"{address}/hf").token_classification(TEXT, aggregation_strategy="simple")
        assert [(each.entity_group, each.word, each.start, each.end) for each in found] == [
            ("PER", "Jane", 0, 4),
            ("ORG", "IBM", 9, 12),
            ("LOC", "Paris", 18, 23),
        ]
        words = InferenceClient(model=f"{address}/hf/rules").token_classification("Jane", aggregation_strategy="none")
        assert [each.entity for each in words] == ["B-PER"]


# --- Presidio --------------------------------------------------------------------------------------------------------


def test_presidios_names_and_ours(client: TestClient) -> None:
    found = post(client, "/analyze", {"text": TEXT, "language": "en"})
    assert [(each["entity_type"], each["start"], each["end"]) for each in found] == [
        ("PERSON", 0, 4),
        ("ORGANIZATION", 9, 12),
        ("LOCATION", 18, 23),
    ]
    for names in (["PERSON", "EMAIL_ADDRESS"], ["PER"]):
        chosen = post(client, "/analyze", {"text": TEXT, "language": "en", "entities": names})
        assert chosen == found[:1]


def test_a_threshold_and_several_texts(client: TestClient) -> None:
    body = {"text": ["Jane", "nobody"], "language": "de"}
    assert post(client, "/analyze", body) == [[{"entity_type": "PERSON", "start": 0, "end": 4, "score": 0.7}], []]
    assert post(client, "/analyze", {**body, "score_threshold": 0.71}) == [[], []]


def test_what_presidio_has_and_we_do_not_is_named(client: TestClient) -> None:
    body = {"text": TEXT, "language": "en", "correlation_id": "7", "return_decision_process": False}
    response = client.post("/analyze", json=body)
    assert response.headers["X-Ignored-Parameters"] == "correlation_id, return_decision_process"


def test_the_engine_hands_confidences_to_presidio(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for presidio-analyzer; scripts/try_presidio.py does it with the real one."""

    class SpacyNlpEngine:
        ner_model_configuration = types.SimpleNamespace(default_score=0.85)

    stand_in = types.ModuleType("presidio_analyzer.nlp_engine")
    stand_in.SpacyNlpEngine = SpacyNlpEngine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "presidio_analyzer", types.ModuleType("presidio_analyzer"))
    monkeypatch.setitem(sys.modules, "presidio_analyzer.nlp_engine", stand_in)
    monkeypatch.delitem(sys.modules, "spacy_bert_ner.serving.presidio", raising=False)
    from spacy_bert_ner.serving.presidio import ConfidentNlpEngine

    monkeypatch.delitem(sys.modules, "spacy_bert_ner.serving.presidio")
    doc = make_cnn()(TEXT)
    scores = ConfidentNlpEngine()._get_scores_for_entities(doc)
    assert scores == pytest.approx([ent._.confidence for ent in doc.ents], abs=1e-6)
    assert ConfidentNlpEngine()._get_scores_for_entities(make_ruler()("Jane")) == [0.85]


def test_without_presidio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    monkeypatch.delitem(sys.modules, "spacy_bert_ner.serving.presidio", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'spacy-bert-ner\[presidio\]'"):
        import spacy_bert_ner.serving.presidio  # noqa: F401
