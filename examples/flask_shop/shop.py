"""A shop on Flask and Flask-SQLAlchemy: an order and its run are one commit, the pages are at /jobs/.

In this folder::

    export JOBS_DATABASE_URL=sqlite:///$PWD/shop.db && jobledger migrate up && flask --app shop run

With PostgreSQL and Redis, name them in ``JOBS_DATABASE_URL`` and ``JOBS_REDIS_URL``. An order of 0 pieces fails after
its run was enqueued, and leaves neither. The worker starts with the first request.
"""

from __future__ import annotations

import os

import flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.wrappers import Response

import jobs
import jobs.flask
from jobs import Job

app = flask.Flask(__name__)
app.secret_key = os.environ.get("SHOP_SECRET") or os.urandom(16)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["JOBS_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
db = SQLAlchemy(app)


class Order(db.Model):  # type: ignore[name-defined, misc]
    __tablename__ = "orders"
    run: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]


ORDER = '<form method="post" action="/orders">Pieces <input name="pieces" value="3"> <button>Order</button></form>'


class Deliver(Job):
    order: str
    pieces: int

    def perform(self) -> str:
        return f"{self.pieces} pieces delivered"


def signed_in() -> tuple[str, str] | None:
    """The shop's own authentication: Flask's session."""
    user = flask.session.get("user")
    return (user, "operator") if user else None


jobs.flask.install(app, who=signed_in, worker=True, imports=["shop"])

with app.app_context():
    if db.engine.dialect.name == "sqlite":
        # As docs/sqlite.md asks: transactions that will write begin as writers.
        event.listen(db.engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
        event.listen(db.engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    db.metadata.create_all(db.engine)


@app.get("/")
def home() -> str:
    return page(
        '<form method="post" action="/orders">Pieces <input name="pieces" value="3"> <button>Order</button></form>'
    )


@app.post("/orders")
def order() -> Response:
    pieces = int(flask.request.form["pieces"])
    run = Deliver(order="web", pieces=pieces).enqueue(session=db.session)
    db.session.add(Order(run=str(run.id), pieces=pieces))
    if pieces < 1:
        flask.abort(409, "Nothing was ordered.")
    db.session.commit()
    flask.session["user"] = "ann"
    return flask.redirect(f"/orders/{run.id}", 303)


@app.get("/orders/<run>")
def show(run: str) -> str:
    found = jobs.find(run)
    result = flask.render_template_string("{{ text }}", text=str(found.result))
    return page(f'<p id="state">{found.state}: {result}</p><a href="/jobs/runs/{run}">The run</a>')


def page(body: str) -> str:
    return f"<!doctype html><title>Shop</title><h1>Shop</h1>{body}"
