"""What coding a picture takes, and what a process may take."""

from __future__ import annotations

import resource

import pytest

from hardmine.trainers.codec.running import memory
from hardmine.trainers.codec.running.memory import Needs
from hardmine.trainers.codec.streams.stream_header import Header
from hardmine.trainers.codec.streams.tiling import USUAL, Tiling

GB = 10**9
GRU, LSTM = (f"trainers.codec.cells.{c}:X" for c in ("gru", "lstm"))
DEMO = {"width": 0.125, "cell": GRU}
PAPER = {"width": 1.0}


def system(root, **files):
  for name, text in files.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  return memory.available_bytes(root)


def meminfo(gigabytes):
  kilobytes = gigabytes * GB // 1024
  text = f"MemTotal:  99999999 kB\nMemFree: 5 kB\nMemAvailable:  {kilobytes} kB\n"
  return {"proc/meminfo": text}


def test_the_machine_alone(tmp_path):
  assert system(tmp_path, **meminfo(8)) == pytest.approx(8 * GB, rel=1e-6)


def test_nothing_is_known_where_nothing_is_said(tmp_path):
  assert memory.available_bytes(tmp_path) is None


@pytest.mark.parametrize("path", ["/", "/a/b"])
@pytest.mark.parametrize("where", ["", "a/", "a/b/"])
def test_a_control_group_of_version_2_and_all_around_it(tmp_path, path, where):
  if where.strip("/") not in path:
    pytest.skip("no such group around the process")
  group = f"sys/fs/cgroup/{where}memory"
  left = system(
    tmp_path,
    **meminfo(64),
    **{
      "proc/self/cgroup": f"0::{path}\n",
      f"{group}.max": f"{4 * GB}\n",
      f"{group}.current": f"{3 * GB}\n",
      f"{group}.stat": f"anon 7\ninactive_file {GB}\nactive_file 5\n",
    },
  )
  assert left == 2 * GB


def test_a_control_group_of_version_1(tmp_path):
  group = "sys/fs/cgroup/memory/docker/x/memory"
  left = system(
    tmp_path,
    **meminfo(64),
    **{
      "proc/self/cgroup": "9:cpu,cpuacct:/\n4:memory:/docker/x\n1:name=systemd:/\n",
      f"{group}.limit_in_bytes": f"{3 * GB}\n",
      f"{group}.usage_in_bytes": f"{GB}\n",
      f"{group}.stat": f"cache 1\ntotal_inactive_file {GB // 2}\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{20 * GB}\n",
    },
  )
  assert left == 5 * GB // 2


def test_no_limit_and_a_full_group(tmp_path):
  files = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": "max\n",
    "sys/fs/cgroup/memory.current": "1\n",
  }
  assert system(tmp_path, **meminfo(8), **files) == pytest.approx(8 * GB, rel=1e-6)
  files = {"sys/fs/cgroup/memory.max": "1\n", "sys/fs/cgroup/memory.current": "9\n"}
  assert system(tmp_path, **files) == 0


def test_a_limit_of_the_shell_counts(tmp_path, monkeypatch):
  monkeypatch.setattr(resource, "getrlimit", lambda kind: (2 * GB, 2 * GB))
  pages = GB // resource.getpagesize()
  left = system(tmp_path, **meminfo(8), **{"proc/self/statm": f"{pages} 9 9 9\n"})
  assert left == pytest.approx(GB, rel=1e-4)


def test_this_machine_says_something():
  available = memory.available_bytes()
  assert available is not None
  assert available > 0


def needs(config, *, light=False, **others):
  return Needs(config=config, light=light, **others)


def header_of(height_px, width_px, how=None):
  return Header(
    model_id=bytes(8),
    height_px=height_px,
    width_px=width_px,
    padding_px=16,
    iterations=16,
    tiling=how,
  )


def test_more_pixels_or_a_wider_network_take_more():
  sizes = [needs(DEMO).encoding(side, side) for side in (1, 500, 1000, 6000)]
  assert sizes == sorted(sizes)
  assert needs(PAPER).encoding(500, 500) > sizes[1]
  assert needs({**DEMO, "deep_width": 1.0}).encoding(500, 500) > sizes[1]


