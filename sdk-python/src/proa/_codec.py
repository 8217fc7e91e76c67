# SPDX-License-Identifier: Apache-2.0
"""Codecs: a Python type and the typed value it travels as.

A codec writes one typename and reads that one and every other from which nothing is lost: an `int` function also
takes a 32-bit integer, and the `proa/json` of a client who named no type. Annotations are compiled when a function
is declared; nothing is looked up by reflection while messages pass.
"""

from __future__ import annotations

import dataclasses
import struct
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar

from . import _json
from ._model import TYPENAME_BYTES_MAX, RawValue, check_text
from ._scalars import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    STRING,
    decode_bool,
    decode_double,
    decode_float,
    decode_int,
    decode_long,
    decode_string,
    encode_bool,
    encode_double,
    encode_float,
    encode_int,
    encode_long,
    encode_string,
)
from .errors import DefinitionError, ValueDecodeError, ValueEncodeError

JSON: Final = "proa/json"
NONE: Final = "proa/none"
BYTES: Final = "proa/bytes"

Reader = Callable[[bytes], Any]


class TypedValue(Protocol):
    """The part of the generated class that codecs use."""

    typename: str
    has_value: bool
    value: bytes


class Codec:
    """One Python type on the wire."""

    __slots__ = ("encode", "is_json", "is_mutable", "label", "readers", "takes_none", "typename", "types")

    def __init__(
        self,
        typename: str,
        encode: Callable[[Any], bytes],
        readers: Mapping[str, Reader],
        types_: tuple[type, ...],
        label: str,
        *,
        is_mutable: bool = False,
    ) -> None:
        self.typename = typename
        self.encode = encode
        self.readers = dict(readers)
        self.types = types_
        self.label = label
        self.is_mutable = is_mutable  # a value can change in place, so state compares its bytes
        self.takes_none = False
        self.is_json = False  # the bytes are JSON, under whatever name

    def put(self, out: TypedValue, value: Any) -> None:
        """Write `value` into a typed value. ValueEncodeError if it does not fit."""
        out.value = self.encode(value)
        out.typename = self.typename
        out.has_value = True

    def get(self, source: TypedValue) -> Any:
        """Read a typed value. ValueDecodeError if this codec does not take it."""
        reader = self.readers.get(source.typename)
        if reader is not None and source.has_value:
            return reader(source.value)
        if self.takes_none and (not source.has_value or source.typename == NONE):
            return None
        raise self.refuse(source)

    def refuse(self, source: TypedValue) -> ValueDecodeError:
        """Return the error for a typed value that cannot be read."""
        what = f"type {source.typename or '(none)'}" if source.has_value else "no value"
        return ValueDecodeError(f"expected {self.label}, got {what}")


class _NoneCodec(Codec):
    """No content: nothing but the type's name."""

    def __init__(self) -> None:
        super().__init__(NONE, lambda _: b"", {}, (type(None),), "no value")
        self.takes_none = True

    def put(self, out: TypedValue, value: Any) -> None:
        if value is not None:
            raise ValueEncodeError(f"expected None, got {type(value).__name__}")
        out.typename = NONE
        out.has_value = False


class _RawCodec(Codec):
    """Whatever comes, as it came."""

    def __init__(self) -> None:
        super().__init__("", lambda value: bytes(value.data), {}, (RawValue,), "any value")

    def put(self, out: TypedValue, value: Any) -> None:
        if not isinstance(value, RawValue):
            raise ValueEncodeError(f"expected a RawValue, got {type(value).__name__}")
        out.value = value.data
        out.typename = value.typename
        out.has_value = True

    def get(self, source: TypedValue) -> Any:
        return RawValue(source.typename, source.value)


class _UnionCodec(Codec):
    """Several types, told apart by their names on the wire and by their class in Python."""

    __slots__ = ("_by_type", "members")

    def __init__(self, members: list[Codec]) -> None:
        label = " or ".join(member.label for member in members)
        super().__init__(members[0].typename, self._encode, {}, (), label)
        self.members = members
        self.types = tuple(type_ for member in members for type_ in member.types)
        self.is_mutable = any(member.is_mutable for member in members)
        self.takes_none = any(member.takes_none for member in members)
        self._by_type: dict[type, Codec] = {}
        for member in members:
            for name, reader in member.readers.items():
                if name != JSON or member.typename == JSON:
                    self.readers.setdefault(name, reader)
        for member in members:  # a type's own name wins over what another type would take too
            if member.typename in member.readers:
                self.readers[member.typename] = member.readers[member.typename]
        valued = [member for member in members if member.readers]
        if len(valued) == 1:
            self.readers = dict(valued[0].readers)

    def put(self, out: TypedValue, value: Any) -> None:
        self.member_of(value).put(out, value)

    def _encode(self, value: Any) -> bytes:
        return self.member_of(value).encode(value)

    def member_of(self, value: Any) -> Codec:
        """Return the member that writes `value`: its own class first, then a base class."""
        class_ = type(value)
        member = self._by_type.get(class_)
        if member is None:
            found = [member for base in class_.__mro__ for member in self.members if base in member.types]
            if not found:
                raise ValueEncodeError(f"expected {self.label}, got {class_.__name__}")
            member = self._by_type[class_] = found[0]
        return member

    def refuse(self, source: TypedValue) -> ValueDecodeError:
        error = super().refuse(source)
        if source.typename != JSON:
            return error
        names = " or ".join(member.typename for member in self.members)
        return ValueDecodeError(f"{error}; name the type of the message: Proa-Type: {names}")


