# What the whole test suite needs to run inside a container: the database image, and what .ci/bootstrap installs there.
ARG BASE
FROM ${BASE} AS packages
ARG PYTHON=python3
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        ca-certificates git "${PYTHON}" "${PYTHON}-venv" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /checkout

FROM packages
COPY wheels /wheels
COPY checkout /checkout
# the wheels were fetched outside, where mirrors and certificates are set up; their hashes are checked here
RUN PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels .ci/bootstrap container && rm -rf /wheels /var/lib/apt/lists/*
