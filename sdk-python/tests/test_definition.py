# SPDX-License-Identifier: Apache-2.0
"""What is declared wrongly fails at import, with a sentence that names it and the fix."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest

import proa
from proa._function import make_function


@dataclass
class Add:
    amount: int


@dataclass
class Remove:
    amount: int


class Counter(proa.State):
    total = proa.value(int, default=0)


class Other(proa.State):
    other = proa.value(int)


async def good(ctx: proa.Context[Counter], message: int) -> int:
    return message


async def no_context(message: int) -> int:
    return message


async def context_unmarked(ctx, message: int) -> int:  # type: ignore[no-untyped-def]
    return message


async def nothing() -> None: ...


async def three(ctx: proa.Context, a: int, b: int) -> None: ...


async def keyword_only(ctx: proa.Context, *, a: int) -> None: ...


async def message_unmarked(ctx: proa.Context, message) -> None: ...  # type: ignore[no-untyped-def]


async def answer_unmarked(ctx: proa.Context, message: int):  # type: ignore[no-untyped-def]
    return message


async def unresolved(ctx: proa.Context, message: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def two_messages(ctx: proa.Context, message: Add | Remove) -> None: ...


async def no_form(ctx: proa.Context, message: Callable[[], None]) -> None: ...


async def bad_answer(ctx: proa.Context, message: int) -> Callable[[], None]: ...  # type: ignore[empty-body]


async def bare_reply(ctx: proa.Context, message: int) -> proa.ReplyTo: ...  # type: ignore[empty-body, type-arg]


async def not_a_state(ctx: proa.Context[int], message: int) -> None: ...  # type: ignore[type-var]


async def generator(ctx: proa.Context, message: int):  # type: ignore[no-untyped-def]
    yield 1


@pytest.mark.parametrize(
    ("name", "handler", "text"),
    [
        ("counter", good, r"@app.function\('counter'\): the name of a function must be written namespace/name"),
        ("a/b/c", good, "namespace/name"),
        ("/b", good, "namespace/name"),
        ("a\x00/b", good, "NUL"),
        ("a" * 129 + "/b", good, "129 bytes long, 128 is the limit"),
        ("\ud800/b", good, "not valid Unicode"),
        ("proa/x", good, "function proa/x: the namespace 'proa' belongs to the host"),
        ("a/b", Counter, "function a/b: @app.function stands above a plain def"),
        ("a/b", no_context, "function a/b: its first parameter must be annotated as a proa.Context"),
        ("a/b", context_unmarked, "function a/b: its first parameter must be annotated as a proa.Context"),
        ("a/b", nothing, "function a/b: a handler takes the context and one message"),
        ("a/b", three, "a handler takes the context and one message"),
        ("a/b", keyword_only, "a handler takes the context and one message"),
        ("a/b", message_unmarked, "function a/b: the message 'message' is not annotated"),
        ("a/b", answer_unmarked, "function a/b: its answer is not annotated; write -> None if it answers nothing"),
        ("a/b", unresolved, "function a/b: an annotation cannot be resolved"),
        (
            "a/b",
            two_messages,
            "function a/b, message 'message': Add and Remove both travel as proa/json .* @proa.message",
        ),
        ("a/b", no_form, "function a/b, message 'message': .* has no JSON form"),
        ("a/b", bad_answer, "function a/b, its answer: .* has no JSON form"),
        ("a/b", bare_reply, "function a/b: write what is answered later into its annotation"),
        ("a/b", not_a_state, "wants a class derived from proa.State"),
        ("a/b", generator, "a handler returns its answer, it cannot yield"),
    ],
)
def test_functions(name: str, handler: Any, text: str) -> None:
    with pytest.raises(proa.DefinitionError, match=text):
        proa.App().function(name)(handler)


def test_state_and_annotation_must_agree() -> None:
    app = proa.App()
    with pytest.raises(proa.DefinitionError, match=r"write ctx: proa.Context\[Other\]"):
        app.function("a/b", state=Other)(good)
    with pytest.raises(proa.DefinitionError, match=r"must be a class derived from proa\.State"):
        app.function("a/b", state=int)(good)  # type: ignore[arg-type]
    assert app.function("a/b", state=Counter)(good).state is Counter


def test_name_left_out() -> None:
    function: Any = proa.App().function
    with pytest.raises(proa.DefinitionError, match=r'write @app\.function\("example/counter"\)'):
        function(good)


def test_functions_are_not_called() -> None:
    function: Any = proa.App().function("a/b")(good)
    with pytest.raises(proa.UsageError, match="function a/b is not called but sent to"):
        function(None, 5)


def test_declared_twice() -> None:
    app = proa.App()
    app.function("a/b")(good)
    with pytest.raises(proa.DefinitionError, match="function a/b is declared twice"):
        app.function("a/b")(good)


def test_remote() -> None:
    stock = proa.remote("shop/stock", Add, Remove)
    assert (stock.typename, stock.namespace, stock.name) == ("shop/stock", "shop", "stock")
    assert repr(stock) == "<Ref shop/stock>"
    with pytest.raises(proa.DefinitionError, match=r"proa.remote\('stock'\)"):
        proa.remote("stock", Add)


def test_local_classes_resolve() -> None:
    @dataclass
    class Local:
        a: int

    app = proa.App()

    @app.function("a/b")
    async def local(ctx: proa.Context, message: Local) -> Local | proa.ReplyTo[Local]:
        return message

    assert local.codec.label == "Local"


def test_functions_without_a_module() -> None:
    made: dict[str, Any] = {"proa": proa, "__name__": "nowhere"}
    exec("async def f(ctx: proa.Context) -> None: ...", made)
    assert make_function("a/b", made["f"], None, {"proa": proa}).state is None


value: Any = proa.value  # so that what is wrong for type checkers reaches the check at import
make_class: Any = type(proa.State)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: value(int, default="x"), "state Bad.it: the default does not fit: expected an int"),
        (lambda: value(int | str), "state Bad.it: a state value has one type"),
        (lambda: value(proa.RawValue), "a state value has one type"),
        (lambda: value(type(None)), "a state value has one type"),
        (lambda: value(object()), "has no JSON form"),
        (lambda: value(0), r"the type comes first; write it = proa\.value\(int, default=0\)"),
        (lambda: 0, r"state Bad.it: a plain attribute is no state value; write it = proa\.value\(int, default=0\)"),
        (lambda: [1], r"write it = proa\.value\(list, default=\[1\]\), or annotate a constant as ClassVar"),
        (lambda: value(int, expire=timedelta(1)), r"expire must be proa.after_write\(…\)"),
        (lambda: value(int, name="a\x00"), "the name of state Bad.it must not hold a NUL"),
        (lambda: value(int, typename="a/b"), "an integer cannot travel as a/b"),
        (lambda: value(Add, typename=""), "must not be empty"),
        (lambda: value(Add, typename=5), "must be a str, not int"),
    ],
)
def test_states(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(proa.DefinitionError, match=text):
        make_class("Bad", (proa.State,), {"it": make()})


def test_state_names() -> None:
    with pytest.raises(proa.DefinitionError, match="must not begin with an underscore"):

        class Hidden(proa.State):
            _it = proa.value(int)

    with pytest.raises(proa.DefinitionError, match="two values are named 'a'"):

        class Twice(proa.State):
            a = proa.value(int)
            b = proa.value(int, name="a")


def test_state_declared_as_in_a_dataclass() -> None:
    with pytest.raises(proa.DefinitionError, match=r"write total = proa\.value\(int, default=0\)"):

        class Annotated(proa.State):
            total: int = 0

    with pytest.raises(proa.DefinitionError, match=r"state Bare.name: .*; write name = proa\.value\(str\)"):

        class Bare(proa.State):
            name: str

    class Fine(proa.State):
        LIMIT: ClassVar[int] = 5
        _hidden = 7
        total: proa.Value[int] = proa.value(int, default=0)

        def twice(self) -> int:
            """What is no data may stand in the class."""
            return 2 * self.total

    assert Fine.LIMIT == 5


def test_expiry() -> None:
    assert proa.after_write(timedelta(microseconds=1)).milliseconds == 1
    assert proa.after_invoke(timedelta(days=1)) == proa.Expiry("after_invoke", 86_400_000)
    with pytest.raises(proa.DefinitionError, match="at least a millisecond"):
        proa.after_write(timedelta(0))
    with pytest.raises(proa.UsageError, match=r"must be a datetime.timedelta, not int"):
        proa.after_write(5)  # type: ignore[arg-type]


def test_public_names() -> None:
    """All that is public is listed, and says proa as its module's root."""
    import proa.testing

    public = {name for name, member in vars(proa).items() if not name.startswith("_") and not inspect.ismodule(member)}
    assert public == set(proa.__all__)
    assert proa.__all__ == sorted(proa.__all__)
    for name in proa.__all__:
        assert getattr(proa, name).__doc__, name
