# promise on the CPU: docker build -t promise . && docker run --rm -v "$PWD:/data" promise --help
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.11-slim
# torch comes from its own index: the wheels for Linux on PyPI bring several GB of CUDA.
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu /dist/*.whl \
    && useradd --create-home --uid 1000 promise \
    && install -d -o promise /data
USER promise
WORKDIR /data
ENTRYPOINT ["promise"]
CMD ["--help"]
