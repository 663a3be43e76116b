"""The ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import spacy
from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from spacy.language import Language

from spacy_bert_ner import __version__

from . import analyze, endpoints, huggingface
from .error_responses import add_handlers
from .guards import Guards
from .metrics import Metrics
from .naming import name_models
from .served import Catalogue
from .service_settings import Settings

PAGE = Path(__file__).parent / "page"
DESCRIPTION = "Named entities with confidences. The page `/` shows them; three forms of request find them."


def make_app(pipelines: Mapping[str, Language], settings: Settings | None = None) -> FastAPI:
    """Make the application.

    pipelines (Mapping[str, Language]): The pipelines by name, the first the default; the application calls them from
        threads of its own, so that nobody else may.
    settings (Settings | None): Limits and guards; None for the defaults.
    RETURNS (FastAPI): The application, for any ASGI server.
    """
    settings = settings or Settings()
    metrics = Metrics()
    catalogue = Catalogue(dict(pipelines), settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for room in catalogue:
            room.start()
        yield
        for room in catalogue:
            await asyncio.to_thread(room.close)

    # FastAPI's pages with documentation load scripts from elsewhere; /openapi.json stays.
    app = FastAPI(
        title="spacy-bert-ner",
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.catalogue = catalogue
    app.state.metrics = metrics
    for router in (endpoints.router, huggingface.router, analyze.router):
        app.include_router(router)
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    add_handlers(app)
    app.add_middleware(Guards, settings=settings, metrics=metrics)
    return app


def load_app(models: Sequence[str], settings: Settings) -> FastAPI:
    """Load pipelines and make their application.

    models (Sequence[str]): Packages or folders, or NAME=PACKAGE or NAME=FOLDER.
    settings (Settings): Limits and guards.
    RETURNS (FastAPI): The application.
    RAISES: ValueError where a model is not there or two have one name.
    """
    return make_app({name: spacy.load(place) for name, place in name_models(models).items()}, settings)


async def _page() -> Response:
    """Show the page."""
    return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")
