# SPDX-License-Identifier: Apache-2.0
"""Python types as typed values, both ways."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Optional, Union

import pytest
from google.protobuf import duration_pb2, timestamp_pb2

import proa
from proa import _wire_pb2 as wire
from proa._codec import codec_of, codec_of_value, renamed

INT, LONG = "io.statefun.types/int", "io.statefun.types/long"
FLOAT, DOUBLE = "io.statefun.types/float", "io.statefun.types/double"


def typed(annotation: Any, value: Any) -> wire.TypedValue:
    out = wire.TypedValue()
    codec_of(annotation, "test").put(out, value)
    return out


def read(annotation: Any, typename: str, data: bytes, has_value: bool = True) -> Any:
    return codec_of(annotation, "test").get(wire.TypedValue(typename=typename, value=data, has_value=has_value))


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass(frozen=True)
class Item:
    name: str
    count: int = 1


@dataclass
class Order:
    kind: ClassVar[str] = "order"
    items: list[Item]
    size: Size
    paid: bool
    price: float
    mode: Literal["now", "later"] = "now"
    note: str | None = None
    amount: int | float = 0
    tags: set[str] = field(default_factory=set)
    pair: tuple[int, str] = (0, "")
    many: tuple[int, ...] = ()
    table: dict[str, list[int]] = field(default_factory=dict)
    when: datetime.datetime | None = None
    day: Optional[datetime.date] = None  # noqa: UP045 - the older spelling
    key: uuid.UUID | None = None
    cost: decimal.Decimal = decimal.Decimal(0)
    blob: bytes = b""
    reply: proa.ReplyTo[int] = proa.ReplyTo("")  # noqa: RUF009 - it is frozen
    extra: Any = None
    loose: list = field(default_factory=list)  # type: ignore[type-arg]
    small: proa.Int32 = 0
    computed: int = field(init=False, default=3)


@dataclass
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


@proa.message("shop/Add")
@dataclass(frozen=True)
class Add:
    amount: int

    def __post_init__(self) -> None:
        if self.amount > 100:
            raise ValueError("at most 100")


@dataclass(frozen=True)
class MoreThanAdd(Add):
    pass


FULL = Order(
    items=[Item("nail", 5), Item("ship")],
    size=Size.LARGE,
    paid=True,
    price=2.5,
    mode="later",
    note="x",
    amount=1.5,
    tags={"a"},
    pair=(1, "b"),
    many=(1, 2, 3),
    table={"t": [1]},
    when=datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc),
    day=datetime.date(2026, 1, 31),
    key=uuid.UUID(int=5),
    cost=decimal.Decimal("1.10"),
    blob=b"\x00\xff",
    reply=proa.ReplyTo("ab"),
    extra={"free": [1, None]},
    loose=[1, "a"],
    small=7,
)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 5),
        (int, -(2**63)),
        (float, 1.5),
        (float, 3),
        (str, "x" * 200),
        (str, "é"),
        (str, "z" * 20000),
        (bool, True),
        (bytes, b"\x00\x01"),
        (type(None), None),
        (proa.Int32, -(2**31)),
        (proa.Float32, 0.5),
        (Item, Item("a", 2)),
        (Order, FULL),
        (Tree, Tree(1, [Tree(2), Tree(3, [Tree(4)])])),
        (Add, Add(5)),
        (list[Item], [Item("a")]),
        (dict[str, Item], {"k": Item("a")}),
        (Any, {"free": [1, 2.5, None, True]}),
        (Annotated[int, "a comment"], 5),
        (proa.RawValue, proa.RawValue("a/b", b"c")),
        (int | str, 5),
        (int | str | None, "x"),
        (Union[int, None], None),  # noqa: UP007 - the older spelling
        (timestamp_pb2.Timestamp, timestamp_pb2.Timestamp(seconds=5)),
    ],
)
def test_round_trip(annotation: Any, value: Any) -> None:
    out = typed(annotation, value)
    back = codec_of(annotation, "test").get(wire.TypedValue.FromString(out.SerializeToString()))
    assert back == value


def test_typenames() -> None:
    assert typed(int, 1).typename == LONG
    assert typed(proa.Int32, 1).typename == INT
    assert typed(float, 1).typename == DOUBLE
    assert typed(proa.Float32, 1).typename == FLOAT
    assert typed(bool, True).typename == "io.statefun.types/bool"
    assert typed(str, "").typename == "io.statefun.types/string"
    assert typed(bytes, b"").typename == "proa/bytes"
    assert typed(Item, Item("a")).typename == "proa/json"
    assert typed(Add, Add(1)).typename == "shop/Add"
    assert typed(MoreThanAdd, MoreThanAdd(1)).typename == "proa/json"
    assert typed(type(None), None) == wire.TypedValue(typename="proa/none")
    name = "type.googleapis.com/google.protobuf.Timestamp"
    assert typed(timestamp_pb2.Timestamp, timestamp_pb2.Timestamp()).typename == name


def test_json_is_plain() -> None:
    assert typed(Item, Item("ä", 2)).value == '{"name":"ä","count":2}'.encode()
    loaded = json.loads(typed(Order, FULL).value)
    assert loaded["when"] == "2026-01-31T12:00:00+00:00"
    assert loaded["size"] == "l"
    assert loaded["blob"] == "AP8="
    assert loaded["reply"] == "ab"
    assert "computed" not in loaded
    assert read(
        Order, "proa/json", b'{"items":[],"size":"s","paid":false,"price":1,"when":"2026-01-31T12:00:00Z"}'
    ).when == (datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc))


def test_lossless_reading() -> None:
    assert read(int, INT, b"\x0d\x05\x00\x00\x00") == 5
    assert read(int, INT, b"") == 0
    assert read(proa.Int32, LONG, b"\x09\x05" + bytes(7)) == 5
    assert read(float, FLOAT, b"\x0d\x00\x00\x80\x3f") == 1.0
    assert read(proa.Float32, DOUBLE, typed(float, 0.5).value) == 0.5
    assert read(int, "proa/json", b" 5\n") == 5
    assert read(proa.Int32, "proa/json", b"5") == 5
    assert read(float, "proa/json", b"5") == 5.0
    assert read(proa.Float32, "proa/json", b"0.1") == pytest.approx(0.1)
    assert read(str, "proa/json", b'"x"') == "x"
    assert read(bool, "proa/json", b"true") is True
    assert read(Add, "proa/json", b'{"amount":5,"unknown":1}') == Add(5)
    assert read(int | None, "proa/json", b"5") == 5
    stamp = read(timestamp_pb2.Timestamp, "proa/json", b'"1970-01-01T00:00:05Z"')
    assert stamp.seconds == 5
    assert read(Add | Item, "proa/json", b'{"name":"a"}') == Item("a")
    assert read(int | None, "proa/none", b"", has_value=False) is None
    assert read(type(None), "proa/json", b"1", has_value=False) is None


@pytest.mark.parametrize(
    ("annotation", "typename", "data", "text"),
    [
        (int, "a/b", b"", "expected an integer, got type a/b"),
        (int, "", b"", r"got type \(none\)"),
        (proa.Int32, LONG, b"\x09" + b"\xff" * 7 + b"\x7f", "9223372036854775807 does not fit io.statefun.types/int"),
        (proa.Int32, "proa/json", b"2147483648", "does not fit"),
        (proa.Float32, DOUBLE, b"\x09" + b"\x01" * 8, "does not fit io.statefun.types/float"),
        (proa.Float32, DOUBLE, b"\x09\xff\xff\xff\xff\xff\xff\xef\x7f", "does not fit"),
        (proa.Float32, "proa/json", b"1e300", "does not fit"),
        (int, "proa/json", b"5.0", "expected an integer, got a number"),
        (int, "proa/json", b"true", "expected an integer, got true or false"),
        (int, "proa/json", b'"5"', "expected an integer, got a string"),
        (int, "proa/json", b"5 5", "not JSON"),
        (int, "proa/json", b"\xff", "not JSON"),
        (int, "proa/json", b"[" * 100_000, "not JSON"),
        (float, "proa/json", b"NaN", "NaN is not JSON"),
        (float, "proa/json", b"1e999", "no infinity"),
        (float, "proa/json", b"1" * 400, "too large"),
        (float, "proa/json", b"true", "expected a number, got true or false"),
        (str, "proa/json", b"null", "expected a string, got null"),
        (Item, "proa/json", b"[]", "expected an object, got an array"),
        (Item, "proa/json", b"{}", "member 'name' is missing"),
        (Item, "proa/json", b'{"name":1}', "name: expected a string, got a number"),
        (Add, "shop/Add", b'{"amount":101}', "at most 100"),
        (Tree, "proa/json", b'{"value":1,"children":[{"value":"x"}]}', r"children\[0\].value: expected an integer"),
        (list[int], "proa/json", b"{}", "expected an array"),
        (tuple[int, str], "proa/json", b"[1]", "expected an array of 2"),
        (tuple[int, str], "proa/json", b"[1,2]", r"\[1\]: expected a string"),
        (dict[str, int], "proa/json", b"1", "expected an object"),
        (dict[str, int], "proa/json", b'{"a":"b"}', "a: expected an integer"),
        (list[int | None], "proa/json", b'["x"]', r"\[0\]: expected a number or null, got a string"),
        (list[Size], "proa/json", b'["x"]', 'expected one of "s", "l"'),
        (list[Size], "proa/json", b"[[]]", 'expected one of "s", "l"'),
        (list[datetime.date], "proa/json", b'["x"]', "expected a date like 2026-01-31, got 'x'"),
        (list[datetime.date], "proa/json", b"[1]", "expected a date like 2026-01-31, got a number"),
        (list[decimal.Decimal], "proa/json", b'["x"]', "expected a decimal number"),
        (list[bytes], "proa/json", b'["?"]', "expected base64 text"),
        (Add | int, "proa/json", b"5", "name the type of the message: Proa-Type: shop/Add or io.statefun.types/long"),
        (Add | int, "a/b", b"5", "expected shop/Add or an integer, got type a/b"),
        (timestamp_pb2.Timestamp, "type.googleapis.com/google.protobuf.Timestamp", b"\xff", "these bytes are no type"),
        (timestamp_pb2.Timestamp, "proa/json", b"5", "google.protobuf.Timestamp"),
    ],
)
def test_unreadable(annotation: Any, typename: str, data: bytes, text: str) -> None:
    with pytest.raises(proa.ValueDecodeError, match=text):
        read(annotation, typename, data)


def test_no_value_is_not_zero() -> None:
    with pytest.raises(proa.ValueDecodeError, match="expected an integer, got no value"):
        read(int, LONG, b"", has_value=False)


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (int, "5", "expected an int, got str"),
        (int, 2**63, "does not fit io.statefun.types/long"),
        (proa.Int32, 2**31, "does not fit io.statefun.types/int"),
        (proa.Int32, "5", "expected an int"),
        (float, "5", "expected a float, got str"),
        (float, 10**400, "does not fit io.statefun.types/double"),
        (proa.Float32, 1e300, "does not fit io.statefun.types/float"),
        (proa.Float32, "5", "expected a float"),
        (bool, 1, "expected a bool, got int"),
        (str, 1, "expected a str, got int"),
        (str, "\ud800", "not valid Unicode"),
        (bytes, "x", "expected bytes, got str"),
        (type(None), 5, "expected None, got int"),
        (proa.RawValue, 5, "expected a RawValue, got int"),
        (Item, 5, "expected Item, got a number"),
        (Item, Item("a", "b"), "count: expected an integer, got a string"),  # type: ignore[arg-type]
        (Item, Item("a", True), "count: expected an integer, got true or false"),
        (list[float], [float("nan")], "no infinity and no NaN"),
        (Any, float("nan"), "not JSON"),
        (list[int], {1}, "expected a list"),
        (list[list[int]], [[1, "x"]], r"\[0\]\[1\]: expected an integer"),
        (Any, {"a": object()}, "object has no JSON form"),
        (list[str], ["\ud800"], "not JSON"),
        (dict[str, int], {1: 2}, "the key 1 is not a string"),
        (list[Size], ["s"], "expected one of"),
        (list[Size], [[]], "expected one of"),
        (list[int | None], ["x"], r"\[0\]: expected"),
        (list[bool | str], [1], r"\[0\]: expected"),
        (list[uuid.UUID], ["x"], "expected a UUID"),
        (tuple[int, str], (1, 2), r"\[1\]: expected a string"),
        (int | str, 1.5, "expected an integer or a string, got float"),
        (timestamp_pb2.Timestamp, 5, "expected Timestamp, got int"),
    ],
)
def test_unfit(annotation: Any, value: Any, text: str) -> None:
    with pytest.raises(proa.ValueEncodeError, match=text):
        typed(annotation, value)


class Loose:
    pass


@dataclass
class HasLoose:
    loose: Loose


@dataclass
class Dangling:
    member: Nowhere  # type: ignore[name-defined]  # noqa: F821


class BadEnum(enum.Enum):
    PAIR = (1, 2)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Loose, "test: Loose has no JSON form; use a dataclass"),
        (HasLoose, "test, HasLoose.loose: Loose has no JSON form"),
        (Dangling, "an annotation of Dangling cannot be resolved"),
        (dict[int, str], "the keys of a dict must be str in JSON, not int"),
        (list[Item | Add], "cannot be told apart in JSON"),
        (
            Item | Tree,
            r'Item and Tree both travel as proa/json and cannot be told apart; name them, as in @proa.message\("shop',
        ),
        (int | proa.RawValue, "RawValue takes every message"),
        (BadEnum, "cannot be told apart in JSON; use str, int or bool"),
        (type[int], "has no JSON form"),
        ("Item", "Item has no JSON form"),
        (Annotated[int, proa._codec.Wire(DOUBLE)], "an integer cannot travel as io.statefun.types/double, only as"),
        (Annotated[bytes, proa._codec.Wire(DOUBLE)], "bytes cannot travel as"),
    ],
)
def test_wrong_annotations(annotation: Any, text: str) -> None:
    with pytest.raises(proa.DefinitionError, match=text):
        codec_of(annotation, "test")


def test_message_names() -> None:
    with pytest.raises(proa.DefinitionError, match="namespace/name"):
        proa.message("Add")
    with pytest.raises(proa.DefinitionError, match="needs a name"):
        proa.message(Item)  # type: ignore[arg-type]


def test_values_of_undeclared_type() -> None:
    assert codec_of_value(5).typename == LONG
    assert codec_of_value([1]).typename == "proa/json"
    assert codec_of_value(Add(1)).typename == "shop/Add"
    with pytest.raises(proa.ValueEncodeError, match="a value of type Loose"):
        codec_of_value(Loose())
    out = wire.TypedValue()
    codec_of_value([Item("a")]).put(out, [Item("a"), datetime.date(2026, 1, 31)])
    assert out.value == b'[{"name":"a","count":1},"2026-01-31"]'


def test_renamed() -> None:
    assert renamed(codec_of(Item, ""), "shop/Item", "").typename == "shop/Item"
    assert renamed(codec_of(duration_pb2.Duration, ""), "a/b", "").readers.keys() == {"a/b"}
    assert renamed(codec_of(bytes, ""), "proa/bytes", "") is codec_of(bytes, "")


def test_scalar_fields_are_scanned() -> None:
    long_text = "x" * 300
    assert read(str, "io.statefun.types/string", typed(str, long_text).value) == long_text
    extra = b"\x10\x05\x19" + bytes(8) + b"\x25" + bytes(4) + b"\x2a\x01x"
    assert read(str, "io.statefun.types/string", b"\x0a\x01y" + extra) == "y"
    for bad in (b"\x03", b"\x80", b"\x15\x00", b"\x00\x00"):
        with pytest.raises(proa.ValueDecodeError, match="these bytes are no value of type"):
            read(str, "io.statefun.types/string", bad)


def test_unions_inside_json() -> None:
    annotation = list[int | float | None]
    out = typed(annotation, [1, 2.5, None])
    assert out.value == b"[1,2.5,null]"
    back = read(annotation, out.typename, out.value)
    assert back == [1, 2.5, None]
    assert type(back[0]) is int
    assert codec_of(int | str, "").encode("x") == b"\x0a\x01x"


def test_base_class_chooses_the_union_member() -> None:
    class Sub(Add):
        pass

    codec = codec_of(Add | int, "")
    for amount in (1, 2):
        out = wire.TypedValue()
        codec.put(out, Sub(amount))
        assert out.typename == "shop/Add"
