# Two images from one file: docker build --target cpu -t mammo_tf:cpu .   and   docker build --target gpu -t mammo_tf:gpu .
# Run: docker run --rm -v "$PWD/study:/data:ro" -v "$PWD/runs:/runs" mammo_tf:cpu run /opt/pipelines/end2end_baseline.py \
#          --data /data/manifest.csv -o /runs/baseline      (add --gpus all for the gpu image)

FROM debian:bookworm-slim AS base
ENV DEBIAN_FRONTEND=noninteractive PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TF_CPP_MIN_LOG_LEVEL=3 PATH=/opt/venv/bin:$PATH
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 mammo \
 && mkdir /runs /data && chown mammo:mammo /runs /data

FROM base AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY mammo_tf mammo_tf
RUN python3 -m venv /opt/venv && pip install --upgrade pip
RUN pip install .

FROM build AS build-gpu
RUN pip install ".[gpu]"

FROM base AS cpu
COPY --from=build --chown=root:root /opt/venv /opt/venv
COPY pipelines /opt/pipelines
USER mammo
WORKDIR /runs
ENTRYPOINT ["mammo-tf"]
CMD ["run", "/opt/pipelines/end2end_baseline.py", "--smoke", "-o", "/runs/smoke"]

FROM base AS gpu
COPY --from=build-gpu --chown=root:root /opt/venv /opt/venv
COPY pipelines /opt/pipelines
USER mammo
WORKDIR /runs
ENTRYPOINT ["mammo-tf"]
CMD ["run", "/opt/pipelines/end2end_baseline.py", "--smoke", "-o", "/runs/smoke"]
