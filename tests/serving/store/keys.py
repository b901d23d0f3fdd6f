"""Keys as `openssl` makes them, in files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


class KeyPair(NamedTuple):
  private: Path
  public: Path


def write_keys(
  folder: Path, name: str, curve: ec.EllipticCurve | None = None, password: str = ""
) -> KeyPair:
  key = ec.generate_private_key(curve or ec.SECP256R1())
  encryption = (
    serialization.BestAvailableEncryption(password.encode())
    if password
    else serialization.NoEncryption()
  )
  pair = KeyPair(folder / f"{name}.pem", folder / f"{name}.pub")
  pair.private.write_bytes(
    key.private_bytes(
      serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
  )
  pair.public.write_bytes(
    key.public_key().public_bytes(
      serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
  )
  return pair
