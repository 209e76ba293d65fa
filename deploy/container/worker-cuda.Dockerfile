# The worker on a CUDA device. Built from the repository's root:
#   docker build -f deploy/container/worker-cuda.Dockerfile -t mercer-worker-cuda:local .
# The kernels are compiled for the device at hand when the first worker starts, and kept in CUPY_CACHE_DIR: a build
# has no device. Mount that folder to keep them. Pin the base image by its digest where you build for production.
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04 AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Ubuntu keeps no old versions to pin.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
COPY requirements.lock requirements-dev.lock /src/
# Wheels alone; CuPy and the headers that its compiler reads in the versions that the tests run with.
RUN python3 -m venv /venv \
    && /venv/bin/pip install --only-binary :all: -r /src/requirements.lock \
    && /venv/bin/pip install --only-binary :all: -c /src/requirements-dev.lock \
       cupy-cuda13x "cuda-toolkit[cudart,nvrtc]" opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
COPY pyproject.toml README.md /src/
COPY mercer /src/mercer
RUN /venv/bin/pip install --no-deps /src

FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin mercer \
    && install -d -o mercer -g mercer /data /var/cache/mercer
COPY --from=build /venv /venv
WORKDIR /app
COPY broker broker
COPY store store
COPY workers workers
COPY gpu gpu
COPY telemetry telemetry
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MERCER_DATA_DIR=/data MERCER_DEVICE=cuda:0 XDG_CACHE_HOME=/var/cache/mercer CUPY_CACHE_DIR=/var/cache/mercer/cupy
USER 10001:10001
CMD ["python", "-m", "workers"]
