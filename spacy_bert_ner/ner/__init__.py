"""The `bert_ner` component: its head, gold tags, losses, decoded batches, annotations."""
