# The production image: `govid serve`, without packages that only development needs.
#
#   docker build -t govid .
#
# A release names the base image by its digest, which `.ci/check-release` requires:
#
#   docker build --build-arg BASE_DIGEST=sha256:... -t govid .
#
# Every package is installed by the hash of its file (requirements*.lock).
#
# It runs as an unprivileged user, writes to /tmp only, and works on a read-only root file system.

ARG BASE_DIGEST=""
FROM python:3.11.14-slim-bookworm${BASE_DIGEST:+@}${BASE_DIGEST} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/govid \
    && /opt/govid/bin/pip install --require-hashes --requirement requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/govid/bin/pip install --no-deps --no-index /dist/*.whl \
    && /opt/govid/bin/pip check \
    && /opt/govid/bin/pip uninstall --yes pip setuptools

FROM python:3.11.14-slim-bookworm${BASE_DIGEST:+@}${BASE_DIGEST}
LABEL org.opencontainers.image.title="govid" \
      org.opencontainers.image.description="A citizen-identity hub for public services" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 govid \
    && useradd --system --uid 10001 --gid govid --no-create-home --shell /usr/sbin/nologin govid
COPY --from=build /opt/govid /opt/govid
ENV PATH=/opt/govid/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GOVID_HOST=0.0.0.0 \
    GOVID_PORT=8000
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# The slim image has no curl. Live, not ready: a restart does not repair a database.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['GOVID_PORT']}/health/live\", timeout=2)"]
ENTRYPOINT ["govid"]
CMD ["serve"]
