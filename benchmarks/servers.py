"""Servers to hold the receiver against: one that answers without any work, one that sends inside the request."""

from __future__ import annotations

import sys
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from jitprov.domain.ids import provisioning_id_from
from jitprov.pipeline.chain import enqueue, publish_impatiently


def noop() -> FastAPI:
    """Return a server that reads the body and answers."""
    app = FastAPI()

    @app.post("/events")
    async def take(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"accepted": [], "ignored": 0}, 202)

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        return JSONResponse({})

    return app


def inside() -> FastAPI:
    """Return a server that does what tutorials do: `apply_async` in the request, in FastAPI's thread pool."""
    app = FastAPI()
    publish_impatiently()

    @app.post("/events")
    def take(body: dict[str, object]) -> JSONResponse:
        enqueue(provisioning_id_from(uuid4()))
        return JSONResponse({"accepted": [], "ignored": len(body) * 0}, 202)

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        return JSONResponse({})

    return app


if __name__ == "__main__":
    chosen = {"noop": noop, "inside": inside}[sys.argv[1]]()
    uvicorn.run(chosen, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
