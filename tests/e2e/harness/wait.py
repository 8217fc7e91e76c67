# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with a deadline. Tests wait on what they can see, never for a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Instrumented hosts on a busy machine are slow; a deadline only says when to give up.
DEADLINE_S = float(os.environ.get("PROA_TEST_DEADLINE", "60"))


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Returns the first true value of `condition`; AssertionError naming `what` if none comes in time."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not so after {deadline_s:g} s: {what}")
        time.sleep(0.01)
