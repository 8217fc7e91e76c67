# SPDX-License-Identifier: Apache-2.0
"""A scripted function that speaks HTTP/2 without TLS, from the first byte on, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from proa import _wire_pb2 as wire

from .function import Call, Reply
from .ports import free_port


class H2cFunction:
    """Answers each stream on a thread of its own, by a Python function; it keeps every call it saw."""

    def __init__(self, answer: Callable[[Call], Reply]) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.connections: list[_Connection] = []
        self._listener: socket.socket | None = None

    def start(self) -> H2cFunction:
        """Listens, on the same port each time."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stops listening and hangs up. No effect if it does not listen."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            self.hang_up()

    def hang_up(self) -> None:
        """Closes all connections, whatever goes on over them."""
        for connection in list(self.connections):
            connection.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            connection = _Connection(self, taken)
            self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()


class _Connection:
    def __init__(self, owner: H2cFunction, taken: socket.socket) -> None:
        self._owner = owner
        self._socket = taken
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._changed = threading.Condition()  # guards _h2; notified when windows open
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}

    def run(self) -> None:
        """Serves until the peer closes, or speaks something else."""
        try:
            with self._changed:
                self._h2.initiate_connection()
                self._flush()
            while data := self._socket.recv(65536):
                with self._changed:
                    for event in self._h2.receive_data(data):
                        self._take(event)
                    self._flush()
                    self._changed.notify_all()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        self.close()

    def close(self) -> None:
        """Closes it, as often as one likes."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def go_away(self) -> None:
        """Says that it takes no further streams, answers those it has, and stays open."""
        with self._changed:
            self._h2.close_connection()
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = {str(name, "ascii"): str(value, "ascii") for name, value in event.headers}
            self._requests[event.stream_id] = (fields, bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self._requests[event.stream_id][1].extend(event.data)
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            fields, body = self._requests.pop(event.stream_id)
            line = f"{fields[':method']} {fields[':path']} HTTP/2"
            peer_port = self._socket.getpeername()[1]
            call = Call(wire.ToFunction.FromString(bytes(body)), fields, fields[":path"], bytes(body), line, peer_port)
            self._owner.calls.append(call)
            threading.Thread(target=self._answer, args=(event.stream_id, call), daemon=True).start()

    def _answer(self, stream: int, call: Call) -> None:
        reply = self._owner.answer(call)
        try:
            with self._changed:
                if reply.hang_up:
                    self._h2.reset_stream(stream)
                    self._flush()
                else:
                    self._send(stream, reply)
        except (OSError, h2.exceptions.ProtocolError):
            pass  # nobody listens any more

    def _send(self, stream: int, reply: Reply) -> None:
        body = reply.body
        if body is None:
            body = reply.result.SerializeToString() if reply.result is not None else b""
        fields = [(":status", str(reply.status)), *reply.headers.items()]
        if reply.content_type is not None:
            fields.append(("content-type", reply.content_type))
        self._h2.send_headers(stream, fields)
        while body:
            window = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(body))
            if window <= 0:
                self._flush()
                self._changed.wait(60)
                continue
            self._h2.send_data(stream, body[:window])
            body = body[window:]
        self._h2.end_stream(stream)
        self._flush()
