# SPDX-License-Identifier: Apache-2.0
"""JSON by annotation: a type is compiled once into a pair of functions, dump and load.

Loading is strict (a string is no number, 5.0 is no integer) and its errors name the path of the member that does
not fit, because the text ends up in front of whoever sent the message. Members the type does not know are ignored,
so a sender may be newer than its receiver.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import decimal
import enum
import json
import math
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

from ._model import ReplyTo
from .errors import DefinitionError, ValueDecodeError, ValueEncodeError

NUMBER, TEXT, BOOLEAN, ARRAY, OBJECT, NULL = "a number", "a string", "true or false", "an array", "an object", "null"
ANY_KIND = frozenset({NUMBER, TEXT, BOOLEAN, ARRAY, OBJECT, NULL})
_KIND_OF: dict[type, str] = {
    int: NUMBER,
    float: NUMBER,
    str: TEXT,
    bool: BOOLEAN,
    list: ARRAY,
    dict: OBJECT,
    type(None): NULL,
}


class Shape:
    """How one type looks in JSON."""

    __slots__ = ("dump", "kinds", "load", "types")

    def __init__(
        self, dump: Callable[[Any], Any], load: Callable[[Any], Any], kinds: frozenset[str], types_: tuple[type, ...]
    ) -> None:
        self.dump = dump
        self.load = load
        self.kinds = kinds  # what a union chooses by when it loads
        self.types = types_  # what a union chooses by when it dumps


class MisfitError(Exception):
    """A member does not fit; `path` grows as the error passes outward."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path = ""

    def within(self, step: str) -> MisfitError:
        """Return the error as its container sees it."""
        self.path = step + self.path
        return self

    def sentence(self) -> str:
        """Return path and text in one line."""
        return f"{self.path.lstrip('.')}: {self.text}" if self.path else self.text


def _wanted(what: str, value: Any) -> NoReturn:
    raise MisfitError(f"expected {what}, got {_KIND_OF.get(type(value), type(value).__name__)}")


