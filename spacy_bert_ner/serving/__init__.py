"""A pipeline as an HTTP service, with a page to look at it.

    request ─► guards: key, size, time ─► endpoints ─► batching: a thread a model ─► nlp.pipe ─► plain data ─► response

It works with any spaCy pipeline that sets doc.ents, and imports nothing else of this package.
"""
