"""Certificates of this test run."""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
_numbers = itertools.count()


@dataclass
class Authority:
    """A certificate authority of this test run; one with an `issuer` stands between it and what it issues."""

    name: str
    folder: Path
    issuer: Authority | None = None

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(self.name)
        above = self.issuer or self
        builder = above.begin(self._subject, self._key.public_key(), NOW - DAY, NOW + DAY)
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        certificate = above.sign(builder.add_extension(constraint, critical=True))
        self.pem: bytes = certificate.public_bytes(serialization.Encoding.PEM)
        self.file = self.folder / f"{self.name}.pem"
        self.file.write_bytes(self.pem)

    def begin(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, since: dt.datetime, until: dt.datetime
    ) -> x509.CertificateBuilder:
        """A certificate to be."""
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._subject).public_key(key)
        return (
            builder.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
        )

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Make it one."""
        return builder.sign(self._key, hashes.SHA256())

    def issue(
        self,
        name: str,
        *,
        since: dt.datetime | None = None,
        until: dt.datetime = NOW + DAY,
        subject: x509.Name | None = None,
        names: tuple[x509.GeneralName, ...] | None = None,
        is_for_servers: bool = False,
    ) -> Path:
        """A certificate for a DNS name or an address, with its chain and its key in one PEM file.

        `subject` and `names` replace what they would be. One that `is_for_servers` says that it is for
        nothing else.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        since = since or min(NOW, until) - DAY
        subject = _named(name) if subject is None else subject
        builder = self.begin(subject, key.public_key(), since, until)
        names = (_general_name(name),) if names is None else names
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if is_for_servers:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(usage, critical=False)
        certificate = self.sign(builder)
        chain = self.pem if self.issuer else b""
        path = self.folder / f"{self.name}-{name}-{next(_numbers)}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + chain + _pem(key))
        return path

    def own(self) -> Path:
        """Its own certificate with its key, to be shown as a service's: self-signed."""
        path = self.folder / f"{self.name}-own.pem"
        path.write_bytes(self.pem + _pem(self._key))
        return path

    def trusting(self, client: Path | None = None) -> ssl.SSLContext:
        """TLS for a caller that trusts this authority, and shows the certificate of `client`."""
        context = ssl.create_default_context(cafile=str(self.file))
        if client is not None:
            context.load_cert_chain(client)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def put(content: Path, place: Path) -> None:
    """Make a file the content of a place as certbot and Kubernetes do: by a link that changes at once."""
    link = place.with_name(f"{place.name}.new")
    link.symlink_to(content)
    link.replace(place)


def trusting_all(client: Path | None = None) -> ssl.SSLContext:
    """TLS for a caller that believes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client)
    return context


def at_most(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """The same that speaks no newer version than this, however unsafe."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = min(version, ssl.TLSVersion.TLSv1)
        context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
