# promise on the CPU: docker build -t promise --build-arg PIP_EXTRA_INDEX_URL=... . && docker run --rm -v "$PWD:/data" promise --help
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.11-slim
# The index of CPU wheels that torch's installation page names; the usual wheels for Linux bring several GB of CUDA.
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    pip install --no-cache-dir /dist/*.whl \
    && useradd --create-home --uid 1000 promise \
    && install -d -o promise /data
USER promise
WORKDIR /data
ENTRYPOINT ["promise"]
CMD ["--help"]
