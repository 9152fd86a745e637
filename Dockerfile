# docker build -t headgate . && docker run -p 8080:8080 -v headgate:/data -e OPENAI_API_KEY headgate
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/run.lock requirements/build.lock requirements/
RUN python -m venv /opt/headgate \
 && /opt/headgate/bin/pip install --no-cache-dir --require-hashes -r requirements/build.lock -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/headgate/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data headgate && install -d -o headgate /data
COPY --from=build /opt/headgate /opt/headgate
USER headgate
ENV HOST=0.0.0.0 PORT=8080 HEADGATE_DATA=/data PATH=/opt/headgate/bin:$PATH
VOLUME /data
EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=2)"]
ENTRYPOINT ["headgate"]
CMD ["serve"]
