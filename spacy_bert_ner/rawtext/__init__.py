"""Raw text: what a corpus's tokens look like as a text that a pipeline's own tokenizer cuts, as users have it."""