T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Wire(Generic[T]):
    """A mark inside `Annotated` that chooses another type on the wire."""

    typename: str


Int32 = Annotated[int, Wire(INT)]
"""A 32-bit integer, `io.statefun.types/int`; an `int` to type checkers."""

Float32 = Annotated[float, Wire(FLOAT)]
"""A 32-bit floating-point number, `io.statefun.types/float`; a `float` to type checkers."""


def _json_reader(annotation: Any) -> Reader:
    shape = _json.shape_of(annotation, "proa")
    return lambda data: _json.loads(shape, data)


def _int_in_32_bits(reader: Reader) -> Reader:
    def read(data: bytes) -> int:
        value: int = reader(data)
        if not -(2**31) <= value < 2**31:
            raise ValueDecodeError(f"{value} does not fit {INT}, a signed 32-bit integer")
        return value

    return read


def _float_in_32_bits(data: bytes) -> float:
    value = decode_double(data)
    try:
        narrow: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        narrow = 0.0
    if narrow != value and value == value:
        raise ValueDecodeError(f"{value} does not fit {FLOAT}, a 32-bit number")
    return value


def _rounded_to_32_bits(data: bytes) -> float:
    value = _json_float(data)
    try:
        narrow: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        raise ValueDecodeError(f"{value} does not fit {FLOAT}, a 32-bit number") from None
    return narrow


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueEncodeError(f"expected bytes, got {type(value).__name__}")
    return value


_json_int = _json_reader(int)
_json_float = _json_reader(float)
_SCALARS: dict[str, Codec] = {
    LONG: Codec(LONG, encode_long, {LONG: decode_long, INT: decode_int, JSON: _json_int}, (int,), "an integer"),
    INT: Codec(
        INT,
        encode_int,
        {INT: decode_int, LONG: _int_in_32_bits(decode_long), JSON: _int_in_32_bits(_json_int)},
        (int,),
        "a 32-bit integer",
    ),
    DOUBLE: Codec(
        DOUBLE, encode_double, {DOUBLE: decode_double, FLOAT: decode_float, JSON: _json_float}, (float,), "a number"
    ),
    FLOAT: Codec(
        FLOAT,
        encode_float,
        {FLOAT: decode_float, DOUBLE: _float_in_32_bits, JSON: _rounded_to_32_bits},
        (float,),
        "a 32-bit number",
    ),
    STRING: Codec(STRING, encode_string, {STRING: decode_string, JSON: _json_reader(str)}, (str,), "a string"),
    BOOL: Codec(BOOL, encode_bool, {BOOL: decode_bool, JSON: _json_reader(bool)}, (bool,), "true or false"),
}
_NO_VALUE = _NoneCodec()
_BY_CLASS: dict[Any, Codec] = {
    int: _SCALARS[LONG],
    float: _SCALARS[DOUBLE],
    str: _SCALARS[STRING],
    bool: _SCALARS[BOOL],
    bytes: Codec(BYTES, _encode_bytes, {BYTES: bytes}, (bytes,), "bytes"),
    type(None): _NO_VALUE,
    None: _NO_VALUE,
    RawValue: _RawCodec(),
}
_classes: dict[type, Codec] = {}


def codec_of(annotation: Any, where: str) -> Codec:
    """Compile an annotation. DefinitionError names `where` it stands and the fix."""
    known = _BY_CLASS.get(annotation) if isinstance(annotation, typing.Hashable) else None
    if known is not None:
        return known
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        inner, *marks = typing.get_args(annotation)
        codec = codec_of(inner, where)
        for mark in marks:
            if isinstance(mark, Wire):
                codec = renamed(codec, mark.typename, where)
        return codec
    if origin in (typing.Union, types.UnionType):
        return _union_of([(part, codec_of(part, where)) for part in typing.get_args(annotation)], where)
    if isinstance(annotation, type) and origin is None:
        if annotation not in _classes:
            _classes[annotation] = _codec_of_class(annotation, where)
        return _classes[annotation]
    return _json_codec(annotation, JSON, where)


def codec_of_value(value: Any) -> Codec:
    """Return the codec for a value whose type nobody declared. ValueEncodeError if there is none."""
    class_ = type(value)
    codec = _BY_CLASS.get(class_) or _classes.get(class_)
    if codec is None:
        annotation = Any if class_ in (list, dict, tuple) else class_
        try:
            codec = codec_of(annotation, f"a value of type {class_.__name__}")
        except DefinitionError as error:
            raise ValueEncodeError(str(error)) from error
    return codec


