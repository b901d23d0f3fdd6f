# A machine that runs the nodes of pipelines: Hardmine with TensorFlow and TFX, pinned as
# in a checkout.
#
#   docker build -t IMAGE . && docker push IMAGE
#
# For the newest lane: --build-arg PYTHON=3.13 --build-arg DEBIAN=trixie
# --build-arg LANE=tfx-1.21. For NVIDIA's GPUs: --build-arg GPU=,gpu
ARG PYTHON=3.10
ARG DEBIAN=bookworm
FROM python:${PYTHON}-${DEBIAN}

ARG LANE=tfx-1.16
ARG GPU=
WORKDIR /opt/hardmine
COPY requirements/${LANE}.lock setup.py pyproject.toml README.md LICENSE ./
COPY hardmine hardmine
COPY schemas schemas
COPY trainers trainers
COPY serving serving
COPY components components
COPY pipelines pipelines
RUN pip install --no-cache-dir --constraint ${LANE}.lock '.[pipelines,dataflow,dask,s3,mysql,formats,signing${GPU}]'
RUN pip check
RUN rm -rf /opt/hardmine/*
# A node's lines reach the scheduler's log as they come.
ENV PYTHONUNBUFFERED=1
WORKDIR /
CMD ["hardmine", "doctor"]
