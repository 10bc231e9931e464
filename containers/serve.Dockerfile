# A scoring service of the packaged model, on the CPU:
#   docker build -f containers/serve.Dockerfile -t humanclap-serve .
#   docker run --rm -p 127.0.0.1:8080:8080 -e HUMANCLAP_TOKEN="$(openssl rand -hex 24)" humanclap-serve
# TORCH_INDEX: where the CPU build of torch is, such as a mirror of your own; without it pip takes
# the build of its default index, which brings CUDA.
FROM python:3.11-slim

ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=4

RUN useradd --system --uid 10001 --create-home humanclap

WORKDIR /src
COPY constraints.txt ./
RUN pip install --constraint constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --constraint constraints.txt '.[serve]'

USER humanclap
WORKDIR /home/humanclap
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/ready', timeout=2)"]
ENTRYPOINT ["humanclap", "serve", "--host", "0.0.0.0", "--offline"]
