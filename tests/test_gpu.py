"""The same on a GPU as on the CPU."""

from pathlib import Path

import pytest
import spacy
import torch
from spacy.training import Example
from thinc.api import require_cpu

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False"),
    # thinc 8.3 hands arrays to torch by a method that CuPy deprecates.
    pytest.mark.filterwarnings("ignore:.*[dD]lpack"),
]
TEXT = "Jane Smith met IBM in Paris on Monday"
GOLD = {"entities": [(0, 10, "PER"), (15, 18, "ORG"), (22, 27, "LOC")]}


@pytest.fixture
def gpu():
    pytest.importorskip("cupy", reason="no cupy: install the extra cuda12x")
    spacy.require_gpu()
    yield
    require_cpu()


def test_trains_and_what_it_learnt_predicts_the_same_on_the_cpu(gpu, tiny_bert: Path, tmp_path: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": {"name": str(tiny_bert)}}})
    example = Example.from_dict(nlp.make_doc(TEXT), GOLD)
    optimizer = nlp.initialize(lambda: [example])
    optimizer.learn_rate = 0.003
    for _ in range(60):
        nlp.update([example], sgd=optimizer)
    found = [(ent.start_char, ent.end_char, ent.label_) for ent in nlp(TEXT).ents]
    assert found == GOLD["entities"]
    nlp.to_disk(tmp_path)
    require_cpu()
    doc = spacy.load(tmp_path)(TEXT)
    assert [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] == found
