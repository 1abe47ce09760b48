"""JobMeta: the metaclass of jobs. It reads class keywords as options, checks the class and registers its kind."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, dataclass_transform

from pydantic import ValidationError
from pydantic._internal._model_construction import ModelMetaclass
from pydantic.fields import Field, PrivateAttr

from jobs.definition import registry
from jobs.definition.breakers import check_breaker, record_breaker
from jobs.definition.checks import (
    PYDANTIC_KEYWORDS,
    check_can_be_scheduled,
    check_fields,
    check_perform,
    check_redact,
    is_filled_in,
)
from jobs.definition.fairness import check_fair, record_fair
from jobs.definition.limits import check_limits, record_limits
from jobs.definition.max_waiting import record_max_waiting
from jobs.definition.options import Options, derive
from jobs.definition.secret import sealing_of
from jobs.errors import ArgumentsRefused
from jobs.storage.finding import stored_fields


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, PrivateAttr))
class JobMeta(ModelMetaclass):
    """Takes a class's keywords as job options. Pydantic would read some of them (``frozen=False``) as its own."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> Any:
        theirs = {key: keywords.pop(key) for key in PYDANTIC_KEYWORDS & keywords.keys()}
        cls: Any = super().__new__(mcs, name, bases, namespace, **theirs)
        place = registry.place_of(cls)
        parent: Options | None = next((vars(base).get("options") for base in bases if isinstance(base, JobMeta)), None)
        if parent is None:
            return cls
        check_fields(cls, _reserved(_job(cls)), place)
        if is_filled_in(cls):
            cls.options = parent
            return cls
        cls.options = derive(parent, keywords, name=name, place=place)
        check_redact(cls, cls.options.redact, place)
        cls._sealing = sealing_of(cls, place)
        cls._stored_fields = stored_fields(cls, place)
        can_perform = cls.perform is not _job(cls).perform and not getattr(cls.perform, "__isabstractmethod__", False)
        if cls.options.schedule is not None:
            check_can_be_scheduled(cls, place, can_perform=can_perform)
        if can_perform:
            check_perform(cls, place)
            limits = check_limits(cls, cls.options, place)
            breaker = check_breaker(cls, cls.options, place)
            fair = check_fair(cls, cls.options, place)
            registry.register(cls, kind=cls.options.kind, aliases=cls.options.aliases)
            record_limits(cls.options, limits)
            record_breaker(cls.options, breaker)
            record_fair(cls.options, fair)
            record_max_waiting(cls.options)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> None:
        super().__init__(name, bases, namespace)

    if not TYPE_CHECKING:  # Type checkers read the fields.

        def __call__(cls, *positional: Any, **arguments: Any) -> Any:
            # Here and not in __init__: pydantic calls an __init__ of ours for each job that it reads, and validates
            # twice.
            try:
                return super().__call__(*positional, **arguments)
            except ValidationError as error:
                raise _unfit(cls, error) from None


def _job(cls: Any) -> Any:
    """``Job`` itself: the first class that this metaclass made."""
    return next(base for base in reversed(cls.__mro__) if isinstance(base, JobMeta))


@cache
def _reserved(job: Any) -> frozenset[str]:
    """Names that no field may have, because ``Job`` has them."""
    return frozenset(dir(job)) | {"run"}


def _unfit(cls: Any, error: ValidationError) -> ArgumentsRefused:
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    text = "; ".join(f"{'.'.join(map(str, one['loc'])) or cls.__name__}: {one['msg']}" for one in mistakes[:5])
    field = ".".join(map(str, mistakes[0]["loc"])) or None
    return ArgumentsRefused(f"Arguments of {cls.options.kind} do not fit: {text}.", field=field)
