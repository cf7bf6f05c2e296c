"""A certificate authority of one test, and a TLS door before a Redis that has none."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class ThrowawayCa:
    """Makes certificates; its own is in `path`."""

    folder: Path
    name: str = "a throwaway CA"

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        own = (
            self._builder(self.name, self._key, now - timedelta(hours=1), now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, SHA256())
        )
        self.path = self.folder / f"{self.name}.pem"
        self.path.write_bytes(own.public_bytes(Encoding.PEM))

    def certificate(self, *, expired: bool = False, address: str = HOST) -> Path:
        """Return a file with key and certificate for an address."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        until = now - timedelta(minutes=1) if expired else now + timedelta(hours=1)
        made = (
            self._builder("a server", key, now - timedelta(hours=1), until)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .sign(self._key, SHA256())
        )
        path = self.folder / f"{self.name}-{expired}-{address}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(secret + made.public_bytes(Encoding.PEM))
        return path

    def _builder(
        self, subject: str, key: ec.EllipticCurvePrivateKey, since: datetime, until: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
        )


@contextmanager
def tls_door(certificate: Path | None, to_port: int) -> Iterator[int]:
    """Open a port that speaks TLS and passes on to a port that does not; without a certificate it speaks plain."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    with socket.create_server((HOST, 0)) as door:
        threading.Thread(target=_receive, args=(door, context, to_port), daemon=True).start()
        yield door.getsockname()[1]
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)  # ends the waiting accept


def _receive(door: socket.socket, context: ssl.SSLContext | None, to_port: int) -> None:
    with suppress(OSError):
        while True:
            guest, _ = door.accept()
            threading.Thread(target=_pass_on, args=(guest, context, to_port), daemon=True).start()


def _pass_on(guest: socket.socket, context: ssl.SSLContext | None, to_port: int) -> None:
    with suppress(OSError), guest:
        guest.settimeout(20)
        inner = context.wrap_socket(guest, server_side=True) if context else guest
        inner.settimeout(None)
        with inner, socket.create_connection((HOST, to_port)) as redis:
            back = threading.Thread(target=_pump, args=(redis, inner), daemon=True)
            back.start()
            _pump(inner, redis)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
