"""Shows ``**options: Unpack[EnqueueOptions]`` as the keyword arguments that the TypedDict lists."""

from __future__ import annotations

from typing import Any

from griffe import Class, ExprSubscript, Extension, Function, Parameter, ParameterKind


class UnpackedOptions(Extension):
    """Replaces an unpacked TypedDict in a signature by its keys, so that their descriptions get their types."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        for parameter in list(func.parameters):
            options = _typed_dict(func, parameter)
            if options is None:
                continue
            del func.parameters[parameter.name]
            for option in options.attributes.values():
                func.parameters[option.name] = Parameter(
                    option.name, annotation=option.annotation, kind=ParameterKind.keyword_only, default="..."
                )


def _typed_dict(func: Function, parameter: Parameter) -> Class | None:
    annotation = parameter.annotation
    if parameter.kind is not ParameterKind.var_keyword or not isinstance(annotation, ExprSubscript):
        return None
    if annotation.canonical_path != "typing.Unpack" or isinstance(annotation.slice, str):
        return None
    found = func.modules_collection[annotation.slice.canonical_path]
    return found if isinstance(found, Class) else None
