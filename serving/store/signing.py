"""Signatures of versions, as OpenSSF Model Signing makes and checks them.

A signature names every file of a version but its manifest, each with its SHA-256, in a
Sigstore bundle. It lies beside the version, in signatures/N/KEY.sig, and holds for a
copy of the version in another store. `model_signing verify key` checks it as well.

Keys are elliptic (P-256, P-384 or P-521), in PEM files:

    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    openssl ec -in key.pem -pubout -out key.pub

The name of a key is the SHA-256 of its public part; `sha256sum key.pub` tells it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.contents import MANIFEST, walk
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore

_SHOWN_DIGITS = 12


def sign(
  store: ModelStore,
  number: int,
  private_key: str | os.PathLike,
  *,
  password: str | None = None,
  reason: Reason,
) -> str:
  """Signs a version, after holding its files against the manifest and the log.

  Args:
    store: holds the version; what the key has signed of it before is replaced.
    number: of the version.
    private_key: PEM file.
    password: of the key, None where it has none.
    reason: for the log.

  Returns:
    The key's name, hex digits.

  Raises:
    ValueError: no such version, or not a key that can sign.
    RuntimeError: the version is damaged, or the extra `signing` is not installed.
  """
  signing, _ = _library()
  with _readable(private_key, "a private key of an elliptic curve"):
    secret = None if password is None else password.encode()
    config = signing.Config().use_elliptic_key_signer(
      private_key=private_key, password=secret
    )
  store.verify(number)
  config.set_hashing_config(_hashing_config())
  with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "signature")
    config.sign(store.local_dir(number), path)
    content = path.read_bytes()
  key = json.loads(content)["verificationMaterial"]["publicKey"]["hint"]
  store.add_signature(number, key, content, reason=reason)
  return key


@contextmanager
def genuine_dir(
  store: Catalogue, number: int, public_keys: Sequence[str | os.PathLike] = ()
) -> Iterator[Path]:
  """A folder to load a version from, as long as the block lasts.

  Where keys are given, the folder is a copy that nobody else writes to, and the
  signature is of the copy: whoever may write to the store could change a file between
  its check and its use.

  Args:
    store: holds the version.
    number: of the version.
    public_keys: as for `verify_signature`; without any it is the store's own folder.

  Raises:
    ValueError: no such version, or not a public key.
    RuntimeError: the version is damaged, or not signed.
  """
  if not public_keys:
    yield store.local_dir(number)
    return
  with tempfile.TemporaryDirectory(prefix="hardmine-") as folder:
    copy = Path(folder, str(number))
    store.export(number, copy)
    verify_signature(store, number, public_keys, copy)
    yield copy


def verify_signature(
  store: Catalogue,
  number: int,
  public_keys: Sequence[str | os.PathLike],
  model_dir: str | os.PathLike | None = None,
) -> str:
  """Whether one of some keys has signed a version, all of its files as they are.

  Args:
    store: holds the version.
    number: of the version.
    public_keys: PEM files, at least one; one signature is enough.
    model_dir: a copy of the version to look at instead of the store's files.

  Returns:
    The name of the key that did.

  Raises:
    ValueError: no such version, or not a public key.
    RuntimeError: none has signed it, or what was signed is something else; or the extra
      `signing` is not installed.
  """
  model_dir = store.local_dir(number) if model_dir is None else Path(model_dir)
  keys = {name_of_key(path): path for path in public_keys}
  signatures = store.signatures(number)
  faults = []
  for key in sorted(keys.keys() & signatures.keys()):
    try:
      _check(model_dir, signatures[key], keys[key])
      return key
    except RuntimeError as error:
      faults.append(f"of version {number}, {error}")
  if faults:
    raise RuntimeError("; ".join(faults))
  wanted = " or ".join(short(key) for key in sorted(keys))
  if signatures:
    signers = ", ".join(short(key) for key in sorted(signatures))
    raise RuntimeError(f"version {number} is signed by {signers}, and not by {wanted}")
  raise RuntimeError(
    f"version {number} is signed by nobody, and not by {wanted} (hardmine models sign "
    f"{number} --store {store.url} --private-key FILE)"
  )


def signed_files(content: bytes) -> dict[str, str]:
  """What a signature names: path to SHA-256. Whose it is, is not looked at.

  Raises:
    ValueError: it is no signature.
  """
  try:
    envelope = json.loads(content)["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    resources = statement["predicate"]["resources"]
    return {str(one["name"]): str(one["digest"]) for one in resources}
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(f"Expected a signature. Received: {content[:40]!r}") from error


def name_of_key(public_key: str | os.PathLike) -> str:
  """The hex SHA-256 of a public key, as it stands in its PEM file.

  Raises:
    ValueError: not a public key in a PEM file.
    RuntimeError: the extra `signing` is not installed.
  """
  _library()
  from cryptography.hazmat.primitives import serialization
  from cryptography.hazmat.primitives.asymmetric import ec

  with _readable(public_key, "a public key of an elliptic curve"):
    loaded = serialization.load_pem_public_key(Path(public_key).read_bytes())
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
      raise TypeError("another kind of key")
    text = loaded.public_bytes(
      serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
  return hashlib.sha256(text).hexdigest()


def short(key: str) -> str:
  """The name of a key for people."""
  return f"key {key[:_SHOWN_DIGITS]}"


def _check(model_dir: Path, content: bytes, public_key: str | os.PathLike) -> None:
  _, verifying = _library()
  config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
  config.set_hashing_config(_hashing_config())
  try:
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
      path = Path(folder, "signature")
      path.write_bytes(content)
      config.verify(model_dir, path)
    # A signature may say that it leaves files out. Ours leave out the manifest alone.
    unsigned = {path for path, _ in walk(model_dir)} - {
      MANIFEST,
      *signed_files(content),
    }
    if unsigned:
      raise ValueError(f"{min(unsigned)} is not signed")
  except Exception as error:  # the library has a dozen kinds, one for each bad byte
    reason = " ".join(str(error).split()) or type(error).__name__
    raise RuntimeError(
      f"the signature by {short(name_of_key(public_key))} does not hold: {reason}"
    ) from error


def _hashing_config() -> Any:
  from model_signing import hashing

  return hashing.Config().set_ignored_paths(paths=[MANIFEST], ignore_git_paths=False)


def _library() -> tuple[Any, Any]:
  try:
    from model_signing import signing, verifying
  except ImportError as error:
    raise RuntimeError(
      f"signatures need the extra `signing`: pip install 'hardmine[signing]' ({error})"
    ) from error
  return signing, verifying


@contextmanager
def _readable(path: str | os.PathLike, expected: str) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # what cryptography raises for files differs by content
    reason = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
    if isinstance(error, AttributeError):  # the library asks an RSA key for its curve
      reason = "another kind of key"
    raise ValueError(
      f"Expected {expected}, a PEM file. Received: {os.fspath(path)!r} ({reason})"
    ) from error