def _dump_int(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    _wanted("an integer", value)


def _load_int(value: Any) -> int:
    if type(value) is int:
        return value
    _wanted("an integer", value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _wanted(NUMBER, value)
    try:
        number = float(value)
    except OverflowError:
        raise MisfitError("the number is too large") from None
    if not math.isfinite(number):
        raise MisfitError("JSON has no infinity and no NaN")
    return number


def _exact(class_: type, what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, class_):
            return value
        _wanted(what, value)

    return check


def _as_text(class_: type, what: str, dump: Callable[[Any], str], load: Callable[[str], Any]) -> Shape:
    """Make the shape of a type that travels as a JSON string."""

    def dump_checked(value: Any) -> str:
        if not isinstance(value, class_):
            _wanted(what, value)
        return dump(value)

    def load_checked(value: Any) -> Any:
        if type(value) is not str:
            _wanted(what, value)
        try:
            return load(value)
        except (ValueError, ArithmeticError, binascii.Error):
            raise MisfitError(f"expected {what}, got {value[:40]!r}") from None

    return Shape(dump_checked, load_checked, frozenset({TEXT}), (class_,))


def _instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def _same(value: Any) -> Any:
    return value


_ANY = Shape(_same, _same, ANY_KIND, (object,))
_SIMPLE: dict[Any, Shape] = {
    Any: _ANY,
    object: _ANY,
    int: Shape(_dump_int, _load_int, frozenset({NUMBER}), (int,)),
    float: Shape(_float, _float, frozenset({NUMBER}), (float, int)),
    str: Shape(_exact(str, TEXT), _exact(str, TEXT), frozenset({TEXT}), (str,)),
    bool: Shape(_exact(bool, BOOLEAN), _exact(bool, BOOLEAN), frozenset({BOOLEAN}), (bool,)),
    type(None): Shape(_exact(type(None), NULL), _exact(type(None), NULL), frozenset({NULL}), (type(None),)),
    bytes: _as_text(
        bytes,
        "base64 text",
        lambda value: base64.b64encode(value).decode(),
        lambda text: base64.b64decode(text, validate=True),
    ),
    datetime.datetime: _as_text(
        datetime.datetime, "a date and time like 2026-01-31T12:00:00Z", lambda value: value.isoformat(), _instant
    ),
    datetime.date: _as_text(
        datetime.date, "a date like 2026-01-31", lambda value: value.isoformat(), datetime.date.fromisoformat
    ),
    uuid.UUID: _as_text(uuid.UUID, "a UUID", str, uuid.UUID),
    decimal.Decimal: _as_text(decimal.Decimal, "a decimal number in a string", str, decimal.Decimal),
    ReplyTo: _as_text(ReplyTo, "a reply address", lambda value: value.id, ReplyTo),
}
_classes: dict[type, Shape] = {}


def shape_of(annotation: Any, where: str) -> Shape:
    """Compile `annotation`. DefinitionError names `where`, the part that has no JSON form, and what has."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return shape_of(typing.get_args(annotation)[0], where)
    if origin is ReplyTo:
        annotation, origin = ReplyTo, None
    if origin is None:
        simple = _SIMPLE.get(annotation) if isinstance(annotation, typing.Hashable) else None
        return simple or _shape_of_class(annotation, where)
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _shape_of_union([shape_of(argument, where) for argument in arguments], annotation, where)
    if origin is typing.Literal:
        return _shape_of_constants(
            {argument: argument for argument in arguments}, tuple({type(a) for a in arguments}), where
        )
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is ...):
        return _shape_of_tuple([shape_of(argument, where) for argument in arguments])
    if origin in (list, tuple, set, frozenset):
        return _shape_of_sequence(origin, shape_of(arguments[0], where))
    if origin is dict:
        if arguments[0] is not str:
            raise DefinitionError(f"{where}: the keys of a dict must be str in JSON, not {_label(arguments[0])}")
        return _shape_of_dict(shape_of(arguments[1], where))
    raise _no_form(annotation, where)


def _label(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _no_form(annotation: Any, where: str) -> DefinitionError:
    return DefinitionError(
        f"{where}: {_label(annotation)} has no JSON form; use a dataclass or a pydantic model made of bool, int, "
        "float, str, bytes, None, list, tuple, set, dict[str, …], Enum, Literal, datetime, date, UUID, Decimal and "
        "other such classes"
    )


def _shape_of_class(class_: Any, where: str) -> Shape:
    if class_ in (list, dict):
        check = _exact(class_, _KIND_OF[class_])
        return Shape(check, check, frozenset({_KIND_OF[class_]}), (class_,))
    if not isinstance(class_, type):
        raise _no_form(class_, where)
    if class_ not in _classes:
        if dataclasses.is_dataclass(class_):
            _shape_of_dataclass(class_, where)
        elif issubclass(class_, enum.Enum):
            constants = {member.value: member for member in class_}
            _classes[class_] = _shape_of_constants(constants, (class_,), where)
        elif is_pydantic(class_):
            _classes[class_] = _shape_of_pydantic(class_)
        else:
            raise _no_form(class_, where)
    return _classes[class_]


def _shape_of_dataclass(class_: type, where: str) -> None:
    shape = _classes[class_] = Shape(_same, _same, frozenset({OBJECT}), (class_,))  # first, for classes that nest
    try:
        hints = typing.get_type_hints(class_, include_extras=True)
        fields = [field for field in dataclasses.fields(class_) if field.init]
        members = {
            field.name: shape_of(hints[field.name], f"{where}, {class_.__name__}.{field.name}") for field in fields
        }
    except NameError as error:
        del _classes[class_]
        raise DefinitionError(
            f"{where}: an annotation of {class_.__name__} cannot be resolved ({error}); define the class it names at "
            "the top of a module"
        ) from error
    except BaseException:
        del _classes[class_]
        raise
    absent = dataclasses.MISSING
    required = [field.name for field in fields if field.default is absent and field.default_factory is absent]
    shape.dump = _dump_of_dataclass(class_, members)
    shape.load = _load_of_dataclass(class_, members, required)


def _dump_of_dataclass(class_: type, members: dict[str, Shape]) -> Callable[[Any], Any]:
    def dump(value: Any) -> Any:
        if not isinstance(value, class_):
            _wanted(class_.__name__, value)
        result = {}
        for name, member in members.items():
            try:
                result[name] = member.dump(getattr(value, name))
            except MisfitError as error:
                raise error.within("." + name) from None
        return result

    return dump


def _load_of_dataclass(class_: type, members: dict[str, Shape], required: list[str]) -> Callable[[Any], Any]:
    def load(value: Any) -> Any:
        if type(value) is not dict:
            _wanted(OBJECT, value)
        arguments = {}
        for name, member in members.items():
            if name in value:
                try:
                    arguments[name] = member.load(value[name])
                except MisfitError as error:
                    raise error.within("." + name) from None
        for name in required:
            if name not in arguments:
                raise MisfitError(f"member {name!r} is missing")
        try:
            return class_(**arguments)
        except (ValueError, TypeError) as error:  # the class's own checks, in __post_init__
            raise MisfitError(str(error)) from error

    return load


def is_pydantic(class_: Any) -> bool:
    """Tell whether `class_` is a pydantic model, of version 1 or 2, without importing pydantic."""
    return isinstance(class_, type) and any(base.__module__.partition(".")[0] == "pydantic" for base in class_.__mro__)


def _shape_of_pydantic(class_: Any) -> Shape:
    is_new = hasattr(class_, "model_validate")

    def dump(value: Any) -> Any:
        if not isinstance(value, class_):
            _wanted(class_.__name__, value)
        return value.model_dump(mode="json") if is_new else json.loads(value.json())

    def load(value: Any) -> Any:
        try:
            return class_.model_validate(value) if is_new else class_.parse_obj(value)
        except ValueError as error:
            raise MisfitError(str(error)) from error

    return Shape(dump, load, frozenset({OBJECT}), (class_,))


def _shape_of_constants(constants: dict[Any, Any], types_: tuple[type, ...], where: str) -> Shape:
    for constant in constants:
        if type(constant) not in (str, int, bool, type(None)):
            raise DefinitionError(f"{where}: the value {constant!r} cannot be told apart in JSON; use str, int or bool")
    names = {(type(constant), constant): member for constant, member in constants.items()}
    values = {member: constant for constant, member in constants.items()}
    wanted = "one of " + ", ".join(json.dumps(constant) for constant in constants)

    def dump(value: Any) -> Any:
        if isinstance(value, typing.Hashable) and value in values:
            return values[value]
        _wanted(wanted, value)

    def load(value: Any) -> Any:
        if isinstance(value, typing.Hashable) and (type(value), value) in names:
            return names[type(value), value]
        raise MisfitError(f"expected {wanted}")

    return Shape(dump, load, frozenset(_KIND_OF[type(constant)] for constant in constants), types_)


def _shape_of_sequence(class_: Any, member: Shape) -> Shape:
    def each(function: Callable[[Any], Any], values: Any) -> list[Any]:
        result = []
        for index, value in enumerate(values):
            try:
                result.append(function(value))
            except MisfitError as error:
                raise error.within(f"[{index}]") from None
        return result

    def dump(value: Any) -> Any:
        if not isinstance(value, class_):
            _wanted(f"a {class_.__name__}", value)
        return each(member.dump, value)

    def load(value: Any) -> Any:
        if type(value) is not list:
            _wanted(ARRAY, value)
        values = each(member.load, value)
        return values if class_ is list else class_(values)

    return Shape(dump, load, frozenset({ARRAY}), (class_,))


def _shape_of_tuple(members: list[Shape]) -> Shape:
    def walk(is_dump: bool, value: Any, class_: type) -> list[Any]:
        if not isinstance(value, class_) or len(value) != len(members):  # type: ignore[arg-type]
            _wanted(f"an array of {len(members)}", value)
        result = []
        for index, (member, item) in enumerate(zip(members, value, strict=True)):  # type: ignore[call-overload]
            try:
                result.append(member.dump(item) if is_dump else member.load(item))
            except MisfitError as error:
                raise error.within(f"[{index}]") from None
        return result

    return Shape(
        lambda value: walk(True, value, tuple),
        lambda value: tuple(walk(False, value, list)),
        frozenset({ARRAY}),
        (tuple,),
    )


def _shape_of_dict(member: Shape) -> Shape:
    def walk(function: Callable[[Any], Any], values: Any) -> dict[str, Any]:
        if not isinstance(values, dict):
            _wanted(OBJECT, values)
        result = {}
        for key, value in values.items():
            if not isinstance(key, str):
                raise MisfitError(f"the key {key!r} is not a string")
            try:
                result[key] = function(value)
            except MisfitError as error:
                raise error.within("." + key[:40]) from None
        return result

    return Shape(
        lambda value: walk(member.dump, value), lambda value: walk(member.load, value), frozenset({OBJECT}), (dict,)
    )


def _shape_of_union(members: list[Shape], annotation: Any, where: str) -> Shape:
    by_kind: dict[str, Shape] = {}
    for member in members:
        for kind in member.kinds:
            if kind in by_kind and {member, by_kind[kind]} != {_SIMPLE[int], _SIMPLE[float]}:
                raise DefinitionError(
                    f"{where}: the members of {annotation} cannot be told apart in JSON, two of them are {kind}; "
                    "use one class with optional members, or name the types with @proa.message and send them apart"
                )
            by_kind[kind] = member if member is not _SIMPLE[int] else by_kind.get(kind, member)
    has_int = _SIMPLE[int] in members
    wanted = " or ".join(sorted(by_kind))

    def dump(value: Any) -> Any:
        for member in members:
            if isinstance(value, member.types) and not (isinstance(value, bool) and bool not in member.types):
                return member.dump(value)
        _wanted(wanted, value)

    def load(value: Any) -> Any:
        if has_int and type(value) is int:
            return value
        member = by_kind.get(_KIND_OF[type(value)])
        if member is None:
            _wanted(wanted, value)
        return member.load(value)

    return Shape(dump, load, frozenset(by_kind), tuple(type_ for member in members for type_ in member.types))


def _dump_foreign(value: Any) -> Any:
    """Dump what stands inside an `Any`: classes the encoder does not know."""
    class_ = type(value)
    try:
        if class_ is object:
            raise _no_form(class_, "a value")
        return shape_of(class_, "a value").dump(value)
    except DefinitionError as error:
        raise MisfitError(str(error)) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_dump_foreign).encode
_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def dumps(shape: Shape, value: Any) -> bytes:
    """Return `value` as JSON bytes. ValueEncodeError names the member that does not fit."""
    try:
        return _encode(shape.dump(value)).encode("utf-8")
    except MisfitError as error:
        raise ValueEncodeError(error.sentence()) from error.__cause__
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueEncodeError(f"not JSON: {error}") from error


def loads(shape: Shape, data: bytes) -> Any:
    """Return the value that JSON bytes stand for. ValueDecodeError names the member that does not fit."""
    try:
        return shape.load(_decode(data.decode("utf-8")))
    except MisfitError as error:
        raise ValueDecodeError(error.sentence()) from error.__cause__
    except (ValueError, RecursionError) as error:
        raise ValueDecodeError(f"not JSON: {error}") from error
