"""What to annotate next: texts of which a model is unsure and that are unlike each other, its entities marked."""
