# docker build -t saliency-stats .
# docker run --rm -v "$PWD:/work" saliency-stats run study.yaml
#
# Wheels of PyTorch without CUDA are smaller: --build-arg PIP_EXTRA_INDEX_URL=… with the address that PyTorch names.
FROM python:3.12-slim
ARG PIP_EXTRA_INDEX_URL=""
COPY pyproject.toml README.md LICENSE /source/
COPY saliency_stats /source/saliency_stats
RUN PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL" pip install --no-cache-dir /source && rm -r /source
WORKDIR /work
ENTRYPOINT ["saliency-stats"]
CMD ["--help"]
