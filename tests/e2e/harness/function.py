# SPDX-License-Identifier: Apache-2.0
"""Functions for the host to call: a real Python process, and a scripted one for odd behaviour."""

from __future__ import annotations

import http.server
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from proa import _wire_pb2 as wire

from .ports import free_port
from .wait import wait_until

APPS = Path(__file__).resolve().parents[1] / "apps"
OCTETS = "application/octet-stream"
STRAY = f"HTTP/1.1 200 OK\r\nContent-Type: {OCTETS}\r\nContent-Length: 0\r\n\r\n".encode()


class PythonFunctions:
    """A uvicorn process that serves an app of the proa SDK; it may be killed and started again on its port."""

    def __init__(self, app: str, log_path: Path, folder: Path = APPS) -> None:
        self.app = app
        self.folder = folder
        self.log_path = log_path
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> PythonFunctions:
        """Starts it and waits until it listens."""
        assert self.process is None
        command = [sys.executable, "-m", "uvicorn", self.app, "--app-dir", str(self.folder)]
        options = ["--port", str(self.port), "--log-level", "warning", "--no-access-log", "--loop", "asyncio"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._listens, f"{self.app} listens on port {self.port}")
        return self

    def kill(self) -> None:
        """Ends it as a crash does; no effect if it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log_path.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class Call:
    """One call the host made: the request as protocol and as bytes, header fields (lower case), first line, peer."""

    request: wire.ToFunction
    headers: dict[str, str]
    path: str
    body: bytes
    request_line: str
    peer_port: int  # one connection has one; over a Unix socket a number that stands for it
    client: str = ""  # the common name in the certificate that the host showed

    @property
    def batch(self) -> wire.ToFunction.InvocationBatchRequest:
        """The batch it carries."""
        return self.request.invocation

    @property
    def values(self) -> list[bytes]:
        """The bytes of its messages."""
        return [invocation.argument.value for invocation in self.batch.invocations]


@dataclass
class Reply:
    """What a scripted function answers: a FromFunction, or any bytes; anything may be wrong with it."""

    result: wire.FromFunction | None = None
    status: int = 200
    content_type: str | None = OCTETS
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    hang_up: bool = False  # close the connection without an answer
    reset: bool = False  # the same, but reset it
    is_last: bool = False  # close the connection after the answer, which does not say so
    cut_at: int | None = None  # close it after so many bytes of the body
    stray: threading.Event | None = None  # once it is set, send an answer that nobody asked for, and clear it
    has_length: bool = True  # say how long the body is; without it, its end is that of the connection


class ScriptedFunction:
    """An HTTP server in this process whose answers a Python function chooses; it keeps every call it saw.

    A request over `body_bytes_max` is answered 413 before its body was read, and counted in `refused`. A connection
    that is idle for `keep_alive_s` after an answer is closed. Both as servers in the field do.
    """

    def __init__(
        self,
        answer: Callable[[Call], Reply],
        body_bytes_max: int = sys.maxsize,
        keep_alive_s: float | None = None,
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.body_bytes_max = body_bytes_max
        self.keep_alive_s = keep_alive_s
        self.tls = tls  # may be another one at the next start
        self.path = path  # of a Unix socket, to listen there instead
        self.calls: list[Call] = []
        self.refused = 0
        self._lock = threading.Lock()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.address = address
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/" if tls is None else f"https://localhost:{self.port}/"
        if path is not None:
            self.url = f"http+unix://{path}/"

    def start(self) -> ScriptedFunction:
        """Listens, on the same port or socket each time."""
        if self.path is None:
            self._server = _Server((self.address, self.port), self._handler())
        else:
            self.path.unlink(missing_ok=True)
            self._server = _UnixServer(str(self.path), self._handler())
        if self.tls is not None:
            # A handshake is part of the first read, on the connection's own thread.
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stops listening; calls are refused then. No effect if it does not listen."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.close_connections()
            self._server = None

    def seen(self, call: Call) -> None:
        """Keeps a call."""
        with self._lock:
            self.calls.append(call)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = owner.path is None

            def do_POST(self) -> None:
                self.connection.settimeout(None)
                if int(self.headers.get("Content-Length", "0")) > owner.body_bytes_max:
                    owner.refused += 1
                    self._send(Reply(status=413, content_type=None, headers={"Connection": "close"}, is_last=True))
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                fields = {name.lower(): value for name, value in self.headers.items()}
                request = wire.ToFunction.FromString(body)
                peer_port = self.client_address[1] if owner.path is None else self.connection.fileno()
                call = Call(request, fields, self.path, body, self.requestline, peer_port, self._client())
                owner.seen(call)
                self._send(owner.answer(call))
                if not self.close_connection:
                    self.connection.settimeout(owner.keep_alive_s)

            def _client(self) -> str:
                shown = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
                subject = (shown or {}).get("subject", ())
                return "".join(value for parts in subject for name, value in parts if name == "commonName")

            def _send(self, reply: Reply) -> None:
                self.close_connection = reply.is_last or reply.hang_up or reply.reset or reply.cut_at is not None
                if reply.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    os.close(self.connection.detach())
                if reply.hang_up or reply.reset:
                    return
                body = reply.body
                if body is None:
                    body = reply.result.SerializeToString() if reply.result is not None else b""
                self.send_response(reply.status)
                if reply.content_type is not None:
                    self.send_header("Content-Type", reply.content_type)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.has_length:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: reply.cut_at])
                if reply.stray is not None and reply.stray.wait(60):
                    self.wfile.write(STRAY)
                    reply.stray.clear()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, *arguments: object) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*arguments)  # type: ignore[arg-type]

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def close_connections(self) -> None:
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a killed host leaves connections behind


class _UnixServer(_Server):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


def reply_to(call: Call, typename: str, data: bytes) -> wire.FromFunction:
    """A result that answers every ask of a call with one value; a plain send has nobody to answer."""
    result = wire.FromFunction()
    for invocation in (asked for asked in call.batch.invocations if asked.HasField("caller")):
        outgoing = result.invocation_result.outgoing_messages.add()
        outgoing.target.CopyFrom(invocation.caller)
        outgoing.argument.typename = typename
        outgoing.argument.has_value = True
        outgoing.argument.value = data
    result.invocation_result.SetInParent()
    return result
