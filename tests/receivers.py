"""Real receivers of alerts for everybody's tests: HTTP and SMTP servers on this machine that do as told.

Both run in a thread of their own, so that plain and async tests use them in the same way:

    with HttpReceiver(500, Answer(delay_seconds=0.1)) as receiver:
        ...  # something posts to receiver.url
        [first, second] = receiver.wait_for(2)      # in async tests: await receiver.arrived(2)

Answers are given in order, one per request; the last one is given from then on.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import json
import socket
import ssl
import struct
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import quote

import httptools
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATIENCE_SECONDS = 10.0


class Act(StrEnum):
    """What an HttpReceiver does with a request that it has taken."""

    REPLY = "reply"
    HANG = "hang"  # never says a word
    RESET = "reset"  # resets the connection
    TRICKLE = "trickle"  # promises a long body and sends a byte of it every 20 ms
    RAW = "raw"  # writes `body` as it is, which need not be HTTP, and closes


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted reply."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    act: Act = Act.REPLY


HANG = Answer(act=Act.HANG)
RESET = Answer(act=Act.RESET)
TRICKLE = Answer(act=Act.TRICKLE)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. Header names are lower case; `at` is time.monotonic()."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


class HttpReceiver:
    """An HTTP/1.1 server with keep-alive that records what it gets and answers as scripted.

    `answers`: a status or an Answer each; none means 200 to everything. With `certificate` it speaks TLS.
    """

    def __init__(
        self,
        *answers: Answer | int,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Certificate | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.port = port
        self._host = host
        self._answers = [Answer(status=one) if isinstance(one, int) else one for one in answers or (200,)]
        self._tls = certificate.server_context() if certificate else None
        self._open: set[asyncio.Transport] = set()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def script(self, *answers: Answer | int) -> None:
        """Answer so from the next request on."""
        self._answers = [Answer(status=one) if isinstance(one, int) else one for one in answers]

    def wait_for(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Request]:
        """The requests, as soon as there are `count` of them. Raises AssertionError when time is up."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.requests) >= count, timeout_seconds)
            assert enough, f"{len(self.requests)} of {count} requests came in {timeout_seconds} s"
            return list(self.requests)

    async def arrived(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Request]:
        """As wait_for, without stopping the event loop."""
        return await asyncio.to_thread(self.wait_for, count, timeout_seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(self._start())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exc: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _start(self) -> asyncio.Server:
        return await self._loop.create_server(
            lambda: _Connection(self), self._host, self.port, ssl=self._tls, backlog=1024
        )

    async def _stop(self) -> None:
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.01)  # connection_lost of what was aborted

    def _take(self, request: Request) -> Answer:
        with self._changed:
            number = min(len(self.requests), len(self._answers) - 1)
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self._changed.notify_all()
        return self._answers[number]


