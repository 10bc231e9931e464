"""The application: its routes, and how a request becomes an answer."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from humanclap.errors import InputError
from humanclap.scoring.staged import StagedCLAP
from humanclap.serving import guard
from humanclap.serving.batching import Batcher, BatchReply, BusyError, Job, TooLongError
from humanclap.serving.bodies import JSON, MULTIPART, PackedRequest, ScoreRequest, job_of
from humanclap.serving.counters import Metrics
from humanclap.serving.packed import MEDIA_TYPE
from humanclap.serving.receiving import GoneError, Held, RefusedError, received
from humanclap.serving.replies import ModelReply, Refused, ScoreReply, model_reply, score_reply
from humanclap.serving.settings import ServiceSettings
from humanclap.version import __version__

_REF = "#/components/schemas/{model}"
_GONE = 499
"""For a client that went away. Nobody reads this status, but the metrics count it."""


class Service:
    """One model behind HTTP; `app` is its ASGI application."""

    def __init__(self, scorer: StagedCLAP, settings: ServiceSettings) -> None:
        self._scorer = scorer
        self._settings = settings
        self._metrics = Metrics()
        self._batcher = Batcher(scorer, settings, self._metrics)
        self._held = Held(settings.most_waiting, self._metrics)
        self._parsers = ThreadPoolExecutor(2, "humanclap-parse")
        api = FastAPI(
            title="humanclap",
            version=__version__,
            description="How well audio matches text, as people hear it.",
            docs_url=None,
            redoc_url=None,
            openapi_url=guard.OPENAPI,
        )
        self._add_routes(api)
        api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
        api.add_exception_handler(HTTPException, _http_error)
        api.add_exception_handler(Exception, _own_fault)
        self.app = guard.Guard(api, settings, self._metrics)

    def stop(self) -> None:
        """Answer the requests that were taken, and end the threads."""
        self._batcher.stop()
        self._parsers.shutdown()

    def _add_routes(self, api: FastAPI) -> None:
        refused: dict[int | str, dict[str, Any]] = {
            code: {"model": Refused} for code in (400, 401, 403, 408, 413, 415, 429)
        }
        refused[422] = {"model": ScoreReply, "description": "No pair has a score, or bad request."}
        api.add_api_route(
            guard.SCORE,
            self._score,
            methods=["POST"],
            response_model=ScoreReply,
            responses=refused,
            summary="Score one pair of audio and text, or many.",
            openapi_extra={"requestBody": _request_body()},
        )
        api.add_api_route(
            guard.MODEL, self._model, response_model=ModelReply, summary="The model and the limits."
        )
        api.add_api_route(guard.METRICS, self._render, summary="Metrics for Prometheus.")
        api.add_api_route(guard.LIVE, self._live, summary="Whether the process answers.")
        api.add_api_route(guard.READY, self._ready, summary="Whether it takes work.")

    async def _model(self) -> Response:
        return JSONResponse(model_reply(self._scorer, self._settings))

    async def _render(self) -> Response:
        return Response(self._metrics.render(), media_type=self._metrics.content_type)

    async def _live(self) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self) -> Response:
        alive = self._batcher.alive
        status = {"status": "ok" if alive else "the service is stopping"}
        return JSONResponse(status, status_code=200 if alive else 503)

    async def _score(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.timeout_s
        held = 0
        try:
            self._batcher.arriving += 1
            try:
                retry_s = self._batcher.retry_s(self._settings.pairs)
                body, kind = await received(request, self._settings, self._held, retry_s)
                held = len(body)
                job = await loop.run_in_executor(self._parsers, job_of, body, kind, self._settings)
                del body
                self._batcher.submit(job)
            finally:
                self._batcher.arriving -= 1
            answers = await self._answered(request, job, end)
        except RefusedError as refusal:
            return _refused(refusal.status, refusal.said, refusal.retry_s, unread=refusal.unread)
        except BusyError as busy:
            return _refused(429, str(busy), busy.retry_s)
        except TooLongError as error:
            return _refused(413, str(error))
        except InputError as error:
            return _refused(422, str(error))
        except GoneError:
            return Response(status_code=_GONE)
        finally:
            self._held.add(-held)
        return self._reply(answers)

    async def _answered(self, request: Request, job: Job, end: float) -> list[BatchReply]:
        """The answers of a job; it is given up when its client goes away or time is up."""
        loop = asyncio.get_running_loop()
        done = asyncio.wrap_future(job.done)
        gone = asyncio.ensure_future(request.receive())  # after the body only the end can come
        try:
            await asyncio.wait(
                (done, gone), timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            if not done.done():
                if gone.done():
                    raise GoneError
                retry_s = self._batcher.retry_s(len(job.clips))
                took = f"not scored within {self._settings.timeout_s:g} s"
                raise BusyError(retry_s, took)
            return [answer for of_clip in done.result() for answer in of_clip]
        finally:
            gone.cancel()
            if not done.done():
                self._batcher.give_up(job)
                done.cancel()

    def _reply(self, answers: list[BatchReply]) -> Response:
        for answer in answers:
            if answer.fault is None:
                self._metrics.pairs.inc()
            else:
                self._metrics.faults.labels(answer.fault).inc()
        status, reply = score_reply(self._scorer.signature, answers)
        return JSONResponse(reply, status_code=status)


def _refused(
    status: int, said: str, retry_s: int | None = None, *, unread: bool = False
) -> Response:
    headers = {} if retry_s is None else {"retry-after": str(retry_s)}
    if unread:
        headers["connection"] = "close"
    shown = said.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"detail": shown}, status_code=status, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    said = {404: "there is nothing at this address", 405: "this address does not take this method"}
    response = _refused(status, f"{said.get(status, 'not as expected')}; see {guard.OPENAPI}")
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


async def _own_fault(request: Request, error: Exception) -> Response:
    return _refused(500, "the service failed; its log says how")


def _request_body() -> dict[str, Any]:
    form = {
        "type": "object",
        "required": ["clip", "text"],
        "properties": {
            "clip": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "Sound files.",
            },
            "text": {"type": "array", "items": {"type": "string"}},
        },
    }
    packed = {
        "type": "string",
        "format": "binary",
        "description": "A safetensors file: tensors 0, 1, 2, ... with samples, (n,) or (n, "
        "channels), or as uint8 a sound file; metadata `request`: JSON of PackedRequest.",
    }
    return {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": _REF.format(model="ScoreRequest")}},
            MULTIPART: {"schema": form},
            MEDIA_TYPE: {"schema": packed},
        },
    }


def _openapi(api: FastAPI) -> dict[str, Any]:
    if api.openapi_schema is None:
        schema = get_openapi(
            title=api.title, version=api.version, description=api.description, routes=api.routes
        )
        kinds = [(ScoreRequest, "validation"), (PackedRequest, "validation")]
        _, defined = models_json_schema(kinds, ref_template=_REF)  # type: ignore[arg-type]
        parts = schema.setdefault("components", {})
        parts["schemas"] = {**parts.get("schemas", {}), **defined["$defs"]}
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        api.openapi_schema = json.loads(json.dumps(schema))
    return api.openapi_schema
