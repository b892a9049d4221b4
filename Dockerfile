# The course in a container:
#
#     docker build --tag sdlearn .
#     docker run --rm --publish 8888:8888 --volume sdlearn:/srv/sdlearn/my-lessons sdlearn
#
# Then open the address with 127.0.0.1 that JupyterLab prints. Your lessons stay in the volume.
FROM python:3.13-slim

RUN useradd --create-home learner \
    && install --directory --owner learner /srv/sdlearn /srv/sdlearn/my-lessons
USER learner
WORKDIR /srv/sdlearn

# what you solved is kept beside your lessons
ENV SDLEARN_HOME=/srv/sdlearn/my-lessons/.progress

# PyTorch's packages without CUDA: a tenth of the size
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu \
    PIP_NO_CACHE_DIR=1

# first what the packages depend on, so that a changed lesson does not install them again
COPY --chown=learner start.py requirements.txt pyproject.toml README.md LICENSE ./
COPY --chown=learner sdlearn/__init__.py sdlearn/
RUN python -c "import start; start.prepare()"

COPY --chown=learner . .
EXPOSE 8888
CMD ["python", "start.py", "--ip=0.0.0.0", "--no-browser"]
