FROM python:3.13-slim AS build

WORKDIR /src
COPY requirements/base.txt requirements/embedded.txt requirements/
RUN python -m venv /opt/falcongate \
    && /opt/falcongate/bin/pip install --no-cache-dir -r requirements/base.txt -r requirements/embedded.txt

COPY setup.py pyproject.toml README.md LICENSE ./
COPY falcongate falcongate
RUN /opt/falcongate/bin/pip install --no-cache-dir --no-deps .


FROM python:3.13-slim

# The running container writes to /tmp only; mount a tmpfs there and the rest may be read-only.
ENV PATH=/opt/falcongate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8000

RUN useradd --system --no-create-home --uid 10001 falcongate
WORKDIR /srv/falcongate
COPY --from=build /opt/falcongate /opt/falcongate
COPY conf conf

USER 10001
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live/', timeout=2)"]

# gunicorn is process 1, so that it gets the signal to stop; conf/gunicorn.py reads PORT.
CMD ["gunicorn", "-c", "conf/gunicorn.py", "falcongate.wsgi:app"]
