"""A web server over TLS for downloads, whose answer a test writes byte by byte."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Answer = Callable[[str, dict[str, str]], list[bytes]]
"""Returns the pieces of an answer to a request's path and headers; the connection then closes."""


def make_certificate(folder: Path) -> Path:
    """Write a certificate of this machine with its key into one file, and return the file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    own = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(own), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(pem)
    )
    return path


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = -1) -> bytes:
    """Return an answer; `length` is what it claims: the true one by default, or none at all."""
    claimed = len(body) if length == -1 else length
    given = [*headers, *([] if claimed is None else [f"Content-Length: {claimed}"])]
    head = "\r\n".join([f"HTTP/1.1 {status}", *given, "Connection: close", "", ""])
    return head.encode() + body


@contextmanager
def tls_server(certificate: Path, reply: Answer) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a server, and the list of the paths that were asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[str] = []
    door = socket.create_server(("127.0.0.1", 0))
    door.settimeout(0.1)
    over = threading.Event()

    def talk(client: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(client, server_side=True) as stream:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := stream.recv(65_536)):
                    return
                head += more
            first, *rest = head.decode("latin-1").split("\r\n")
            path = first.split(" ")[1]
            asked.append(path)
            for piece in reply(path, dict(line.split(": ", 1) for line in rest if ": " in line)):
                stream.sendall(piece)

    def serve() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                client, _ = door.accept()
                client.settimeout(20)
                talk(client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{door.getsockname()[1]}", asked
    finally:
        over.set()
        thread.join()
        door.close()