@pytest.mark.parametrize("light", [False, True])
def test_beyond_a_tile_only_the_picture_itself_takes_more(light):
  one = needs(PAPER, light=light)
  tile = USUAL.tiling.tile_px
  coded = tile**2 * one.bytes_per_pixel()
  for height_px, width_px in ((4000, 6000), (8000, 12000), (1, 1 << 27)):
    taken = one.encoding(height_px, width_px) - one.fixed_bytes
    assert taken <= coded + 14 * height_px * width_px
    tiled = header_of(height_px, width_px, USUAL.tiling)
    decoding = tile**2 * one.bytes_per_pixel(16) + 14 * height_px * width_px
    assert one.decoding(tiled, 16) - one.fixed_bytes <= decoding


def test_a_large_picture_of_before_takes_a_window_where_the_reach_is_known():
  known = needs(DEMO, light=True, decode_reach_px=(30, 42, 54))
  unknown = needs(DEMO, light=True)
  whole = header_of(8000, 12000)
  assert unknown.decoding(whole, 4) > 96e6 * unknown.bytes_per_pixel(4)
  assert known.decoding(whole, 4) < 2.5 * GB
  assert known.decoding(whole, 4) < known.decoding(whole, 200)
  # one large tile is a large picture, whatever it is called
  forged = header_of(8000, 12000, Tiling(tile_px=1 << 15, overlap_px=0))
  assert known.decoding(forged, 4) > 96e6 * unknown.bytes_per_pixel(4)


def test_a_model_of_a_quarter_stays_below_a_gigabyte_beside_the_picture():
  one = needs({"width": 0.25, "cell": GRU}, light=True)
  sides = ((1024, 1024), (1000, 1048), (4000, 6000), (8000, 12000))
  for height_px, width_px in sides:
    picture = 14 * height_px * width_px
    assert one.encoding(height_px, width_px) - picture < GB
    tiling = USUAL.of(height_px, width_px)
    assert one.decoding(header_of(height_px, width_px, tiling), 16) - picture < GB


@pytest.mark.parametrize(
  ("config", "decoded", "measured"),
  [
    ({"cell": GRU, "width": 0.0625}, 0, 228),
    ({"cell": GRU, "width": 0.0625}, 16, 372),
    ({"cell": LSTM, "width": 0.0625}, 0, 229),
    ({"cell": GRU, "width": 0.25, "deep_width": 0.5}, 0, 785),
    ({"cell": GRU, "width": 0.25, "deep_width": 0.5}, 16, 1630),
    ({"cell": GRU, "width": 0.5}, 0, 1060),
    ({"cell": GRU, "width": 0.5}, 16, 2939),
    ({"cell": GRU, "width": 1.0}, 0, 2328),
    ({"cell": GRU, "width": 1.0}, 2, 1766),
    ({"cell": LSTM, "width": 0.25}, 0, 919),
    ({"cell": LSTM, "width": 0.25}, 16, 1891),
  ],
)
def test_no_measurement_took_more_or_much_less_than_is_said(config, decoded, measured):
  """Of exports on a CPU with TensorFlow; see the module."""
  assert measured <= needs(config).bytes_per_pixel(decoded) <= 2 * measured


@pytest.mark.parametrize(
  ("width", "measured"), [(1 / 8, 362), (1 / 4, 714), (3 / 8, 1038)]
)
def test_the_light_form_took_no_more_and_not_much_less(width, measured):
  said = needs({"cell": GRU, "width": width}, light=True).bytes_per_pixel()
  assert measured <= said <= 1.5 * measured


@pytest.mark.parametrize("light", [False, True])
def test_as_many_pixels_as_are_said_to_fit_do(light):
  for config in (DEMO, PAPER):
    one = needs(config, light=light)
    for available in (2 * GB, 3 * GB, 16 * GB):
      side = int(one.max_pixels(available) ** 0.5) // 32 * 32
      assert one.encoding(side, side) <= available
    assert one.max_pixels(5) == 0


def test_a_picture_that_is_too_large_says_how_much_and_what_to_do(monkeypatch):
  monkeypatch.setattr(memory, "available_bytes", lambda: 4 * GB)
  one = needs(DEMO)
  one.check_decoding(header_of(1000, 1000), 2)
  one.check_decoding(header_of(4000, 6000, USUAL.tiling), 16)
  with pytest.raises(
    ValueError, match=r"6000x4000.*fewer --iterations.*--ignore-memory.*4\.0 GB"
  ):
    one.check_decoding(header_of(4000, 6000), 16)
  assert "magick IN -resize" in one.too_large(4 * GB)
  monkeypatch.setattr(memory, "available_bytes", lambda: None)
  needs(PAPER).check_decoding(header_of(10**4, 10**4), 16)
