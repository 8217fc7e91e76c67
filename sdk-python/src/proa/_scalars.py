# SPDX-License-Identifier: Apache-2.0
"""The built-in scalar types: canonical proto3 bytes of a message with the one field 1; a zero value is empty.

Writing is always canonical, because some readers insist. Reading takes the canonical form by a short cut and any
other valid form (an explicit zero, unknown fields) by `_field_one`.
"""

from __future__ import annotations

import struct
from typing import Any, NoReturn

from .errors import ValueDecodeError, ValueEncodeError

BOOL = "io.statefun.types/bool"
INT = "io.statefun.types/int"
LONG = "io.statefun.types/long"
FLOAT = "io.statefun.types/float"
DOUBLE = "io.statefun.types/double"
STRING = "io.statefun.types/string"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_int = struct.Struct("<Bi")
_long = struct.Struct("<Bq")
_float = struct.Struct("<Bf")
_double = struct.Struct("<Bd")
_FLOAT_ZERO = _float.pack(0x0D, 0.0)
_DOUBLE_ZERO = _double.pack(0x09, 0.0)


def _unfit(value: Any, wanted: str) -> NoReturn:
    raise ValueEncodeError(f"expected {wanted}, got {type(value).__name__}")


def encode_int(value: Any) -> bytes:
    """Encode a signed 32-bit integer."""
    if not isinstance(value, int):
        _unfit(value, "an int")
    try:
        return _int.pack(0x0D, value) if value else b""
    except struct.error:
        raise ValueEncodeError(f"{value} does not fit {INT}, a signed 32-bit integer") from None


def encode_long(value: Any) -> bytes:
    """Encode a signed 64-bit integer."""
    if not isinstance(value, int):
        _unfit(value, "an int")
    try:
        return _long.pack(0x09, value) if value else b""
    except struct.error:
        raise ValueEncodeError(f"{value} does not fit {LONG}, a signed 64-bit integer") from None


def encode_float(value: Any) -> bytes:
    """Encode a 32-bit floating-point number."""
    if not isinstance(value, float | int):
        _unfit(value, "a float")
    try:
        data = _float.pack(0x0D, value)
    except (OverflowError, struct.error):
        raise ValueEncodeError(f"{value} does not fit {FLOAT}, a 32-bit number") from None
    return b"" if data == _FLOAT_ZERO else data


def encode_double(value: Any) -> bytes:
    """Encode a 64-bit floating-point number."""
    if not isinstance(value, float | int):
        _unfit(value, "a float")
    try:
        data = _double.pack(0x09, value)
    except (OverflowError, struct.error):
        raise ValueEncodeError(f"{value} does not fit {DOUBLE}, a 64-bit number") from None
    return b"" if data == _DOUBLE_ZERO else data


def encode_bool(value: Any) -> bytes:
    """Encode a truth value."""
    if not isinstance(value, bool):
        _unfit(value, "a bool")
    return b"\x08\x01" if value else b""


def encode_string(value: Any) -> bytes:
    """Encode text."""
    if not isinstance(value, str):
        _unfit(value, "a str")
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueEncodeError(f"the text is not valid Unicode: {error.reason}") from None
    size = len(data)
    if size < 0x80:
        return b"\x0a%c%b" % (size, data) if size else b""
    head = bytearray(b"\x0a")
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + data


def decode_int(data: bytes) -> int:
    """Decode a signed 32-bit integer."""
    if len(data) == 5 and data[0] == 0x0D:
        return int.from_bytes(data[1:], "little", signed=True)
    return int.from_bytes(_field_one(data, _FIXED32, INT), "little", signed=True)


def decode_long(data: bytes) -> int:
    """Decode a signed 64-bit integer."""
    if len(data) == 9 and data[0] == 0x09:
        return int.from_bytes(data[1:], "little", signed=True)
    return int.from_bytes(_field_one(data, _FIXED64, LONG), "little", signed=True)


def decode_float(data: bytes) -> float:
    """Decode a 32-bit floating-point number."""
    value: float = struct.unpack("<f", _field_one(data, _FIXED32, FLOAT) or bytes(4))[0]
    return value


def decode_double(data: bytes) -> float:
    """Decode a 64-bit floating-point number."""
    value: float = struct.unpack("<d", _field_one(data, _FIXED64, DOUBLE) or bytes(8))[0]
    return value


def decode_bool(data: bytes) -> bool:
    """Decode a truth value."""
    return any(_field_one(data, _VARINT, BOOL))


def decode_string(data: bytes) -> str:
    """Decode text."""
    if len(data) > 1 and data[0] == 0x0A and data[1] == len(data) - 2 < 0x80:
        field = data[2:]
    else:
        field = _field_one(data, _BYTES, STRING)
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueDecodeError(f"the text is not valid UTF-8: {error.reason}") from None


def _varint(data: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(start, min(start + 10, len(data))):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, index + 1
        shift += 7
    raise ValueError("varint")


def _field_one(data: bytes, wanted: int, typename: str) -> bytes:
    """Return the bytes of the last field 1 of wire type `wanted`, empty if there is none."""
    found = b""
    index = 0
    try:
        while index < len(data):
            tag, index = _varint(data, index)
            kind, number = tag & 7, tag >> 3
            start = index
            if kind == _VARINT:
                _, index = _varint(data, index)
            elif kind in (_FIXED32, _FIXED64):
                index += 4 if kind == _FIXED32 else 8
            elif kind == _BYTES:
                size, start = _varint(data, index)
                index = start + size
            else:
                raise ValueError("wire type")
            if index > len(data) or number == 0 or (number == 1 and kind != wanted):
                raise ValueError("field")
            if number == 1:
                found = data[start:index] if kind != _VARINT else bytes(b & 0x7F for b in data[start:index])
    except ValueError:
        raise ValueDecodeError(f"these bytes are no value of type {typename}") from None
    return found
