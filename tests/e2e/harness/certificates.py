# SPDX-License-Identifier: Apache-2.0
"""Certificates of authorities that tests make up."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


@dataclass
class Shown:
    """A certificate and its key as files, to be shown to the other side."""

    cert: Path
    key: Path


class Authority:
    """Somebody who signs certificates; `ca` is the file to trust."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._count = 0
        self._ca = trustme.CA(organization_name=name)
        self.ca = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """What a server for these names shows; with negative days, a certificate that was good so long ago."""
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names, not_before=until - datetime.timedelta(days=9), not_after=until).configure_cert(
            context
        )
        return context

    def demanding_server(self, *names: str) -> ssl.SSLContext:
        """The same, wanting to be shown a certificate of this authority."""
        context = self.server(*names)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, name: str, password: bytes | None = None) -> Shown:
        """A client's certificate, and its key, encrypted with a password or not."""
        issued = self._ca.issue_cert(common_name=name)
        self._count += 1
        shown = Shown(
            self._folder / f"{self._name}-{self._count}-cert.pem", self._folder / f"{self._name}-{self._count}-key.pem"
        )
        shown.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key = issued.private_key_pem.bytes()
        if password is not None:
            key = serialization.load_pem_private_key(key, None).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password),
            )
        shown.key.write_bytes(key)
        return shown
