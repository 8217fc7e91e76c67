# SPDX-License-Identifier: Apache-2.0
"""Typed state: a class whose attributes are the values an instance keeps.

A `Value` is declared once, at class level, and is both the spec the host is told and the descriptor a handler reads
and writes. Behind it are two layers: `Cells`, the encoded values of one call, and a `State`, the view one message
has of them. A message that succeeds writes what it changed into the cells; one that fails leaves them as they were,
which is all there is to rolling back.
"""

from __future__ import annotations

import copy
import inspect
import keyword
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ._codec import Codec, TypedValue, _UnionCodec, codec_of, renamed
from ._model import Expiry, check_text
from .errors import DefinitionError, ProaError, StateTypeError, UsageError, ValueDecodeError, ValueEncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
V = TypeVar("V")
S_ = TypeVar("S_", bound="State")

STATE_NAME_BYTES_MAX = 255
_DATA = (bool, int, float, str, bytes, list, dict, set, tuple)  # what is taken for the value where its type belongs


class Value(Generic[T]):
    """One value in a `State`. Made by `proa.value`."""

    __slots__ = ("codec", "default", "expiry", "name", "owner", "type", "typename_asked", "wire_name")

    def __init__(
        self, type_: Any, default: Any, expiry: Expiry | None, wire_name: str | None, typename: str | None
    ) -> None:
        self.owner: Any = None
        self.name = ""
        self.wire_name = wire_name or ""
        self.typename_asked = typename
        self.default = default
        self.expiry = expiry
        self.type = type_
        self.codec: Codec  # compiled when the class it stands in is complete

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def resolve(self) -> None:
        """Compile the declaration. DefinitionError names the attribute and the fix."""
        where = f"state {self.owner.__name__}.{self.name}"
        if self.name.startswith("_") or keyword.iskeyword(self.name):
            raise DefinitionError(f"{where}: the name of a state value must not begin with an underscore")
        if isinstance(self.type, _DATA):
            raise DefinitionError(f"{where}: the type comes first; {_declaration_of(self.name, self.type)}")
        self.wire_name = self.wire_name or self.name
        try:
            check_text(self.wire_name, STATE_NAME_BYTES_MAX, f"the name of {where}")
            codec = codec_of(self.type, where)
            if self.typename_asked is not None:
                codec = renamed(codec, self.typename_asked, where)
        except UsageError as error:
            raise DefinitionError(str(error)) from None
        if isinstance(codec, _UnionCodec) or not codec.typename or not codec.readers:
            raise DefinitionError(
                f"{where}: a state value has one type; leave the default out to read None while it is unset"
            )
        if self.expiry is not None and not isinstance(self.expiry, Expiry):
            raise DefinitionError(f"{where}: expire must be proa.after_write(…) or proa.after_invoke(…)")
        if self.default is not None:
            try:
                codec.encode(self.default)
            except ProaError as error:
                raise DefinitionError(f"{where}: the default does not fit: {error}") from error
        self.codec = codec

    def fresh_default(self) -> Any:
        """Return the default, never shared if it can be changed in place."""
        return copy.deepcopy(self.default) if self.codec.is_mutable else self.default

    def decode(self, data: bytes) -> T:
        """Return the value that stored bytes stand for."""
        try:
            value: T = self.codec.readers[self.codec.typename](data)
        except ValueDecodeError as error:
            raise StateTypeError(f"state value {self.wire_name!r} cannot be read: {error}") from error
        return value

    def baseline(self, stored: bytes | None) -> bytes:
        """Return the bytes a value had before a handler could change it in place."""
        data: bytes = self.codec.encode(self.default if stored is None else self.decode(stored))
        return data

    @overload
    def __get__(self, instance: None, owner: Any) -> Value[T]: ...
    @overload
    def __get__(self, instance: State, owner: Any) -> T: ...
    def __get__(self, instance: State | None, owner: Any) -> Any:
        if instance is None:
            return self
        try:
            return instance._values[self.name]
        except (KeyError, TypeError):  # not read yet, or the handler has ended
            return instance._load(self)

    def __set__(self, instance: State, value: T) -> None:
        if value is not None:
            instance._set(self, value)
        elif self.default is None:
            instance._clear(self)
        else:
            raise UsageError(
                f"state value {self.name!r} has a default and cannot be None; "
                f"write `del ctx.state.{self.name}` to clear it"
            )

    def __delete__(self, instance: State) -> None:
        instance._clear(self)


@overload
def value(
    type: type[V], *, default: V, expire: Expiry | None = None, name: str | None = None, typename: str | None = None
) -> Value[V]: ...
@overload
def value(
    type: type[V], *, expire: Expiry | None = None, name: str | None = None, typename: str | None = None
) -> Value[V | None]: ...
def value(
    type: Any,
    *,
    default: Any = None,
    expire: Expiry | None = None,
    name: str | None = None,
    typename: str | None = None,
) -> Any:
    """Declare a state value inside a `State` class.

    Reading it while it is unset gives `default`, or None. `del` clears it. `expire` lets it vanish by itself.
    `name` and `typename` are for a value that another program already keeps under other names; `typename` also
    chooses 32 bits for an int: `proa.value(int, default=0, typename="io.statefun.types/int")`.
    """
    return Value(type, default, expire, name, typename)


def _declaration_of(name: str, default: Any) -> str:
    return f"write {name} = proa.value({type(default).__name__}, default={default!r})"


