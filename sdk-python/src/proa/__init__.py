# SPDX-License-Identifier: Apache-2.0
"""Proa: stateful functions as ordinary HTTP services.

class Counter(proa.State):
    total = proa.value(int, default=0)

app = proa.App()

@app.function("example/counter")
async def counter(ctx: proa.Context[Counter], amount: int) -> int:
    ctx.state.total += amount
    return ctx.state.total
"""

from ._app import App
from ._codec import Float32, Int32
from ._context import Context
from ._function import Function, Ref, remote
from ._model import Address, Expiry, RawValue, ReplyTo, after_invoke, after_write, message
from ._state import State, Value, value
from .errors import (
    DefinitionError,
    FunctionFailed,
    NoReply,
    ProaError,
    Reject,
    Rejected,
    RequestError,
    StateTypeError,
    UsageError,
    ValueDecodeError,
    ValueEncodeError,
)

__version__ = "0.1.0"

__all__ = [
    "Address",
    "App",
    "Context",
    "DefinitionError",
    "Expiry",
    "Float32",
    "Function",
    "FunctionFailed",
    "Int32",
    "NoReply",
    "ProaError",
    "RawValue",
    "Ref",
    "Reject",
    "Rejected",
    "ReplyTo",
    "RequestError",
    "State",
    "StateTypeError",
    "UsageError",
    "Value",
    "ValueDecodeError",
    "ValueEncodeError",
    "after_invoke",
    "after_write",
    "message",
    "remote",
    "value",
]
