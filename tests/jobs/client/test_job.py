"""What a job class says of itself is checked when it is made; what a job holds, when it is made and enqueued."""

from __future__ import annotations

import abc
import asyncio
import functools
import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partialmethod
from typing import Generic, TypeVar

import pytest

import jobs
from jobs.definition import registry
from jobs.errors import ArgumentsRefused, DefinitionError, EnqueueRefused, NotFound


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = dict(registry._classes), dict(registry._aliases)
    yield
    for now, then in zip((registry._classes, registry._aliases), before, strict=True):
        now.clear()
        now.update(then)


def define(name="Made", base=jobs.Job, module="app.tasks", *, fields=None, **keywords):
    """A class statement with these keywords."""
    space = {"__module__": module, "__qualname__": name, "perform": lambda self: None}
    space["__annotations__"] = fields or {}
    return type(base)(name, (base,), space, **keywords)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"queu": "x"}, "Did you mean 'queue'"),
        ({"frozen": False}, "Unknown option 'frozen'"),
        ({"extra": "allow"}, "Unknown option 'extra'"),
        ({"queue": 3}, "cannot name a queue"),
        ({"queue": ""}, "cannot name a queue"),
        ({"queue": "a b"}, "cannot name a queue"),
        ({"kind": "x" * 201}, "cannot name a kind"),
        ({"kind": "naïve"}, "cannot name a kind"),
        ({"aliases": "Old"}, "aliases"),
        ({"aliases": ("",)}, "cannot name a kind"),
        ({"priority": 1001}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"priority": True}, "priority"),
        ({"timeout": 30}, "timeout"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"retry": 3}, "retry"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
    ],
    ids=str,
)
def test_an_invalid_option_fails_where_the_class_is_defined(keywords, said):
    with pytest.raises(DefinitionError, match=re.escape(said)) as caught:
        define(**keywords)

    assert "Made" in str(caught.value) or "name a" in str(caught.value)
    assert registry.find("Made") is None


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize("field", ["run", "enqueue", "perform", "options", "bind", "model_dump", "copy", "json"])
def test_a_field_that_shadows_what_every_job_has_is_refused(field):
    with pytest.raises(DefinitionError, match=field):
        define(fields={field: int})


def test_options_are_inherited_but_for_the_names():
    base = define("Base", queue="mail", timeout=None, retry=jobs.Retry(max_attempts=2), kind="base", aliases=("old",))
    child = define("Child", base, priority=7)

    assert (child.options.queue, child.options.timeout, child.options.retry.max_attempts) == ("mail", None, 2)
    assert (child.options.kind, child.options.aliases, child.options.priority) == ("Child", (), 7)
    assert base.options.priority == 0


def test_two_jobs_of_one_kind_are_refused_and_both_places_named():
    define("Send", module="shop.tasks")

    with pytest.raises(DefinitionError) as caught:
        define("Send", module="billing.tasks")

    assert "shop.tasks.Send" in str(caught.value)
    assert "billing.tasks.Send" in str(caught.value)


@pytest.mark.parametrize("second", [{"kind": "Old"}, {"kind": "New2", "aliases": ("Old",)}])
def test_an_alias_is_taken_too(second):
    first = define("New", aliases=("Old",))

    with pytest.raises(DefinitionError, match="Two jobs"):
        define("Other", module="elsewhere", **second)

    assert registry.get("Old") is registry.get("New") is first


def test_the_same_class_made_again_replaces_itself():
    define("Send")
    again = define("Send")

    assert registry.get("Send") is again


def test_a_kind_that_is_not_known_names_the_nearest():
    define("SendInvoice")

    with pytest.raises(NotFound, match="Did you mean 'SendInvoice'"):
        registry.get("SendInvoce")


def test_a_base_class_without_perform_is_not_registered_and_cannot_be_enqueued():
    class Abstract(jobs.Job):
        n: int

    assert registry.find("Abstract") is None
    with pytest.raises(EnqueueRefused, match="has no perform method"):
        Abstract(n=1).new_run(None)


