# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
WORKDIR /src
# Without pip of its own: the image's pip fills it from outside, and nothing in it can install anything later.
RUN python -m venv --without-pip /opt/linli
COPY requirements.lock ./
RUN pip --python /opt/linli install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY services services
COPY migrations migrations
RUN pip --python /opt/linli install --no-cache-dir --no-deps --no-build-isolation --no-index .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin linli \
    && install -d -o linli -g linli -m 0700 /var/lib/linli
COPY --from=build /opt/linli /opt/linli
ENV PATH=/opt/linli/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LINLI_DATA_DIR=/var/lib/linli
USER linli
WORKDIR /var/lib/linli
VOLUME /var/lib/linli
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=3); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["linli"]
CMD ["--help"]