class _Connection(asyncio.Protocol):
    """One connection of an HttpReceiver; also what httptools calls while it parses."""

    def __init__(self, receiver: HttpReceiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._forget()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._receiver._open.add(self._transport)
        self._receiver.connections += 1

    def connection_lost(self, _exc: Exception | None) -> None:
        self._receiver._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        request = Request(
            self._parser.get_method().decode(),
            self._target.decode(),
            self._headers,
            self._body,
            time.monotonic(),
        )
        self._forget()
        answer = self._receiver._take(request)
        self._receiver._loop.call_later(answer.delay_seconds, self._perform, answer)

    def _forget(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = b""

    def _perform(self, answer: Answer) -> None:
        if answer.act is Act.HANG:
            return
        self._receiver.in_flight -= 1
        if answer.act is Act.RESET:
            self._reset()
        elif answer.act is Act.TRICKLE:
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            self._trickle()
        elif answer.act is Act.RAW:
            self._transport.write(answer.body)
            self._transport.close()
        else:
            self._transport.write(_encode(answer))

    def _reset(self) -> None:
        opened = cast("socket.socket", self._transport.get_extra_info("socket"))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _trickle(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b".")
            self._receiver._loop.call_later(0.02, self._trickle)


def _encode(answer: Answer) -> bytes:
    headers = {"content-length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unnamed"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it was handed over. `message` is parsed; `raw` is every byte."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    over_tls: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def part(self, kind: str) -> str:
        """The text of the part `plain` or `html`, its lines ended as Python ends them."""
        body = self.message.get_body((kind,))
        assert body is not None, f"no {kind} part"
        return str(body.get_content()).replace("\r\n", "\n")


class SmtpReceiver:
    """An SMTP server that keeps what it gets.

    `refuse`: address → reply ("450 4.2.1 try later") to its RCPT. `at_data`: replies to whole messages, in
    order, the last one from then on. `certificate` offers STARTTLS, or TLS from the start with
    `implicit_tls`. `login`: (user, password) that it demands.
    """

    def __init__(
        self,
        *,
        refuse: Mapping[str, str] | None = None,
        at_data: Sequence[str] = ("250 OK",),
        certificate: Certificate | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.mails: list[Mail] = []
        self.refuse = dict(refuse or {})
        self.at_data = list(at_data)
        self._tried = 0
        self._login = login
        self._implicit_tls = implicit_tls
        self._changed = threading.Condition()
        self._controller = _SmtpController(self, certificate, implicit_tls=implicit_tls, login=login)

    @property
    def port(self) -> int:
        server = cast("asyncio.Server", self._controller.server)
        return int(server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        login = ":".join(quote(part, safe="") for part in self._login) + "@" if self._login else ""
        return f"smtp{'s' if self._implicit_tls else ''}://{login}127.0.0.1:{self.port}"

    def wait_for(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Mail]:
        """The mails, as soon as there are `count` of them. Raises AssertionError when time is up."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.mails) >= count, timeout_seconds)
            assert enough, f"{len(self.mails)} of {count} mails came in {timeout_seconds} s"
            return list(self.mails)

    async def arrived(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Mail]:
        """As wait_for, without stopping the event loop."""
        return await asyncio.to_thread(self.wait_for, count, timeout_seconds)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse as told, else take the recipient (called by aiosmtpd)."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail if the reply is a 250 (called by aiosmtpd)."""
        reply = self.at_data[min(self._tried, len(self.at_data) - 1)]
        self._tried += 1
        if reply.startswith("250"):
            self._keep(session, envelope)
        return reply

    def _keep(self, session: Session, envelope: Envelope) -> None:
        login = cast("LoginPassword | None", session.auth_data)
        mail = Mail(
            envelope.mail_from or "",
            tuple(str(one) for one in envelope.rcpt_tos),
            cast("bytes", envelope.content),
            session.ssl is not None or self._implicit_tls,
            login.login.decode() if login else None,
        )
        with self._changed:
            self.mails.append(mail)
            self._changed.notify_all()


class _SmtpController(Controller):
    """aiosmtpd in a thread, on a port of the system's choice."""

    def __init__(
        self,
        receiver: SmtpReceiver,
        certificate: Certificate | None,
        *,
        implicit_tls: bool,
        login: tuple[str, str] | None,
    ) -> None:
        context = certificate.server_context() if certificate else None
        self._login = login
        super().__init__(
            receiver,
            hostname="127.0.0.1",
            port=_free_port(),
            ready_timeout=PATIENCE_SECONDS,
            ssl_context=context if implicit_tls else None,
            tls_context=None if implicit_tls else context,
            auth_required=login is not None,
            auth_require_tls=False,
            authenticator=self._authenticate,
            enable_SMTPUTF8=True,
        )

    def factory(self) -> SMTP:
        # A login without TLS is unsafe, and just what some tests want to see.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return cast("SMTP", super().factory())  # type: ignore[no-untyped-call]

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any
    ) -> AuthResult:
        given = (login.login.decode(), login.password.decode())
        return AuthResult(success=given == self._login, handled=False, auth_data=login)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Certificate:
    """A certificate that signs itself for `names` (host names or addresses)."""

    def __init__(self, *names: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        now = dt.datetime.now(dt.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.pem = built.public_bytes(serialization.Encoding.PEM).decode()
        self._key = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def server_context(self) -> ssl.SSLContext:
        """What a server shows this certificate with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # ssl reads certificates from files only.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "both.pem")
            file.write_text(self.pem + self._key)
            context.load_cert_chain(file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client trusts this certificate, and no other, with."""
        return ssl.create_default_context(cadata=self.pem)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
