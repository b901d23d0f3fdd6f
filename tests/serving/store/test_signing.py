"""A signature holds for exactly the files that were signed, by exactly that key."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hardmine.serving.store import contents
from hardmine.serving.store.copying import copy_version
from hardmine.serving.store.promotion import Refused, promote, rollback
from hardmine.serving.store.signing import name_of_key, sign, verify_signature
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add, by
from tests.serving.store.keys import write_keys
from tests.serving.store.test_promotion import answers


@pytest.fixture
def keys(tmp_path):
  return write_keys(tmp_path, "ann")


def signed(store, tmp_path, keys, content="a") -> int:
  number = add(store, tmp_path, content)
  sign(store, number, keys.private, reason=by("ann", "looked at its report"))
  return number


def test_what_was_signed_is_verified_and_logged(store, tmp_path, keys):
  number = signed(store, tmp_path, keys)
  key = name_of_key(keys.public)
  assert key == hashlib.sha256(keys.public.read_bytes()).hexdigest()
  assert verify_signature(store, number, [keys.public]) == key
  assert store.signatures(number).keys() == {key}
  entry = store.audit()[-1]
  assert (entry.action, entry.who, entry.to_version) == ("sign", "ann", number)
  assert entry.digest == store.version(number).digest
  assert entry.details == {"key": key}
  store.verify(number)


def test_a_signature_names_every_file_but_the_manifest(store, tmp_path, keys):
  number = signed(store, tmp_path, keys)
  (content,) = store.signatures(number).values()
  payload = json.loads(base64.b64decode(json.loads(content)["dsseEnvelope"]["payload"]))
  resources = payload["predicate"]["resources"]
  assert {one["name"]: one["digest"] for one in resources} == {
    path: facts["sha256"] for path, facts in store.files(number).items()
  }


def test_another_key_and_no_key_are_told_apart(store, tmp_path, keys):
  number, bob = signed(store, tmp_path, keys), write_keys(tmp_path, "bob")
  shown = name_of_key(keys.public)[:12]
  with pytest.raises(RuntimeError, match=f"is signed by key {shown}, and not by key"):
    verify_signature(store, number, [bob.public])
  assert verify_signature(store, number, [bob.public, keys.public])
  sign(store, number, bob.private, reason=by("bob"))
  assert verify_signature(store, number, [bob.public]) == name_of_key(bob.public)
  assert len(store.signatures(number)) == 2
  unsigned = add(store, tmp_path, "b")
  with pytest.raises(RuntimeError, match=r"is signed by nobody.*models sign 2"):
    verify_signature(store, unsigned, [keys.public])


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_curves_and_passwords(local_store, tmp_path, curve):
  keys = write_keys(tmp_path, "ann", curve(), password="sesame")
  number = add(local_store, tmp_path, "a")
  sign(local_store, number, keys.private, password="sesame", reason=by("ann"))
  assert verify_signature(local_store, number, [keys.public])
  for password in ("wrong", None):
    with pytest.raises(ValueError, match=r"a private key .* Received: .*ann\.pem"):
      sign(local_store, number, keys.private, password=password, reason=by("ann"))


def test_a_signature_of_one_version_is_none_of_another(store, tmp_path, keys):
  first, second = (signed(store, tmp_path, keys, content) for content in "ab")
  (content,) = store.signatures(first).values()
  store.add_signature(second, name_of_key(keys.public), content, reason=by("mallory"))
  with pytest.raises(RuntimeError, match=r"does not hold: .*saved_model\.pb"):
    verify_signature(store, second, [keys.public])


def test_a_manifest_that_fits_forged_files_does_not_help(local_store, tmp_path, keys):
  """All that the store itself can check is right: only the signature tells."""
  number = signed(local_store, tmp_path, keys)
  folder = local_store.local_dir(number)
  for path in local_store.files(number):
    original = (folder / path).read_bytes()
    (folder / path).write_bytes(original + b" ")
    manifest = json.loads((folder / contents.MANIFEST).read_bytes())
    before = (folder / contents.MANIFEST).read_bytes()
    for name, facts in manifest["files"].items():
      data = (folder / name).read_bytes()
      facts.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    manifest["num_bytes"] = sum(facts["bytes"] for facts in manifest["files"].values())
    manifest["digest"] = contents.digest_of(
      manifest["kind"], manifest["model_id"], manifest["files"]
    )
    (folder / contents.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RuntimeError, match="does not hold: Signature mismatch"):
      verify_signature(local_store, number, [keys.public])
    (folder / path).write_bytes(original)
    (folder / contents.MANIFEST).write_bytes(before)
  assert verify_signature(local_store, number, [keys.public])


def test_numbers_that_only_the_manifest_claims_are_noticed(local_store, tmp_path):
  add(local_store, tmp_path, "a", area=1.5)
  path = local_store.local_dir(1) / contents.MANIFEST
  manifest = json.loads(path.read_bytes())
  manifest["numbers"]["ms_ssim_auc"] = 1.9
  path.write_text(json.dumps(manifest))
  with pytest.raises(RuntimeError, match="its numbers are not those of the metrics"):
    local_store.verify(1)


def test_a_file_that_the_signer_left_out_is_not_signed(local_store, tmp_path, keys):
  from model_signing import hashing, signing

  number = add(local_store, tmp_path, "a")
  ignored = [contents.MANIFEST, contents.GRAPH]
  config = signing.Config().use_elliptic_key_signer(private_key=keys.private)
  config.set_hashing_config(hashing.Config().set_ignored_paths(paths=ignored))
  config.sign(local_store.local_dir(number), tmp_path / "sig")
  content = (tmp_path / "sig").read_bytes()
  local_store.add_signature(number, name_of_key(keys.public), content, reason=by("ann"))
  with pytest.raises(RuntimeError, match=r"saved_model\.pb is not signed"):
    verify_signature(local_store, number, [keys.public])


def test_damaged_signatures_never_hold(local_store, tmp_path, keys):
  number, key = signed(local_store, tmp_path, keys), name_of_key(keys.public)
  (path,) = (tmp_path / "store" / "signatures" / str(number)).iterdir()
  content = path.read_bytes()
  envelope = json.loads(content)["dsseEnvelope"]
  payload, signature = envelope["payload"], envelope["signatures"][0]["sig"]
  damaged = [content[:cut] for cut in range(0, len(content) - 1, 97)]
  for start in (content.index(payload.encode()), content.index(signature.encode())):
    for place in range(start, start + len(signature), 11):
      flipped = b"A" if content[place : place + 1] != b"A" else b"B"
      damaged.append(content[:place] + flipped + content[place + 1 :])
  for bytes_ in (*damaged, b"null", b"[]", b"{}", b"\xff"):
    local_store.add_signature(number, key, bytes_, reason=by("mallory"))
    with pytest.raises(RuntimeError, match="does not hold"):
      verify_signature(local_store, number, [keys.public])
  sign(local_store, number, keys.private, reason=by("ann"))  # mends it
  assert verify_signature(local_store, number, [keys.public]) == key


def test_openssf_own_command_agrees(local_store, tmp_path, keys):
  number = signed(local_store, tmp_path, keys)
  (signature,) = (tmp_path / "store" / "signatures" / str(number)).iterdir()
  command = [sys.executable, "-m", "model_signing", "verify", "key"]
  command += ["--signature", str(signature), "--public_key", str(keys.public)]
  command += [str(local_store.local_dir(number))]
  subprocess.run(command, check=True, capture_output=True)
  (local_store.local_dir(number) / "saved_model.pb").write_text("graph b")
  assert subprocess.run(command, capture_output=True).returncode != 0


def test_a_key_from_openssl_signs(local_store, tmp_path):
  number, private, public = add(local_store, tmp_path), tmp_path / "k", tmp_path / "p"
  for words in (
    ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private],
    ["ec", "-in", private, "-pubout", "-out", public],
  ):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
  sign(local_store, number, private, reason=by("ann"))
  assert verify_signature(local_store, number, [public])


def test_what_is_no_key_is_named(local_store, tmp_path, keys):
  number = add(local_store, tmp_path, "a")
  text, rsa, pub = (tmp_path / name for name in ("text", "rsa", "rsa.pub"))
  text.write_text("no key")
  for words in (["genrsa", "-out", rsa], ["rsa", "-in", rsa, "-pubout", "-out", pub]):
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=tmp_path)
  with pytest.raises(ValueError, match=r"rsa' \(another kind of key\)"):
    sign(local_store, number, rsa, reason=by("ann"))
  with pytest.raises(ValueError, match=r"rsa\.pub' \(another kind of key\)"):
    verify_signature(local_store, number, [pub])
  for path in (text, keys.public, tmp_path / "absent"):
    with pytest.raises(ValueError, match=f"a private key .* Received: '{path}'"):
      sign(local_store, number, path, reason=by("ann"))
  for path in (text, keys.private, tmp_path / "absent"):
    with pytest.raises(ValueError, match=f"a public key .* Received: '{path}'"):
      verify_signature(local_store, number, [path])
  assert [entry.action for entry in local_store.audit()] == ["add"]


def test_a_damaged_version_is_not_signed(local_store, tmp_path, keys):
  number = add(local_store, tmp_path, "a")
  (local_store.local_dir(number) / "saved_model.pb").write_text("graph b")
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs"):
    sign(local_store, number, keys.private, reason=by("ann"))
  assert local_store.signatures(number) == {}


def test_signatures_hold_in_another_store(store, tmp_path, keys):
  number, other = signed(store, tmp_path, keys), ModelStore(tmp_path / "other")
  add(other, tmp_path, "z")
  copy = copy_version(store, number, other, reason=by("bob"))
  assert copy == 2
  assert verify_signature(other, copy, [keys.public])


def test_signatures_go_with_their_version(store, tmp_path, keys):
  for content in "ab":
    signed(store, tmp_path, keys, content)
  assert store.gc(1) == [1]
  assert store.signatures(1) == {}
  assert verify_signature(store, 2, [keys.public])
  with pytest.raises(ValueError, match="Expected a version"):
    store.add_signature(1, name_of_key(keys.public), b"", reason=by("ann"))


def test_names_of_keys_are_no_paths(store, tmp_path):
  add(store, tmp_path, "a")
  with pytest.raises(ValueError, match="hex digits"):
    store.add_signature(1, "../../x", b"", reason=by("mallory"))


def test_a_writer_killed_while_signing_leaves_an_unsigned_version(
  store, tmp_path, keys, monkeypatch
):
  add(store, tmp_path, "a")

  def killed(*facts):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(store._storage, "write_signature", killed)
    with pytest.raises(KeyboardInterrupt):
      sign(store, 1, keys.private, reason=by("ann"))
  with pytest.raises(RuntimeError, match="signed by nobody"):
    verify_signature(store, 1, [keys.public])
  sign(store, 1, keys.private, reason=by("ann"))
  assert verify_signature(store, 1, [keys.public])


def must_not_run(model_dir: Path):
  raise AssertionError(f"{model_dir} was loaded")


def test_a_promotion_asks_for_the_signature_where_a_key_is_given(store, tmp_path, keys):
  signed(store, tmp_path, keys)
  add(store, tmp_path, "b", area=1.6)
  options = {"reason": by("ann"), "public_keys": [keys.public]}
  found = promote(store, 1, "production", check=answers, **options)
  assert found.moved
  shown = name_of_key(keys.public)[:12]
  assert store.audit()[-1].details["signed"] == f"by key {shown}"
  with pytest.raises(Refused, match="signature: version 2 is signed by nobody") as told:
    promote(
      store, 2, "production", check=must_not_run, override="never mind", **options
    )
  assert "--override" not in str(told.value)
  assert store.aliases() == {"production": 1}
  # Without a key nobody asks, and the way back asks again.
  assert promote(store, 2, "production", reason=by("ann"), check=answers).moved
  back = rollback(store, "production", check=answers, **options)
  assert back.to_version == 1
  assert store.audit()[-1].details == {"signed": f"by key {shown}"}


def test_a_rollback_to_an_unsigned_version_is_refused(store, tmp_path, keys):
  add(store, tmp_path, "a")
  signed(store, tmp_path, keys, "b")
  for number in (1, 2):
    promote(store, number, "production", reason=by("ann"), check=answers)
  with pytest.raises(Refused, match="version 1 is signed by nobody"):
    rollback(
      store,
      "production",
      reason=by("ann"),
      public_keys=[keys.public],
      check=must_not_run,
    )
  assert store.aliases() == {"production": 2}


def test_without_the_extra_its_name_is_told(local_store, tmp_path, keys, monkeypatch):
  number = signed(local_store, tmp_path, keys)
  monkeypatch.setitem(sys.modules, "model_signing", None)
  for call in (
    lambda: sign(local_store, number, keys.private, reason=by("ann")),
    lambda: verify_signature(local_store, number, [keys.public]),
  ):
    with pytest.raises(RuntimeError, match=r"pip install 'hardmine\[signing\]'"):
      call()