def renamed(codec: Codec, typename: str, where: str) -> Codec:
    """Return `codec` under another typename. DefinitionError if its bytes cannot bear that name."""
    check_text(typename, TYPENAME_BYTES_MAX, f"the typename of {where}")
    if typename == codec.typename:
        return codec
    scalar = _SCALARS.get(typename)
    if codec.typename in _SCALARS:
        if scalar is None or scalar.types != codec.types:
            fits = " or ".join(name for name, other in _SCALARS.items() if other.types == codec.types)
            raise DefinitionError(f"{where}: {codec.label} cannot travel as {typename}, only as {fits}")
        return scalar
    if scalar is not None or not codec.readers:
        raise DefinitionError(f"{where}: {codec.label} cannot travel as {typename}")
    read = codec.readers[codec.typename]
    other_readers = {JSON: read} if codec.is_json else {}
    copy = Codec(typename, codec.encode, {**other_readers, typename: read}, codec.types, codec.label)
    copy.is_mutable, copy.is_json = codec.is_mutable, codec.is_json
    return copy


def _codec_of_class(class_: Any, where: str) -> Codec:
    if hasattr(class_, "DESCRIPTOR") and hasattr(class_, "SerializeToString"):
        return _protobuf_codec(class_)
    typename = class_.__dict__.get("__proa_typename__", JSON)
    if _json.is_pydantic(class_):
        return _pydantic_codec(class_, typename)
    return _json_codec(class_, typename, where)


def _json_codec(annotation: Any, typename: str, where: str) -> Codec:
    shape = _json.shape_of(annotation, where)

    def read(data: bytes) -> Any:
        return _json.loads(shape, data)

    if typename != JSON:
        label = typename
    else:
        label = annotation.__name__ if isinstance(annotation, type) and annotation not in (Any, object) else "JSON"
    codec = Codec(
        typename,
        lambda value: _json.dumps(shape, value),
        {JSON: read, typename: read},
        shape.types,
        label,
        is_mutable=True,
    )
    codec.is_json = True
    return codec


def _pydantic_codec(class_: Any, typename: str) -> Codec:
    """Make the codec of a pydantic model; pydantic writes and reads the JSON itself."""
    is_new = hasattr(class_, "model_validate_json")

    def encode(value: Any) -> bytes:
        if not isinstance(value, class_):
            raise ValueEncodeError(f"expected {class_.__name__}, got {type(value).__name__}")
        try:
            text: str = value.model_dump_json() if is_new else value.json()
            return text.encode("utf-8")
        except (ValueError, TypeError) as error:
            raise ValueEncodeError(f"{class_.__name__}: {error}") from error

    def read(data: bytes) -> Any:
        try:
            return class_.model_validate_json(data) if is_new else class_.parse_raw(data)
        except ValueError as error:
            raise ValueDecodeError(f"{class_.__name__}: {error}") from error

    label = class_.__name__ if typename == JSON else typename
    codec = Codec(typename, encode, {JSON: read, typename: read}, (class_,), label, is_mutable=True)
    codec.is_json = True
    return codec


def _protobuf_codec(class_: Any) -> Codec:
    from google.protobuf import json_format, message

    typename = f"type.googleapis.com/{class_.DESCRIPTOR.full_name}"

    def encode(value: Any) -> bytes:
        if not isinstance(value, class_):
            raise ValueEncodeError(f"expected {class_.__name__}, got {type(value).__name__}")
        data: bytes = value.SerializeToString(deterministic=True)
        return data

    def read(data: bytes) -> Any:
        try:
            return class_.FromString(data)
        except (message.DecodeError, ValueError) as error:
            raise ValueDecodeError(f"these bytes are no {typename}") from error

    def read_json(data: bytes) -> Any:
        try:
            return json_format.Parse(data, class_(), ignore_unknown_fields=True)
        except (json_format.ParseError, ValueError, RecursionError) as error:
            raise ValueDecodeError(f"{typename}: {error}") from error

    return Codec(typename, encode, {JSON: read_json, typename: read}, (class_,), typename, is_mutable=True)


def _union_of(parts: list[tuple[Any, Codec]], where: str) -> Codec:
    members = [codec for _, codec in parts]
    seen: dict[str, Any] = {}
    for annotation, codec in parts:
        if isinstance(codec, _RawCodec):
            raise DefinitionError(f"{where}: RawValue takes every message, so it cannot be one of several types")
        if codec.typename in seen:
            first, second = (getattr(part, "__name__", str(part)) for part in (seen[codec.typename], annotation))
            raise DefinitionError(
                f"{where}: {first} and {second} both travel as {codec.typename} and cannot be told apart; name them, "
                f'as in @proa.message("shop/{second}") above class {second}'
            )
        seen[codec.typename] = annotation
    return _UnionCodec(members)
