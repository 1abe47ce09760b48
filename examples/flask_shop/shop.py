"""A shop on Flask and Flask-SQLAlchemy: an order and its run are one commit, a person approves it, the pages are at
/jobs/.

Install ``'jobledger[flask]' flask-sqlalchemy``. In this folder, one line starts the pages and a worker at
http://127.0.0.1:5000/::

    export JOBS_DATABASE_URL="${JOBS_DATABASE_URL:-sqlite:///$PWD/shop.db}" && jobledger migrate up && flask -A shop run

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
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
db = SQLAlchemy(app)


class Order(db.Model):  # type: ignore[name-defined, misc]
    __tablename__ = "orders"
    run: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]


class Deliver(Job):
    """Waits for a person's approval, without holding a thread, and delivers."""

    order: str
    pieces: int

    def perform(self) -> str:
        answer = self.run.wait_for("approval")
        return f"{self.pieces} pieces delivered, approved by {answer['by']}"


def signed_in() -> tuple[str, str] | None:
    """The shop's own authentication: Flask's session."""
    user = flask.session.get("user")
    return (user, "operator") if user else None


jobs.flask.install(app, who=signed_in, worker=True, imports=["shop"])

with app.app_context():
    if db.engine.dialect.name == "sqlite":
        # Begin each transaction as a writer; docs/sqlite.md says why.
        event.listen(db.engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
        event.listen(db.engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    db.metadata.create_all(db.engine)


@app.get("/")
def home() -> str:
    return page(
        '<form method="post" action="/orders"><label>Pieces <input name="pieces" value="3"></label> '
        "<button>Order</button></form>"
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
    approve = f'<form method="post" action="/orders/{found.id}/approval"><button>Approve</button></form>'
    return page(f'<p id="state">{found.state}: {result}</p>{approve}<a href="/jobs/runs/{found.id}">The run</a>')


@app.post("/orders/<run>/approval")
def approve(run: str) -> Response:
    user = signed_in()
    if user is None:
        flask.abort(401, "Order something first.")
    jobs.signal(run, "approval", {"by": user[0]})
    return flask.redirect(f"/orders/{run}", 303)


def page(body: str) -> str:
    return f'<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>{body}</html>'
