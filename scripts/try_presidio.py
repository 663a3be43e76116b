"""Show that a pipeline's confidences are the scores that Presidio reports.

    python scripts/try_presidio.py MODEL TEXT

Runs in an environment with the extra `presidio`; `nox -s presidio -- MODEL TEXT` makes one. Exits with 1 where an
entity's score is not its confidence.
"""

import sys

import spacy
from presidio_analyzer import AnalyzerEngine
from wasabi import msg

from spacy_bert_ner.serving.presidio import ConfidentNlpEngine


def main() -> None:
    """Analyze a text and compare."""
    model, text = sys.argv[1:]
    nlp = spacy.load(model)
    confidences = {(ent.start_char, ent.end_char): ent._.confidence for ent in nlp(text).ents}
    engine = ConfidentNlpEngine(models=[{"lang_code": nlp.lang, "model_name": model}])
    engine.load()
    results = AnalyzerEngine(nlp_engine=engine, supported_languages=[nlp.lang]).analyze(text, language=nlp.lang)
    rows = [
        (text[each.start : each.end], each.entity_type, round(each.score, 4), confidences.get((each.start, each.end)))
        for each in results
    ]
    msg.table(rows, header=("text", "entity_type", "score", "confidence"), divider=True)
    shared = [row for row in rows if row[3] is not None]
    if not shared or any(abs(score - confidence) > 1e-3 for _, _, score, confidence in shared):
        msg.fail("Presidio's scores are not the pipeline's confidences", exits=1)
    msg.good("Presidio's scores are the pipeline's confidences")


if __name__ == "__main__":
    main()
