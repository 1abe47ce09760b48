"""A shop on FastAPI: an order and its run are one transaction, the worker runs beside it, the pages are at /jobs/.

In this folder::

    export JOBS_DATABASE_URL=sqlite:///$PWD/shop.db && jobledger migrate up && uvicorn shop:app

With PostgreSQL and Redis, name them in ``JOBS_DATABASE_URL`` and ``JOBS_REDIS_URL``. An order of 0 pieces fails after
its run was enqueued, and leaves neither.
"""

from __future__ import annotations

import os
from html import escape
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import create_engine, event, text

import jobs
import jobs.fastapi
from jobs import Job

engine = create_engine(os.environ["JOBS_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))

if engine.dialect.name == "sqlite":
    # As docs/sqlite.md asks: transactions that will write begin as writers.
    event.listen(engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))


ORDER = '<form method="post" action="/orders">Pieces <input name="pieces" value="3"> <button>Order</button></form>'


class Deliver(Job):
    order: str
    pieces: int

    def perform(self) -> str:
        return f"{self.pieces} pieces delivered"


def signed_in(request: Request) -> tuple[str, str] | None:
    """The shop's own authentication: a cookie, for this example."""
    user = request.cookies.get("user")
    return (user, "operator") if user else None


app = FastAPI(lifespan=jobs.fastapi.lifespan(worker=True, imports=["shop"]))
jobs.fastapi.install(app, who=signed_in)


@app.get("/")
def home() -> HTMLResponse:
    return page(
        '<form method="post" action="/orders">Pieces <input name="pieces" value="3"> <button>Order</button></form>'
    )


@app.post("/orders")
def order(pieces: Annotated[int, Form()]) -> RedirectResponse:
    with engine.begin() as connection:
        connection.execute(text("create table if not exists orders (run varchar(36) primary key, pieces integer)"))
        run = Deliver(order="web", pieces=pieces).enqueue(session=connection)
        connection.execute(text("insert into orders values (:run, :pieces)"), {"run": str(run.id), "pieces": pieces})
        if pieces < 1:
            raise HTTPException(409, "Nothing was ordered.")
    answer = RedirectResponse(f"/orders/{run.id}", 303)
    answer.set_cookie("user", "ann")
    return answer


@app.get("/orders/{run}")
def show(run: str) -> HTMLResponse:
    found = jobs.find(run)
    return page(f'<p id="state">{found.state}: {escape(str(found.result))}</p><a href="/jobs/runs/{run}">The run</a>')


def page(body: str) -> HTMLResponse:
    return HTMLResponse(f"<!doctype html><title>Shop</title><h1>Shop</h1>{body}")
