"""The certificate authority of the local stack, which its functions trust beside Mozilla's.

Tests of HTTPS on this machine use certificates that it issued.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from local import settings

LIFETIME = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its own certificate, and what it signs with."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, name: str) -> "Authority":
        """An authority that no client trusts yet."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        basics = x509.BasicConstraints(ca=True, path_length=None)
        unsigned = _certificate(subject, subject, key.public_key(), _now() + LIFETIME)
        return cls(unsigned.add_extension(basics, critical=True).sign(key, hashes.SHA256()), key)

    def issue(self, host: str, folder: Path, until: datetime.datetime | None = None) -> tuple[Path, Path]:
        """Files with a certificate of this host, a name or an address, and with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = _certificate(_named(host), self.certificate.subject, key.public_key(), until or _now() + LIFETIME)
        names = x509.SubjectAlternativeName([_general_name(host)])
        signed = unsigned.add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
        certificate_file.write_bytes(signed.public_bytes(Encoding.PEM))
        _write_key(key_file, key)
        return certificate_file, key_file


def of_stack() -> Authority:
    """The authority that the local stack trusts: made at the first call, and kept until the stack is removed."""
    if settings.AUTHORITY_FILE.exists():
        certificate = x509.load_pem_x509_certificate(settings.AUTHORITY_FILE.read_bytes())
        key = load_pem_private_key(settings.AUTHORITY_KEY_FILE.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Authority(certificate, key)
    authority = Authority.new("Autolabel, local stack")
    settings.AUTHORITY_FILE.parent.mkdir(parents=True, exist_ok=True)
    _write_key(settings.AUTHORITY_KEY_FILE, authority.key)
    settings.AUTHORITY_FILE.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    return authority


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
    dated = builder.not_valid_before(min(_now(), until) - datetime.timedelta(days=1)).not_valid_after(until)
    return dated.serial_number(x509.random_serial_number())


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
