"""The subcommands of `python -m spacy bert-ner`, one module each; `cli` registers them."""
