"""An actor's parameters: operators give them by name; checked by the annotations that pydantic can read."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from dramatiq import Actor
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, create_model

Call = tuple[tuple[Any, ...], dict[str, Any]]

_ANY = inspect.Signature([inspect.Parameter("given", inspect.Parameter.VAR_KEYWORD)])


def parameters_of(actor: Actor[Any, Any]) -> type[BaseModel]:
    """A model with a field for each parameter and its name as the alias, because a parameter may have any name."""
    parameters = _signature(actor).parameters.values()
    hints = _hints(actor)
    fields: dict[str, Any] = {}
    for place, one in enumerate(parameters):
        if one.kind is one.VAR_KEYWORD:
            continue
        type_ = _readable(hints.get(one.name, Any))
        default = ... if one.default is one.empty else one.default
        if one.kind is one.VAR_POSITIONAL:
            type_, default = list[type_], []  # type: ignore[valid-type]
        fields[f"parameter_{place}"] = (type_, Field(default, alias=one.name))
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    config = ConfigDict(extra="allow" if takes_any else "forbid", allow_inf_nan=False)
    return create_model(actor.actor_name, __config__=config, **fields)


def call_of(actor: Actor[Any, Any], model: type[BaseModel], given: Mapping[str, Any]) -> Call:
    """The actor's call, as JSON values, for the arguments ``given`` by an operator.

    Raises:
        pydantic.ValidationError: they do not fit the actor.
    """
    signature = _signature(actor)
    # Values of *args come after all optional positional parameters.
    is_whole = any(given.get(one.name) for one in signature.parameters.values() if one.kind is one.VAR_POSITIONAL)
    made = model.model_validate(given)
    values = made.model_dump(mode="json", by_alias=True, exclude_unset=not is_whole, warnings=False)
    arguments: dict[str, Any] = {}
    for one in signature.parameters.values():
        if one.kind is one.VAR_KEYWORD:
            arguments[one.name] = {name: value for name, value in values.items() if name not in signature.parameters}
        elif one.name in values:
            arguments[one.name] = values[one.name]
    bound = inspect.BoundArguments(signature, arguments)
    return bound.args, bound.kwargs


def bound_call(actor: Actor[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """A call in the form of ``call_of``: equal for calls that differ only in what they pass by name."""
    try:
        bound = _signature(actor).bind(*args, **kwargs)
    except TypeError:
        return args, kwargs
    return bound.args, bound.kwargs


def parameter_names(actor: Actor[Any, Any]) -> list[str]:
    """The actor's parameters that have one value each."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in _signature(actor).parameters.values() if one.kind not in several]


def argument_of(actor: Actor[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    """What a call passes for a parameter, or the parameter's default.

    Raises:
        TypeError: the call does not fit the actor.
    """
    bound = _signature(actor).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments[name]


def _signature(actor: Actor[Any, Any]) -> inspect.Signature:
    try:
        return inspect.signature(_function(actor))
    except (TypeError, ValueError):
        return _ANY


def _function(actor: Actor[Any, Any]) -> Any:
    # A class-based actor is called by its perform.
    return getattr(actor.fn, "perform", actor.fn)


def _hints(actor: Actor[Any, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(_function(actor), include_extras=True)
    except Exception:  # An annotation may be any expression, and may use names that do not exist at run time.
        return {}


def _readable(annotation: Any) -> Any:
    try:
        TypeAdapter(annotation).json_schema()
    except (PydanticUserError, TypeError, AttributeError):
        return Any
    return annotation
