"""Hardmine's package: what `pip install`, `make` and Dataflow workers install.

By itself it installs what a user of finished models needs, on any Python from 3.10
on. Extras add the rest:

  worker      Beam, for mining and conversion, on any Python too
  dask        what runs the Beam jobs on a Dask cluster, there and here
  dataflow    what gives them to Google's Dataflow, and what its workers need
  pipelines   TensorFlow, Keras and TFX, with `worker`
  mysql       a database for the records of runs, which machines share
  formats     HEIC and JPEG XL, as telephones write them

TFX binds TensorFlow, Beam and protobuf to a few versions, so `pipelines` has two
lanes, chosen by the Python version (WORKSPACE.md, "Dependencies"):

  tfx-1.16   Python 3.10          glibc >= 2.28 (Debian 12, Ubuntu 22.04)
  tfx-1.21   Python 3.12, 3.13    glibc >= 2.39 (Debian 13, Ubuntu 24.04)

Python 3.11 has none, nor has 3.14: there `pipelines` comes without TensorFlow and TFX,
as `hardmine doctor` says. `requirements/*.lock` pin every package of each lane.
"""

import os
from pathlib import Path

from setuptools import find_packages, setup

OLD = "python_version < '3.11'"
NEW = "python_version >= '3.12' and python_version < '3.14'"
# Beam goes by its lane, and where there is none, it is the newer one.
WORKER = [
  f"apache-beam>=2.65,<2.66; {OLD}",
  "apache-beam>=2.77,<2.78; python_version >= '3.11'",
]
PIPELINES = [
  *WORKER,
  "absl-py>=1.4",
  f"keras>=3.12,<3.13; {OLD}",
  f"keras>=3.15,<3.16; {NEW}",
  "matplotlib>=3.8",
  "onnx>=1.16",  # with tf2onnx writes the light form of models
  "pycocotools>=2.0.8",
  "scikit-image>=0.24",
  "setuptools<81",  # TFX and TFDV still import pkg_resources
  "tensorboard>=2.16",  # writes summaries; TensorFlow stopped requiring it
  f"tensorflow>=2.16.2,<2.17; {OLD}",
  f"tensorflow>=2.21,<2.22; {NEW}",
  "tf2onnx>=1.17,<1.18",
  f"tfx>=1.16,<1.17; {OLD}",
  f"tfx>=1.21,<1.22; {NEW}",
]
DASK = ["dask>=2024.4.2", "distributed>=2024.4.2"]  # what Beam's runner asks for
MYSQL = ["cryptography>=42", "pymysql>=1.1"]  # the former for MySQL 8's passwords
BUCKETS = {"gcs": ["gcsfs>=2024.6"], "s3": ["s3fs>=2024.6"]}
DATAFLOW = [line.replace("beam", "beam[gcp]", 1) for line in WORKER] + BUCKETS["gcs"]
OPENVINO = ["openvino>=2025.0"]  # another runtime, for Intel's CPUs
FORMATS = ["pillow-heif>=1.1", "pillow-jxl-plugin>=1.3.2"]  # HEIC, JPEG XL
SIGNING = ["model-signing>=1.1,<2", "pyopenssl>=24"]  # it imports OpenSSL unasked

# Workers of Beam jobs get the model of their job, if any, and no other.
MODELS = [] if os.environ.get("HARDMINE_WITHOUT_MODELS") else ["codec/pretrained/**/*"]

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
  license_files=["LICENSE"],
  keywords=["image compression", "object detection", "TFX", "Apache Beam", "Keras"],
  classifiers=[
    "Development Status :: 4 - Beta",
    "Environment :: Console",
    "Intended Audience :: Developers",
    "Intended Audience :: Science/Research",
    "Operating System :: POSIX :: Linux",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3 :: Only",
    "Programming Language :: Python :: 3.10",
    "Programming Language :: Python :: 3.11",
    "Programming Language :: Python :: 3.12",
    "Programming Language :: Python :: 3.13",
    "Topic :: Multimedia :: Graphics",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Topic :: Scientific/Engineering :: Image Recognition",
    "Topic :: System :: Archiving :: Compression",
    "Typing :: Typed",
  ],
  python_requires=">=3.10",
  # `hardmine/` holds links to the folders of these names beside it.
  packages=find_packages(include=["hardmine", "hardmine.*"]),
  package_data={
    "hardmine": ["py.typed"],
    "hardmine.schemas": ["*.pbtxt"],
    "hardmine.trainers": ["codec/training/*.jinja", *MODELS],
    "hardmine.serving": ["**/*.jinja", "server/page/*"],
    "hardmine.components": ["**/*.jinja"],
    "hardmine.pipelines": [
      "shipping/*.jinja",
      "templates/**/*",
      "templates/**/.*",
      "studies/**/*.jinja",
      "studies/**/*.js",
    ],
  },
  install_requires=[
    "constriction>=0.4.1,<0.6",  # arithmetic coding of streams
    "fsspec>=2024.6",
    "google-crc32c>=1.5",  # checks streams; Beam's TFRecords are slow without it
    "hotcoco>=1.3,<2",
    "jinja2>=3.1",
    "numpy>=1.26",
    "onnxruntime>=1.20",  # runs finished models; TensorFlow only trains and exports
    "packaging>=23",  # `doctor` reads this list with it
    "pillow>=10.3",
    "prometheus-client>=0.20",
    "rich>=13.7",
    "scipy>=1.11",
    "starlette>=1.0,<2",
    "uvicorn>=0.38",
    # Its deflate defines the score of a patch. Not in `worker`: Dataflow's workers
    # bring Beam themselves and install this list without extras.
    "zlib-ng==1.1.0",
  ],
  extras_require={
    "worker": WORKER,
    "dask": [*WORKER, *DASK],
    "dataflow": DATAFLOW,
    "pipelines": PIPELINES,
    "gpu": [
      f"tensorflow[and-cuda]>=2.16.2,<2.17; {OLD}",
      f"tensorflow[and-cuda]>=2.21,<2.22; {NEW}",
    ],
    **BUCKETS,
    "mysql": MYSQL,
    "openvino": OPENVINO,
    "formats": FORMATS,
    "signing": SIGNING,
    "dev": [
      *BUCKETS["gcs"],
      *BUCKETS["s3"],
      *DASK,
      *FORMATS,
      *MYSQL,
      *OPENVINO,
      *SIGNING,
      "hypothesis>=6.100",
      "jax>=0.4.30",  # the tests train one step on this Keras backend too
      "flask>=3.0",  # moto asks for it, and much besides, in its extra `server`
      "flask-cors>=5.0",
      "moto[s3]>=5.1",  # an S3 of this machine for the tests
      "pyright>=1.1.390",
      "pyyaml>=6",
      "pytest>=8.2",
      "pytest-xdist>=3.6",
      "ruff>=0.14",
      "websockets>=14",  # a test drives a browser through it
    ],
  },
  entry_points={"console_scripts": ["hardmine = hardmine.pipelines.cli.main:run"]},
)
