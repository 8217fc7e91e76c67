# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests are written with: the real host, functions, HTTP as bytes, waiting on metrics."""

from .function import PythonFunctions, ScriptedFunction
from .host import Host, HostFailed
from .http import Answer, raw_request, request
from .ports import free_port
from .wait import wait_until

__all__ = [
    "Answer",
    "Host",
    "HostFailed",
    "PythonFunctions",
    "ScriptedFunction",
    "free_port",
    "raw_request",
    "request",
    "wait_until",
]
