"""What coding a picture takes, and what a process may take."""

from __future__ import annotations

import resource

import pytest

from hardmine.trainers.codec import memory

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


def test_more_pixels_or_a_wider_network_take_more():
  sizes = [memory.needed_bytes(DEMO, side, side) for side in (1, 500, 1000, 6000)]
  assert sizes == sorted(sizes)
  assert memory.needed_bytes(PAPER, 500, 500) > sizes[1]
  assert memory.needed_bytes({**DEMO, "deep_width": 1.0}, 500, 500) > sizes[1]


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
  """Of exports on a CPU; see the module."""
  assert measured <= memory.bytes_per_pixel(config, decoded) <= 2 * measured


def test_as_many_pixels_as_are_said_to_fit_do():
  for available in (2 * GB, 16 * GB):
    pixels = memory.max_pixels(PAPER, available)
    side = int(pixels**0.5) // 32 * 32
    assert memory.needed_bytes(PAPER, side, side) <= available
    assert memory.needed_bytes(PAPER, side + 32, side + 32) > available
  assert memory.max_pixels(PAPER, 5) == 0


def test_a_picture_that_is_too_large_says_how_much_and_what_to_do(monkeypatch):
  monkeypatch.setattr(memory, "available_bytes", lambda: 4 * GB)
  memory.check(DEMO, 1000, 1000)
  with pytest.raises(ValueError, match=r"6000x4000.*--ignore-memory.*4\.0 GB"):
    memory.check(DEMO, 4000, 6000)
  with pytest.raises(ValueError, match="fewer --iterations"):
    memory.check(DEMO, 4000, 6000, 16)
  assert "magick IN -resize" in memory.too_large(DEMO, 4 * GB)
  monkeypatch.setattr(memory, "available_bytes", lambda: None)
  memory.check(PAPER, 10**5, 10**5)
