"""A shop on FastAPI: an order and its run are one transaction, a person approves it, the pages are at /jobs/.

Install ``'jobledger[fastapi]'``. In this folder, one line starts the pages and a worker at http://127.0.0.1:8000/::

    export JOBS_DATABASE_URL="${JOBS_DATABASE_URL:-sqlite:///$PWD/shop.db}" && jobledger migrate up && uvicorn shop:app

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
    # Begin each transaction as a writer; docs/sqlite.md says why.
    event.listen(engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))


class Deliver(Job):
    """Waits for a person's approval, without holding a thread, and delivers."""

    order: str
    pieces: int

    def perform(self) -> str:
        answer = self.run.wait_for("approval")
        return f"{self.pieces} pieces delivered, approved by {answer['by']}"


def signed_in(request: Request) -> tuple[str, str] | None:
    """The shop's own authentication: a cookie, for this example."""
    user = request.cookies.get("user")
    return (user, "operator") if user else None


app = FastAPI(lifespan=jobs.fastapi.lifespan(worker=True, imports=["shop"]))
jobs.fastapi.install(app, who=signed_in)


@app.get("/")
def home() -> HTMLResponse:
    return page(
        '<form method="post" action="/orders"><label>Pieces <input name="pieces" value="3"></label> '
        "<button>Order</button></form>"
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
    answer.set_cookie("user", "ann", httponly=True, samesite="lax")
    return answer


@app.get("/orders/{run}")
def show(run: str) -> HTMLResponse:
    found = jobs.find(run)
    said = f'<p id="state">{found.state}: {escape(str(found.result))}</p>'
    approve = f'<form method="post" action="/orders/{found.id}/approval"><button>Approve</button></form>'
    return page(f'{said}{approve}<a href="/jobs/runs/{found.id}">The run</a>')


@app.post("/orders/{run}/approval")
def approve(run: str, request: Request) -> RedirectResponse:
    user = signed_in(request)
    if user is None:
        raise HTTPException(401, "Order something first.")
    jobs.signal(run, "approval", {"by": user[0]})
    return RedirectResponse(f"/orders/{run}", 303)


def page(body: str) -> HTMLResponse:
    return HTMLResponse(f'<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>{body}</html>')
