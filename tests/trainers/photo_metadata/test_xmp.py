"""XMP as programs write it, and what may be made of it."""

from __future__ import annotations

import pytest

from hardmine.trainers.photo_metadata.xmp import MAX_BYTES, clean_xmp, packet

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
BODY = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
  xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
  xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
  xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"
  tiff:Orientation="6" exif:GPSLatitude="48,8.2N" aux:SerialNumber="SN-12345"
  aux:Lens="50 mm" photoshop:City="Secretville" photoshop:Headline="A tree">
 <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© me &amp; you</rdf:li></rdf:Alt>
 </dc:rights>
 <exif:GPSLongitude>11,34.5E</exif:GPSLongitude>
 <Iptc4xmpExt:LocationCreated rdf:parseType="Resource"
   xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:Sublocation>Secret street</Iptc4xmpExt:Sublocation>
 </Iptc4xmpExt:LocationCreated>
</rdf:Description></rdf:RDF></x:xmpmeta>""".replace("{RDF}", RDF)
PACKET = packet(BODY.encode("utf-8")) + b" " * 2000


def test_what_is_said_of_the_picture_stays():
  found, left_out = clean_xmp(PACKET)
  text = found.decode("utf-8")
  assert "© me &amp; you" in text
  assert 'photoshop:Headline="A tree"' in text
  assert 'aux:Lens="50 mm"' in text
  assert "xpacket" not in text
  assert left_out == {"location", "serial numbers"}
  for word in ("Secret", "SN-12345", "48,8", "11,34", "Orientation=", "hdrgm:V"):
    assert word not in text


def test_places_and_serial_numbers_stay_where_they_are_asked_for():
  found, left_out = clean_xmp(PACKET, keep_location=True)
  text = found.decode("utf-8")
  assert all(
    w in text for w in ("Secretville", "Secret street", "SN-12345", "11,34.5E")
  )
  assert "Orientation=" not in text
  assert not left_out


def test_cleaning_what_is_clean_changes_nothing():
  once, _ = clean_xmp(PACKET)
  assert clean_xmp(packet(once)) == (once, set())


def test_nothing_that_is_said_is_nothing():
  words = BODY[: BODY.index("<dc:rights>")] + "</rdf:Description></rdf:RDF></x:xmpmeta>"
  for name in ('aux:Lens="50 mm"', 'photoshop:Headline="A tree"'):
    words = words.replace(name, "")
  assert clean_xmp(words.encode())[0] == b""


@pytest.mark.parametrize(
  "data",
  [
    b"",
    b"<x",
    b"\xff\xfe<\0x\0",
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
    b"<a>" * 5000 + b"</a>" * 5000,
    b"<a/>" * (MAX_BYTES // 4 + 1),
  ],
)
def test_what_cannot_be_read_is_left_out(data):
  found, left_out = clean_xmp(data)
  assert found == b""
  assert left_out <= {"damaged parts", "oversized parts"}
  assert left_out


def test_every_cut_is_left_out_or_whole():
  whole = BODY.encode("utf-8")
  for end in range(0, len(whole), 7):
    assert clean_xmp(whole[:end]) == (b"", {"damaged parts"})