class _StateMeta(type):
    """Collects the values of a class, and keeps a misspelt attribute from passing as a new one."""

    _specs: tuple[Value[Any], ...]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        namespace.setdefault("__slots__", ())
        class_: Any = super().__new__(mcs, name, bases, namespace)
        specs: dict[str, Value[Any]] = {spec.name: spec for base in bases for spec in getattr(base, "_specs", ())}
        for key, member in namespace.items():
            if isinstance(member, Value):
                member.resolve()
                specs[key] = member
        names = [spec.wire_name for spec in specs.values()]
        for wire_name in names:
            if names.count(wire_name) > 1:
                raise DefinitionError(f"state {name}: two values are named {wire_name!r}")
        _refuse_annotations(class_, specs)
        for key, member in namespace.items():
            if isinstance(member, _DATA) and not key.startswith("_") and key not in inspect.get_annotations(class_):
                raise DefinitionError(
                    f"state {name}.{key}: a plain attribute is no state value; {_declaration_of(key, member)}, or "
                    "annotate a constant as ClassVar"
                )
        class_._specs = tuple(specs.values())
        return class_


def _refuse_annotations(class_: type, specs: dict[str, Value[Any]]) -> None:
    """Raise DefinitionError for an attribute declared as in a dataclass: it would be no state, and never kept."""
    for name, annotation in inspect.get_annotations(class_).items():
        label = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        if not name.startswith("_") and name not in specs and "ClassVar" not in label:
            default = f", default={class_.__dict__[name]!r}" if name in class_.__dict__ else ""
            raise DefinitionError(
                f"state {class_.__name__}.{name}: an annotation declares no state value; "
                f"write {name} = proa.value({label}{default})"
            )


class Cells:
    """The encoded state of one instance during one call: what came, what changed."""

    __slots__ = ("changed", "stored")

    def __init__(self) -> None:
        self.stored: dict[str, bytes | None] = {}  # by attribute name; None: unset
        self.changed: dict[str, Value[Any]] = {}

    def put(self, spec: Value[Any], source: TypedValue, is_set: bool) -> None:
        """Take over a value as the host sent it. StateTypeError if it has another type than declared."""
        if not is_set:
            self.stored[spec.name] = None
            return
        if source.typename != spec.codec.typename:
            raise StateTypeError(
                f"state value {spec.wire_name!r} is stored as {source.typename} but declared as {spec.codec.typename}; "
                "declare the type it has, or a value of another name"
            )
        self.stored[spec.name] = source.value


class State(metaclass=_StateMeta):
    """The base of state classes: its attributes, made by `proa.value`, are what an instance keeps.

    class Cart(proa.State):
        items = proa.value(int, default=0)
        coupon = proa.value(str, expire=proa.after_write(timedelta(days=30)))
    """

    __slots__ = ("_cells", "_read", "_values", "_written")

    _specs: tuple[Value[Any], ...] = ()
    _cells: Cells | None
    _values: Any  # what the handler sees, by name
    _read: dict[str, Value[Any]]  # values that may have been changed in place
    _written: dict[str, bool]  # True: assigned, False: deleted

    def __init__(self) -> None:
        raise UsageError("a State is not made by hand: a handler gets it as ctx.state")

    @classmethod
    def _over(cls: type[S_], cells: Cells) -> S_:
        """Return the view one message has of the cells."""
        self = cls.__new__(cls)
        self._cells = cells
        self._values = {}
        self._read = {}
        self._written = {}
        return self

    def _open(self, spec: Value[Any]) -> Cells:
        if self._cells is None:
            raise UsageError(f"state value {spec.name!r} is used outside the handler it was given to")
        return self._cells

    def _load(self, spec: Value[Any]) -> Any:
        name = spec.name
        data = self._open(spec).stored[name] if self._written.get(name, True) else None
        value = spec.fresh_default() if data is None else spec.decode(data)
        self._values[name] = value
        if spec.codec.is_mutable and value is not None:
            self._read[name] = spec
        return value

    def _set(self, spec: Value[Any], value: Any) -> None:
        self._open(spec)
        self._values[spec.name] = value
        self._written[spec.name] = True

    def _clear(self, spec: Value[Any]) -> None:
        self._open(spec)
        self._values.pop(spec.name, None)
        self._read.pop(spec.name, None)
        self._written[spec.name] = False

    def _keep(self) -> None:
        """Write what the message changed into the cells: all of it, or by an error nothing."""
        cells = self._cells
        if cells is None or not (self._written or self._read):
            return
        changes: list[tuple[Value[Any], bytes | None]] = []
        for name, is_assigned in self._written.items():
            spec: Value[Any] = getattr(type(self), name)
            if is_assigned:
                changes.append((spec, self._encode(spec)))
            elif name not in self._read and cells.stored[name] is not None:
                changes.append((spec, None))
        for name, spec in self._read.items():
            if not self._written.get(name, False):
                data = self._encode(spec)
                stored = cells.stored[name] if name not in self._written else None
                if data != stored and data != spec.baseline(stored):
                    changes.append((spec, data))
                elif name in self._written and cells.stored[name] is not None:
                    changes.append((spec, None))
        for spec, encoded in changes:
            cells.stored[spec.name] = encoded
            cells.changed[spec.name] = spec

    def _encode(self, spec: Value[Any]) -> bytes:
        try:
            return spec.codec.encode(self._values[spec.name])
        except ValueEncodeError as error:
            raise ValueEncodeError(f"state value {spec.name!r}: {error}") from error

    def _close(self) -> None:
        self._cells = self._values = None

    @classmethod
    def _frozen(cls: type[S_], cells: Cells) -> S_:
        """Return a view that can be read for ever and not written."""
        self = cls._over(cells)
        for spec in cls._specs:
            self._load(spec)
        self._cells = None
        return self


def specs_of(state: type[State] | None) -> Iterable[Value[Any]]:
    """Return the declared values of a state class, in order."""
    return state._specs if state is not None else ()
