# deflicker in a container.
#
#   docker build -t deflicker .                                  for CPUs
#   docker build -t deflicker:cuda --build-arg VARIANT=cuda .    for NVIDIA GPUs
#   docker run --rm -v "$PWD:/videos" deflicker in.mp4 out.mp4
#   docker run --rm --gpus all -v "$PWD:/videos" deflicker:cuda in.mp4 out.mp4
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

# The CUDA libraries, 5 GB, come with PyTorch's ordinary wheels; those of its CPU index have none.
ARG VARIANT=cpu
RUN case "$VARIANT" in \
        cpu) pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch torchvision ;; \
        cuda) pip install --no-cache-dir torch torchvision ;; \
        *) echo "VARIANT is cpu or cuda, not $VARIANT" >&2; exit 1 ;; \
    esac

# Git, which knows the version, is not in the image: --build-arg VERSION="$(git describe --tags | sed s/^v//)" tells it.
ARG VERSION=
COPY pyproject.toml README.md LICENSE /src/
COPY deflicker /src/deflicker
RUN SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" pip install --no-cache-dir /src && rm -r /src

# The network's weights are part of the image: it runs without a network, and as any user.
ENV DEFLICKER_CACHE=/weights
RUN python -c "from deflicker import weights; weights.load('raft_large')" && chmod -R a+rX /weights

WORKDIR /videos
ENTRYPOINT ["deflicker"]
