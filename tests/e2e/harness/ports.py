# SPDX-License-Identifier: Apache-2.0
"""Ports for whoever must keep one: a server that is stopped and started again, a program whose port stands in a file.

Test processes of all workers, and of all copies of this project on a machine, run side by side. So the ports come in
blocks, and a block belongs to the process that listens on its first port: the kernel lets nobody else, and takes it
back when that process ends, however it ends.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from functools import cache

PORT_MIN, PORT_END, BLOCK = 25000, 32700, 100  # Linux takes those of outgoing connections from 32768 on


@cache
def _block() -> tuple[socket.socket, Iterator[int]]:
    """This process's block: the socket that holds it, and its other ports, round and round."""
    for first in range(PORT_MIN, PORT_END, BLOCK):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", first))
            holder.listen()
        except OSError:
            holder.close()
            continue
        return holder, itertools.cycle(range(first + 1, first + BLOCK))
    raise AssertionError(f"each block of ports from {PORT_MIN} to {PORT_END} is taken")


def free_port() -> int:
    """A port nobody listens on, nor will, but for this process and whom it tells."""
    _, ports = _block()
    for port in itertools.islice(ports, BLOCK):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("each port of this process's block is taken")
