# Two images from one file: docker build --target cpu -t mammo_tf:cpu .   and   docker build --target gpu -t mammo_tf:gpu .
# How to run them on your own data, and what was checked: docs/image.md.

FROM debian:bookworm-slim AS base
ENV DEBIAN_FRONTEND=noninteractive PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TF_CPP_MIN_LOG_LEVEL=3 PATH=/opt/venv/bin:$PATH
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 mammo \
 && mkdir /runs /data && chown mammo:mammo /runs /data

# What is installed before the source is copied stays in the build cache when a line of code changes
FROM base AS dependencies
WORKDIR /src
COPY setup.cfg pyproject.toml ./
RUN python3 -m venv /opt/venv && pip install --upgrade pip
RUN pip install ".[release,serving,dicom-out,tune]" && pip uninstall --yes mammo_tf

FROM dependencies AS build
COPY README.md LICENSE ./
COPY pipelines pipelines
COPY mammo_tf mammo_tf
RUN pip install --no-deps .

FROM dependencies AS build-gpu
RUN pip install ".[gpu]" && pip uninstall --yes mammo_tf
COPY README.md LICENSE ./
COPY pipelines pipelines
COPY mammo_tf mammo_tf
RUN pip install --no-deps .

FROM base AS cpu
COPY --from=build --chown=root:root /opt/venv /opt/venv
USER mammo
WORKDIR /runs
# `docker stop` asks as Ctrl-C does, so that a run ends with a word and can be gone on from
STOPSIGNAL SIGINT
# A container that serves is healthy while every model answers; any other is while it runs
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python3", "-c", "import urllib.request as r; \
b'serve' in open('/proc/1/cmdline', 'rb').read().split(b'\\0') and r.urlopen('http://127.0.0.1:8501/healthz', timeout=8)"]
ENTRYPOINT ["mammo-tf"]
CMD ["run", "end2end_baseline", "--smoke", "-o", "/runs/smoke"]

FROM base AS gpu
COPY --from=build-gpu --chown=root:root /opt/venv /opt/venv
USER mammo
WORKDIR /runs
STOPSIGNAL SIGINT
# A container that serves is healthy while every model answers; any other is while it runs
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python3", "-c", "import urllib.request as r; \
b'serve' in open('/proc/1/cmdline', 'rb').read().split(b'\\0') and r.urlopen('http://127.0.0.1:8501/healthz', timeout=8)"]
ENTRYPOINT ["mammo-tf"]
CMD ["run", "end2end_baseline", "--smoke", "-o", "/runs/smoke"]
