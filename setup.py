"""Hardmine's package: what `pip install`, `make` and Dataflow workers install.

TFX binds TensorFlow, Beam and protobuf to a few versions, so there are two
dependency lanes, chosen by the Python version (WORKSPACE.md, "Dependencies"):

  tfx-1.16   Python 3.10          glibc >= 2.28 (Debian 12, Ubuntu 22.04)
  tfx-1.21   Python 3.12, 3.13    glibc >= 2.39 (Debian 13, Ubuntu 24.04)

`requirements/*.lock` pin every package of each lane.
"""

from pathlib import Path

from setuptools import find_packages, setup

OLD = "python_version < '3.11'"
NEW = "python_version >= '3.12'"
BUCKETS = {"gcs": ["gcsfs>=2024.6"], "s3": ["s3fs>=2024.6"]}
SIGNING = ["model-signing>=1.1,<2", "pyopenssl>=24"]  # it imports OpenSSL unasked

setup(
  name="hardmine",
  version="0.1.0",
  description=(
    "Mines hard image data with Beam, trains recurrent codecs and object "
    "detectors with TFX, and promotes only what is measurably better."
  ),
  long_description=Path(__file__).with_name("README.md").read_text("utf-8"),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  python_requires=">=3.10,!=3.11.*,<3.14",
  # `hardmine/` holds links to the folders of these names beside it.
  packages=find_packages(include=["hardmine", "hardmine.*"]),
  package_data={
    "hardmine": ["py.typed"],
    "hardmine.schemas": ["*.pbtxt"],
    "hardmine.trainers": ["codec/*.jinja", "codec/pretrained/**/*"],
    "hardmine.serving": ["**/*.jinja", "server/page/*"],
    "hardmine.components": ["**/*.jinja"],
  },
  install_requires=[
    "absl-py>=1.4",
    f"apache-beam>=2.65,<2.66; {OLD}",
    f"apache-beam>=2.77,<2.78; {NEW}",
    "fsspec>=2024.6",
    "google-crc32c>=1.5",  # Beam's TFRecord sink is slow without it
    "hotcoco>=1.3,<2",
    "jinja2>=3.1",
    f"keras>=3.12,<3.13; {OLD}",
    f"keras>=3.15,<3.16; {NEW}",
    "matplotlib>=3.8",
    "numpy>=1.26",
    "pillow>=10.3",
    "prometheus-client>=0.20",
    "pycocotools>=2.0.8",
    "rich>=13.7",
    "scikit-image>=0.24",
    "scipy>=1.11",
    "setuptools<81",  # TFX and TFDV still import pkg_resources
    "starlette>=1.0,<2",
    "tensorboard>=2.16",  # writes summaries; TensorFlow stopped requiring it
    f"tensorflow>=2.16.2,<2.17; {OLD}",
    f"tensorflow>=2.21,<2.22; {NEW}",
    f"tfx>=1.16,<1.17; {OLD}",
    f"tfx>=1.21,<1.22; {NEW}",
    "uvicorn>=0.38",
    "zlib-ng==1.1.0",  # its deflate defines the score of a patch
  ],
  extras_require={
    "gpu": [
      f"tensorflow[and-cuda]>=2.16.2,<2.17; {OLD}",
      f"tensorflow[and-cuda]>=2.21,<2.22; {NEW}",
    ],
    **BUCKETS,
    "signing": SIGNING,
    "dev": [
      *BUCKETS["gcs"],
      *BUCKETS["s3"],
      *SIGNING,
      "hypothesis>=6.100",
      "jax>=0.4.30",  # the tests train one step on this Keras backend too
      "flask>=3.0",  # moto asks for it, and much besides, in its extra `server`
      "flask-cors>=5.0",
      "moto[s3]>=5.1",  # an S3 of this machine for the tests
      "pyright>=1.1.390",
      "pytest>=8.2",
      "pytest-xdist>=3.6",
      "ruff>=0.14",
      "websockets>=14",  # a test drives a browser through it
    ],
  },
  entry_points={"console_scripts": ["hardmine = hardmine.pipelines.cli.main:run"]},
)
