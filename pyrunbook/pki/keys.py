"""Private keys: new ones, from a file, and requests to sign them. The key itself is never shown."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from pyrunbook.errors import BadInput
from pyrunbook.pki.secret import Secret, read_private

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KINDS = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")
"""What a new key may be; the first is the default."""
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class PrivateKey:
    """A private key that neither `repr` nor pickle gives away.

    Args:
        key: of the library `cryptography`.
    """

    __slots__ = ("_key",)

    def __init__(self, key: Private) -> None:
        self._key = key

    @classmethod
    def new(cls, kind: str = KINDS[0]) -> PrivateKey:
        """A new key of one of `KINDS`.

        Raises:
            BadInput: another kind.
        """
        match kind:
            case "ec-p256":
                return cls(ec.generate_private_key(ec.SECP256R1()))
            case "ec-p384":
                return cls(ec.generate_private_key(ec.SECP384R1()))
            case "rsa-2048" | "rsa-3072" | "rsa-4096":
                return cls(rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:])))
        raise BadInput(f"unknown kind of key {kind!r}: one of {', '.join(KINDS)}")

    @classmethod
    def from_pem(cls, pem: bytes, origin: str, passphrase: Secret | None = None) -> PrivateKey:
        """A key from its PEM text (PKCS#8, PKCS#1 or SEC 1).

        Args:
            pem: the text; may hold certificates too, the first private key in it is taken.
            origin: where it came from, for messages.

        Raises:
            BadInput: no key in it, a wrong passphrase, or a kind of key that no server uses.
        """
        secret = passphrase.reveal().encode() if passphrase else None
        try:
            key = serialization.load_pem_private_key(_key_block(pem), secret)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None  # the library's words may quote the input
        if key is None:
            raise BadInput(f"{origin} holds no private key in PEM that can be read" + _encrypted(pem, passphrase))
        if not isinstance(key, Private):
            raise BadInput(f"{origin} holds a {type(key).__name__}; EC, RSA and Ed25519 can serve TLS")
        return cls(key)

    @classmethod
    def from_file(cls, path: Path, *, allowed: int = 0o600, passphrase: Secret | None = None) -> PrivateKey:
        """A key from a file that has at most the permission bits `allowed`.

        Raises:
            BadInput: see `read_private` and `from_pem`.
        """
        return cls.from_pem(read_private(path, allowed=allowed), str(path), passphrase)

    @property
    def kind(self) -> str:
        """`ec-p256`, `rsa-2048` and the like."""
        return kind_of(self._key.public_key())

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._key.public_key()

    def pem(self) -> bytes:
        """The key in PKCS#8 PEM, unencrypted: for a file that only its owner may read."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def unwrap(self) -> Private:
        """The library's own object, for what signs certificates."""
        return self._key

    def sign(self, data: bytes) -> bytes:
        """Sign `data` (SHA-256; RSA with PSS, as Vault's transit does)."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, _PSS, hashes.SHA256())
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(data, ec.ECDSA(hashes.SHA256()))
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"<private key {self.kind}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not to be pickled or copied")


PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def verifies(key: object, signature: bytes, data: bytes) -> bool:
    """Whether `signature` over `data` was made by the private half of the public key `key` (see `PrivateKey.sign`)."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, _PSS, hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def round_trip(private: PrivateKey, public: object) -> bool:
    """Whether something signed now with `private` is accepted by `public`."""
    challenge = os.urandom(32)
    return verifies(public, private.sign(challenge), challenge)


def kind_of(public: object) -> str:
    """The kind of a public key, in the words of `KINDS` where they have one."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return {"secp256r1": "ec-p256", "secp384r1": "ec-p384"}.get(public.curve.name, f"ec-{public.curve.name}")
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa-{public.key_size}"
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    return type(public).__name__


def public_bytes(public: PublicKey | x509.Certificate) -> bytes:
    """The public key as DER (SubjectPublicKeyInfo), of a certificate or of a key: to compare and to fingerprint."""
    key = public.public_key() if isinstance(public, x509.Certificate) else public
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def names_extension(dns_names: tuple[str, ...], ip_names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    """The extension that says for which names a certificate is.

    Raises:
        BadInput: no name at all, or one that is not of its kind.
    """
    if not dns_names and not ip_names:
        raise BadInput("a certificate needs a DNS name or an IP address at least")
    try:
        return x509.SubjectAlternativeName(
            [*(x509.DNSName(name) for name in dns_names), *(x509.IPAddress(ip_address(name)) for name in ip_names)]
        )
    except ValueError as error:
        raise BadInput(f"not a DNS name or IP address: {error}") from None


def signing_request(
    key: PrivateKey, common_name: str, dns_names: tuple[str, ...], ip_names: tuple[str, ...]
) -> x509.CertificateSigningRequest:
    """A request to sign the public half of `key` for these names.

    Raises:
        BadInput: see `names_extension`.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]) if common_name else x509.Name([])
    builder = x509.CertificateSigningRequestBuilder(name)
    builder = builder.add_extension(names_extension(dns_names, ip_names), critical=not common_name)
    return builder.sign(key.unwrap(), digest_for(key))


def digest_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash with which `key` signs certificates; Ed25519 brings its own."""
    if key.kind == "ed25519":
        return None
    return hashes.SHA384() if key.kind == "ec-p384" else hashes.SHA256()


def _key_block(pem: bytes) -> bytes:
    """The first private key in a text that may hold certificates too."""
    begin = pem.find(b"PRIVATE KEY-----")
    start = pem.rfind(b"-----BEGIN ", 0, max(begin, 0))
    return pem[start:] if start >= 0 else pem


def _encrypted(pem: bytes, passphrase: Secret | None) -> str:
    if b"ENCRYPTED" not in pem:
        return ""
    return " with that passphrase" if passphrase else ": it is encrypted, and no passphrase was given"
