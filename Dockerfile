# One image for receiver, worker, reconciler and Flower: `docker run jitprov worker`.
# By digest in production: --build-arg PYTHON_IMAGE=python:3.12-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/jitprov
WORKDIR /src
# The lock alone first: its layer is made again only when the lock changes.
COPY requirements.lock ./
RUN /opt/jitprov/bin/python -m pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md celeryconfig.py flowerconfig.py ./
COPY jitprov ./jitprov
# The build backend is in the lock, so nothing is fetched here.
RUN /opt/jitprov/bin/python -m pip install --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
# PYTHONUNBUFFERED: a line of log is out before the process is killed.
ENV PATH=/opt/jitprov/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN groupadd --gid 10001 jitprov \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin jitprov \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/jitprov
COPY --from=build /opt/jitprov /opt/jitprov
# Empty and root's own: no `.env` is picked up from it, nothing is written to it.
WORKDIR /run/jitprov
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["jitprov"]
CMD ["--help"]
