"""The ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import spacy
from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from spacy.cli._util import setup_gpu
from spacy.language import Language

from spacy_bert_ner import __version__

from .analyze import analyze_router
from .endpoints import entities_router
from .error_responses import add_handlers
from .guards import Guards
from .huggingface import huggingface_router
from .metrics import ServiceMetrics
from .naming import name_models
from .served import Catalogue
from .service_settings import ServiceSettings

PAGE_FOLDER = Path(__file__).parent / "page"
DESCRIPTION = "Named entities with confidences, by three APIs: /v1/entities, /hf, /analyze. The page `/` shows them."


def make_app(loaders: Mapping[str, Callable[[], Language]], settings: ServiceSettings | None = None) -> FastAPI:
    """Make the application.

    loaders (Mapping[str, Callable[[], Language]]): Functions that load the pipelines, by name, the first the default;
        each is called in the only thread that uses its pipeline.
    settings (ServiceSettings | None): Limits and guards; None for the defaults.
    RETURNS (FastAPI): The application, for any ASGI server, with the pipelines loaded.
    RAISES: What the loaders raise.
    """
    settings = settings or ServiceSettings()
    metrics = ServiceMetrics()
    catalogue = Catalogue(loaders, settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for runner in catalogue:
            runner.start()
        yield
        for runner in catalogue:
            await asyncio.to_thread(runner.close)

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
    for router in (entities_router, huggingface_router, analyze_router):
        app.include_router(router)
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE_FOLDER))
    add_handlers(app)
    app.add_middleware(Guards, settings=settings, metrics=metrics)
    return app


def load_app(models: Sequence[str], settings: ServiceSettings, gpu_id: int = -1) -> FastAPI:
    """Load pipelines and create their application.

    models (Sequence[str]): Packages or folders, or NAME=PACKAGE or NAME=FOLDER.
    settings (ServiceSettings): Limits and guards.
    gpu_id (int): GPU, or -1 for the CPU.
    RETURNS (FastAPI): The application.
    RAISES: ValueError where a model does not exist or two have the same name.
    """
    return make_app({name: partial(_load, place, gpu_id) for name, place in name_models(models).items()}, settings)


def _load(place: str, gpu_id: int) -> Language:
    """RETURNS (Language): A pipeline on the chosen device."""
    # Thinc's choice of a device holds for one thread.
    setup_gpu(gpu_id, silent=True)
    return spacy.load(place)


async def _page() -> Response:
    """Serve the page."""
    return FileResponse(PAGE_FOLDER / "index.html", media_type="text/html; charset=utf-8")
