# The release of Debian is named: a new one must not come with a build that was meant to repair something.
FROM python:3.13-slim-trixie AS build

WORKDIR /src
COPY requirements/base.txt requirements/embedded.txt requirements/build.txt requirements/
RUN python -m venv /opt/falcongate \
    && /opt/falcongate/bin/pip install --no-cache-dir \
        -r requirements/base.txt -r requirements/embedded.txt -r requirements/build.txt

COPY setup.py pyproject.toml README.md LICENSE ./
COPY falcongate falcongate
# What only building needs stays behind: the installer, and what packages bring of tests and sources in C.
RUN /opt/falcongate/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/falcongate/bin/pip uninstall --yes --quiet setuptools pip \
    && cd /opt/falcongate/lib/python3.13/site-packages \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && find . -type f \( -name '*.c' -o -name '*.h' -o -name '*.pxd' -o -name '*.pyx' \) -delete


FROM python:3.13-slim-trixie

LABEL org.opencontainers.image.title="falcongate" \
      org.opencontainers.image.description="An API gateway on Falcon, gevent and gunicorn" \
      org.opencontainers.image.licenses="Apache-2.0"

# The running container writes to /tmp only; mount a tmpfs there and the rest may be read-only.
ENV PATH=/opt/falcongate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8000

# A number, as Kubernetes does not take a name's word for it that this is not root.
RUN groupadd --gid 10001 falcongate \
    && useradd --uid 10001 --gid 10001 --no-create-home --no-log-init \
        --home-dir /nonexistent --shell /usr/sbin/nologin falcongate
WORKDIR /srv/falcongate
COPY --from=build /opt/falcongate /opt/falcongate
COPY conf/gunicorn.py conf/

USER 10001:10001
EXPOSE 8000

# Not by urllib.request: it would ask the proxy of a variable http_proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-ISc", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); c.request('GET', '/health/live/'); sys.exit(c.getresponse().status != 200)"]

# gunicorn is process 1, so that it gets the signal to stop; conf/gunicorn.py reads PORT.
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "conf/gunicorn.py", "falcongate.wsgi:app"]
