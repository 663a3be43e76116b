"""`python -m spacy_bert_ner …`: the commands, without waiting for spaCy where they do not need it."""

from .commands.cli_app import bert_ner_cli

if __name__ == "__main__":
    bert_ner_cli(prog_name="python -m spacy_bert_ner")
