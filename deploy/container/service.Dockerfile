# The HTTP service, and with the command `python -m workers` the worker on a CPU. Built from the repository's root:
#   docker build -f deploy/container/service.Dockerfile -t mercer:local .
# Pin the base image by its digest where you build for production.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-dev.lock /src/
# Wheels alone: there is no compiler, neither here nor in the image. OpenTelemetry is silent until it has an endpoint.
RUN python -m venv /venv \
    && /venv/bin/pip install --only-binary :all: -r /src/requirements.lock \
    && /venv/bin/pip install --only-binary :all: -c /src/requirements-dev.lock \
       opentelemetry-sdk opentelemetry-exporter-otlp-proto-http "psycopg[binary]"
COPY pyproject.toml README.md /src/
COPY mercer /src/mercer
RUN /venv/bin/pip install --no-deps /src

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin mercer \
    && install -d -o mercer -g mercer /data /var/cache/mercer
COPY --from=build /venv /venv
WORKDIR /app
COPY service service
COPY broker broker
COPY store store
COPY workers workers
COPY gpu gpu
COPY telemetry telemetry
# What numba compiles is kept under XDG_CACHE_HOME.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MERCER_DATA_DIR=/data XDG_CACHE_HOME=/var/cache/mercer
USER 10001:10001
CMD ["python", "-m", "service"]