def test_an_option_that_enqueue_does_not_have_is_named():
    job = define("Send")()

    with pytest.raises(TypeError, match=r"Send.enqueue\(\) got an unexpected keyword argument 'dely'"):
        job.new_run(None, dely=timedelta(seconds=1))


class Order(jobs.Job, kind="test_job.Order"):
    order_id: int
    note: str = ""

    def perform(self) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({}, "order_id"), ({"order_id": "x"}, "order_id"), ({"order_id": 1, "colour": 2}, "colour"),
     ({"order_id": 1, "note": None}, "note")],
)  # fmt: skip
def test_arguments_that_do_not_fit_name_their_field(arguments, field):
    with pytest.raises(ArgumentsRefused) as caught:
        Order(**arguments)

    assert caught.value.field == field
    assert caught.value.code == "bad_arguments"


def test_a_job_is_frozen_and_its_repr_shows_no_argument():
    job = Order(order_id=31337, note="secret")

    with pytest.raises(Exception, match="frozen"):
        job.order_id = 2
    assert "31337" not in repr(job) + str(job)
    assert "secret" not in f"{job} {job!r} {[job]}"


def test_outside_perform_a_job_has_no_run():
    with pytest.raises(EnqueueRefused, match="not being performed"):
        _ = Order(order_id=1).run


async def _async_yields(self):
    yield 1


def _yields(self):
    yield 1


@pytest.mark.parametrize(
    ("perform", "said"),
    [
        (_yields, "yields"),
        (_async_yields, "yields"),
        (lambda self, order_id: None, "takes arguments"),
        (lambda: None, "takes arguments"),
        (classmethod(lambda cls, order_id: None), "takes arguments"),
    ],
    ids=["generator", "async generator", "one too many", "one too few", "classmethod"],
)
def test_a_perform_that_would_do_nothing_when_called_is_refused(perform, said):
    with pytest.raises(DefinitionError, match=said):
        type(jobs.Job)("Made", (jobs.Job,), {"__module__": "m", "__qualname__": "Made", "perform": perform})

    assert registry.find("Made") is None


@pytest.mark.parametrize(
    "perform",
    [
        staticmethod(lambda: 7),
        classmethod(lambda cls: 7),
        partialmethod(lambda self, n: n, 7),
        lambda self, n=7: n,
        lambda *args, **kwargs: 7,
    ],
    ids=["staticmethod", "classmethod", "partialmethod", "a default", "anything"],
)
def test_perform_may_be_whatever_can_be_called_without_arguments(jobs_ledger, perform):
    made = type(jobs.Job)("Made", (jobs.Job,), {"__module__": "m", "__qualname__": "Made", "perform": perform})

    assert jobs_ledger.perform(made()).result() == 7


def test_an_abstract_perform_makes_no_kind():
    class Base(jobs.Job):
        @abc.abstractmethod
        def perform(self) -> None: ...

    class Made(Base):
        def perform(self) -> None: ...

    assert registry.find("Base") is None
    assert registry.get("Made") is Made


def test_a_generic_base_is_filled_in_by_a_class_with_a_name(jobs_ledger):
    item = TypeVar("item")

    class ExportOf(jobs.Job, Generic[item], queue="exports"):
        what: item

        def perform(self) -> str:
            return type(self.what).__name__

    class ExportDay(ExportOf[date]): ...

    assert jobs_ledger.perform(ExportDay(what=date(2026, 1, 2))).result() == "date"
    assert ExportDay.options.queue == "exports"
    with pytest.raises(EnqueueRefused, match="has no kind"):
        ExportOf[date](what=date(2026, 1, 2)).enqueue()


def test_what_a_decorator_makes_of_an_async_perform_is_performed(jobs_ledger):
    def counted(fn):
        @functools.wraps(fn)
        def call(self):
            return fn(self)

        return call

    class Wrapped(jobs.Job):
        @counted
        async def perform(self) -> int:
            await asyncio.sleep(0)
            return self.run.attempt

    assert jobs_ledger.perform(Wrapped()).result() == 1
