# One image for every role; compose.yaml says which is which.
FROM python:3.11-slim AS packages
WORKDIR /app
COPY requirements.txt .
RUN python -m venv /venv \
 && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /home/possync possync \
 && install -d -o possync -g possync -m 0700 /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py ./
COPY possync_site possync_site
COPY portfolios portfolios
COPY providers providers
COPY templates templates
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 POSSYNC_ENV=production POSSYNC_DATA_DIR=/data POSSYNC_HOST=0.0.0.0
USER possync
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "--config", "python:possync_site.server", "possync_site.wsgi"]
