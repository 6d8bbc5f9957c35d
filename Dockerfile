# The image of flow runs, of a worker and of a Prefect server (compose.yaml): the locked runtime tree,
# the code, and nothing to build with.
#
#   docker build --build-arg PYTHON_IMAGE=python:3.12-slim@sha256:… -t amplitude-to-snowflake .
#   docker run --init --read-only --tmpfs /tmp -v scratch:/scratch amplitude-to-snowflake
#
# Pin the base image by its digest wherever it matters which one it is.
#
# Docker, ECS and Kubernetes workers start `prefect flow-run execute` in it, and a module as entrypoint
# is found in /app. /scratch must be writable by 10001: a volume, or on Kubernetes an emptyDir with
# fsGroup 10001.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.txt .
# Wheels only, each checked against its hash; compiled, for Prefect starts twice as fast from
# bytecode. pip stays in this stage.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install \
        --disable-pip-version-check --no-cache-dir --no-input --compile \
        --require-hashes --only-binary :all: --no-deps -r requirements.txt

FROM ${PYTHON_IMAGE}
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    # The root file system may be read-only: whatever is written goes to one place.
    HOME=/scratch \
    TMPDIR=/scratch \
    PREFECT_HOME=/scratch/.prefect
COPY --from=packages /venv /venv
WORKDIR /app
COPY core core
COPY blocks blocks
COPY infra infra
COPY tasks tasks
COPY flows flows
# An image whose flows do not import is not built. Whoever builds may have a strict umask: 10001, which
# is nobody's number elsewhere, must be able to read.
RUN chmod -R a+rX . \
    && python -m compileall -q . \
    && install -d -o 10001 -g 10001 -m 0700 /scratch \
    && python -c "import flows.ingest, flows.gap_fill, flows.gap_fill_part, flows.extract" \
    && find /scratch -mindepth 1 -delete
USER 10001:10001
# Archives in flight, and up to eight gunzipped hours: JSON is about 11 times larger than its gzip.
VOLUME /scratch
CMD ["python", "-m", "flows.ingest", "--help"]
