# SPDX-License-Identifier: Apache-2.0
"""What the tests say to a host and to the programs behind it, in few words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness import Answer, Host
from languages import Program

EGRESS = "interop/records"
ENDPOINT = """
kind: proa.v1/endpoint
spec:
  functions:
    {function}: {{takes: interop/program}}
  url: {url}
  call: {{timeout: 60s{more}}}
  retry: {{first: 20ms, max: 100ms, attempts: {attempts}, then: park}}
---
"""
EGRESS_MODULE = f"""
kind: proa.v1/egress
spec: {{name: {EGRESS}}}
"""
Op = dict[str, Any]


def module_of(programs: Iterable[Program], attempts: int = 1000, more: str = "", rest: str = "") -> str:
    """The text of a module file for these programs."""
    endpoints = (
        ENDPOINT.format(function=program.language.function, url=program.url, attempts=attempts, more=more)
        for program in programs
    )
    return "".join(endpoints) + rest + EGRESS_MODULE


def start_host(host: Host, *programs: Program, attempts: int = 1000, rest: str = "") -> Host:
    """Starts the host with these programs behind it."""
    return host.configure(module=module_of(programs, attempts, rest=rest)).start()


def program(*ops: Op, number: str = "", **more: Any) -> dict[str, Any]:
    """A message."""
    return {"number": number, "ops": list(ops), **more}


def run(host: Host, address: str, *ops: Op, number: str = "") -> Answer:
    """Has an instance do something; its answer, which must be one."""
    answer = host.ask(address, program(*ops, number=number), query="timeout=100s")
    assert answer.status == 200, answer
    return answer


def look(host: Host, address: str) -> dict[str, Any]:
    """What an instance knows."""
    return run(host, address, {"kind": "look"}).json


def send(host: Host, address: str, *ops: Op, number: str = "") -> None:
    """Sends a message that nobody waits for."""
    answer = host.send(address, program(*ops, number=number))
    assert answer.status == 202, answer
