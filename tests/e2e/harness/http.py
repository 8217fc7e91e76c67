# SPDX-License-Identifier: Apache-2.0
"""HTTP as a client sees it, close to the bytes: nothing is encoded, retried or followed by itself."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """Status, header fields (names in lower case) and body of one answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document; AssertionError if the answer is none or lacks a member."""
        assert self.headers.get("content-type") == "application/problem+json", self
        problem = self.json
        for member in ("type", "title", "status", "detail", "code", "source"):
            assert member in problem, f"{member} is missing in {problem}"
        assert problem["status"] == self.status
        assert problem["source"] in ("host", "function")
        if "invocation" in problem:
            assert problem["invocation"] == self.headers["proa-invocation"]
        return str(problem["code"])


def request(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Makes one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()


def raw_request(port: int, data: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """Sends bytes as they are and returns everything up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received
