"""Our own endpoints: what they answer, and what they say of what they cannot."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_bert_ner.serving.offsets import OffsetConverter
from spacy_bert_ner.serving.schemas import EntitiesResponse, ModelsResponse
from tests.serving.services import FAULT, asking, make_cnn, make_ruler

TEXT = "Jane met IBM near Paris"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with asking({"cnn": make_cnn(), "rules": make_ruler(faulty=True)}) as client:
        yield client


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    """Ask for entities. RETURNS: The answer, which is of the documented form."""
    response = client.post("/v1/entities", json=body)
    assert response.status_code == 200, response.text
    EntitiesResponse.model_validate_json(response.text, strict=True)
    answer: dict[str, Any] = response.json()
    return answer


def test_one_text(client: TestClient) -> None:
    answer = ask(client, text=TEXT)
    (result,) = answer["results"]
    assert answer["model"] == "cnn"
    assert answer["warnings"] == []
    assert [(ent["start"], ent["end"], ent["label"], ent["text"]) for ent in result["entities"]] == [
        (0, 4, "PER", "Jane"),
        (9, 12, "ORG", "IBM"),
        (18, 23, "LOC", "Paris"),
    ]
    for ent in result["entities"]:
        assert 0.5 < ent["confidence"] <= 1
        assert ent["runner_up"]["confidence"] < ent["confidence"]
        assert ent["runner_up"]["label"] != ent["label"]


def test_several_texts_each_get_their_own(client: TestClient) -> None:
    answer = ask(client, texts=["Jane", "", "   ", "Geneva and Jane"], model="rules")
    assert [[ent["text"] for ent in result["entities"]] for result in answer["results"]] == [
        ["Jane"],
        [],
        [],
        ["Geneva", "Jane"],
    ]
    assert answer["results"][0]["entities"][0]["confidence"] is None
    assert answer["results"][0]["entities"][0]["runner_up"] is None
    assert ask(client, texts=[])["results"] == []


def test_one_bad_text_fails_alone(client: TestClient) -> None:
    first, second = ask(client, texts=[FAULT, "Jane"], model="rules")["results"]
    assert first == {
        "entities": None,
        "error": "The pipeline fails on this text with ValueError: the service's log says where",
    }
    assert [ent["text"] for ent in second["entities"]] == ["Jane"]
    response = client.post("/v1/entities", json={"text": FAULT, "model": "rules"})
    assert response.status_code == 422
    assert response.json() == {"error": first["error"]}


def test_entities_are_chosen_by_label_and_confidence(client: TestClient) -> None:
    every = ask(client, text=TEXT)["results"][0]["entities"]
    assert ask(client, text=TEXT, labels=["ORG", "LOC"])["results"][0]["entities"] == every[1:]
    least = min(ent["confidence"] for ent in every)
    assert len(ask(client, text=TEXT, min_confidence=least)["results"][0]["entities"]) == 3
    assert len(ask(client, text=TEXT, min_confidence=least + 1e-6)["results"][0]["entities"]) == 2
    assert ask(client, text=TEXT, labels=[])["results"][0]["entities"] == []


def test_what_has_no_effect_is_said(client: TestClient) -> None:
    assert ask(client, text=TEXT, labels=["ORG", "GPE"])["warnings"] == [
        "labels: the model knows no 'GPE'; it knows 'LOC', 'ORG', 'PER'"
    ]
    answer = ask(client, text="Jane", min_confidence=0.9, model="rules")
    assert answer["warnings"] == ["min_confidence: the model gives 1 of 1 entities no confidence; they stay"]
    assert len(answer["results"][0]["entities"]) == 1


def test_offsets_for_javascript(client: TestClient) -> None:
    text = "🚀🚀 Jane 🚀 Geneva"
    plain = ask(client, text=text, model="rules")["results"][0]["entities"]
    units = ask(client, text=text, model="rules", offsets="utf16")["results"][0]["entities"]
    assert [(ent["start"], ent["end"]) for ent in plain] == [(3, 7), (10, 16)]
    assert [(ent["start"], ent["end"]) for ent in units] == [(5, 9), (13, 19)]
    assert [ent["text"] for ent in units] == ["Jane", "Geneva"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_positions_are_counted_as_javascript_does(text: str) -> None:
    utf16, plain = OffsetConverter(text, utf16=True), OffsetConverter(text, utf16=False)
    for i in range(len(text) + 1):
        assert utf16(i) == len(text[:i].encode("utf-16-le")) // 2
        assert plain(i) == i


# Bodies, and what the message must hold: what was found, and what was expected.
BAD = [
    ({}, 422, "found neither of `text` and `texts`"),
    ({"text": "a", "texts": ["a"]}, 422, "found both of `text` and `texts`"),
    ({"text": 3}, 422, "text: Input should be a valid string"),
    ({"texts": ["a", None]}, 422, "texts.1: Input should be a valid string"),
    ({"texts": ["a", "b\ud800"]}, 422, "texts.1: found half of a surrogate pair at character 1, expected whole"),
    ({"text": "a", "labels": ["\udfff"]}, 422, "labels.0: found half of a surrogate pair at character 0"),
    ({"texts": "a"}, 422, "texts: Input should be a valid list"),
    ({"text": "a", "labls": ["PER"]}, 422, "labls: unknown field"),
    ({"text": "a", "min_confidence": "0.5"}, 422, "min_confidence: Input should be a valid number"),
    ({"text": "a", "min_confidence": True}, 422, "min_confidence: Input should be a valid number"),
    ({"text": "a", "min_confidence": 95}, 422, "min_confidence: Input should be less than or equal to 1"),
    ({"text": "a", "offsets": "bytes"}, 422, "offsets: Input should be 'characters' or 'utf16'"),
    ({"text": "a", "model": "nn"}, 404, "model: found 'nn', expected one of 'cnn', 'rules'"),
    (["a"], 422, "expected a JSON object"),
    ("a", 422, "expected a JSON object"),
    (None, 422, "expected a JSON object"),
]


@pytest.mark.parametrize(("body", "status", "message"), BAD, ids=[str(row[0])[:40] for row in BAD])
def test_a_wrong_body_is_explained(client: TestClient, body: Any, status: int, message: str) -> None:
    response = client.post("/v1/entities", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert message in response.json()["error"]
    assert set(response.json()) == {"error"}


def test_errors_are_few_and_quote_little(client: TestClient) -> None:
    secret = "a secret text"
    response = client.post("/v1/entities", json={"texts": [[secret]] * 50, secret * 50: 1})
    assert "and 46 more" in response.json()["error"]
    assert len(response.text) < 1000
    assert f"[{secret!r}]" not in response.text


def test_models_are_described(client: TestClient) -> None:
    response = client.get("/v1/models")
    ModelsResponse.model_validate_json(response.text, strict=True)
    cnn, rules = response.json()["models"]
    assert (cnn["name"], rules["name"]) == ("cnn", "rules")
    assert cnn["labels"] == ["LOC", "ORG", "PER"]
    assert rules["labels"] == ["LOC", "PER"]
    assert cnn["pipeline"] == ["bert_ner"]
    assert cnn["calibration"] == {"bert_ner": {"calibrated": False, "temperature": 1.0, "offsets": {}}}
    assert rules["calibration"] == {}
    assert rules["versions"] == {}
    assert set(rules["served_by"]) == {"spacy-bert-ner", "spacy"}


def test_scores_and_calibration_come_from_the_pipeline() -> None:
    nlp = make_cnn()
    nlp.meta["performance"] = {"ents_f": 0.9, "ents_per_type": {"PER": {"f": 0.9}}, "speed": 100}
    nlp.get_pipe("bert_ner").cfg["temperature"] = 1.5  # type: ignore[attr-defined]
    with asking({"cnn": nlp}) as client:
        (model,) = client.get("/v1/models").json()["models"]
    assert model["scores"] == {"ents_f": 0.9, "ents_per_type": {"PER": {"f": 0.9}}}
    assert model["calibration"]["bert_ner"]["calibrated"]


def test_health_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    ask(client, texts=[TEXT, TEXT])
    ask(client, texts=[FAULT, "Jane"], model="rules")
    client.get("/nowhere/secret")
    figures = client.get("/metrics").text
    for line in (
        'bert_ner_requests_total{route="/v1/entities",status="200"}',
        'bert_ner_request_seconds_bucket{le="+Inf",route="/v1/entities"}',
        'bert_ner_words_total{model="cnn"}',
        'bert_ner_queue_words{model="cnn"} 0.0',
        'bert_ner_text_failures_total{model="rules"}',
        'bert_ner_requests_total{route="other",status="404"}',
    ):
        assert line in figures
    assert "secret" not in figures


def test_the_schema_describes_what_there_is(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/v1/entities",
        "/v1/models",
        "/hf",
        "/hf/{model}",
        "/analyze",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    operation = schema["paths"]["/v1/entities"]["post"]
    assert {"200", "401", "413", "422", "503", "504"} <= set(operation["responses"])
    assert schema["components"]["schemas"]["EntitiesRequest"]["properties"]["texts"]["examples"]
    assert client.get("/docs").status_code == 404


@settings(max_examples=30)
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40), max_size=5))
def test_any_text_is_read(texts: list[str]) -> None:
    answer = ask(ANY, texts=texts, offsets="utf16")
    for text, result in zip(texts, answer["results"], strict=True):
        units = text.encode("utf-16-le")
        for ent in result["entities"]:
            assert units[2 * ent["start"] : 2 * ent["end"]].decode("utf-16-le") == ent["text"]


@pytest.fixture(scope="module", autouse=True)
def any_client(client: TestClient) -> None:
    global ANY
    ANY = client


ANY: TestClient
