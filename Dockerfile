# docker build -t saliency-stats --build-arg VERSION=0.1.dev0 .
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" saliency-stats run study.yaml
#
# On an ARM machine both with --platform linux/amd64: stardist has no wheel for Linux on ARM.
# The image has 7 GB, 4 of them CUDA, which a CPU does not need. Wheels of PyTorch without it:
# --build-arg PIP_EXTRA_INDEX_URL=… with the address that PyTorch names.
FROM python:3.12-slim
ARG PIP_EXTRA_INDEX_URL=""
# of the source: git and its tags stay outside
ARG VERSION="0.1.dev0"
COPY pyproject.toml README.md LICENSE /source/
COPY saliency_stats /source/saliency_stats
RUN PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL" SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" \
    pip install --no-cache-dir /source && rm -r /source
WORKDIR /work
# whoever runs it needs a place for caches; what fetch loads is kept with -v FOLDER:/tmp/.cache
ENV HOME=/tmp
ENTRYPOINT ["saliency-stats"]
CMD ["--help"]
