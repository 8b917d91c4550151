"""Every choice is an environment variable; what is not set works on an empty data folder.

`POSSYNC_ENV=production` turns on what a public installation needs (secure cookies, HSTS, no exchange endpoint but the
exchange's own). The default, `local`, is for one person on one machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django_stubs_ext
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from portfolios.repeats import SaidOnce
from portfolios.vault import KeyFileError, read_or_create_secret_key
from possync_site.environment import Environment
from providers.redaction import scrub_event

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
Environment.read_env(env.str("POSSYNC_ENV_FILE", str(BASE_DIR / ".env")))

PRODUCTION = env.one_of("POSSYNC_ENV", "local", ("local", "production")) == "production"
DATA_DIR = Path(env.str("POSSYNC_DATA_DIR", str(BASE_DIR / "data"))).expanduser().resolve()

try:
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    SECRET_KEY = env.str("POSSYNC_SECRET_KEY", "") or read_or_create_secret_key(
        DATA_DIR / "secret.key"
    )
except (OSError, KeyFileError) as e:
    raise ImproperlyConfigured(
        f"The data folder {DATA_DIR} cannot be used ({e}). Give this user write access to it, "
        "or set POSSYNC_DATA_DIR to another folder."
    ) from None

DEBUG = False
ALLOWED_HOSTS = env.list("POSSYNC_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("POSSYNC_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    # Last: it takes django-q2's tables out of the admin, once that has found them.
    "portfolios",
]

MIDDLEWARE = [
    # First, so that redirects and static files carry the headers too.
    "portfolios.middleware.security_headers",
    "portfolios.middleware.api_when_asked_for",
    "django.middleware.security.SecurityMiddleware",
    # Lengthens each answer by a random amount, so that its length tells nothing of what is in it.
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # A page that forgets its decorator still asks for a log-in.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "possync_site.urls"
API_URLCONF = "possync_site.api_urls"
WSGI_APPLICATION = "possync_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database ---------------------------------------------------------------------------------

DATABASES = {
    "default": env.database("POSSYNC_DATABASE_URL")
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "possync.sqlite3")}
}
# Django's own, but they do not compile a query again that they have compiled before.
KEEPING_ENGINES = {
    "django.db.backends.sqlite3": "possync_site.databases.sqlite",
    "django.db.backends.postgresql": "possync_site.databases.postgresql",
}
ENGINE = DATABASES["default"]["ENGINE"]
DATABASES["default"]["ENGINE"] = KEEPING_ENGINES.get(ENGINE, ENGINE)
if ENGINE == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Web and workers write at the same time: wait for the lock instead of failing.
        "timeout": 20,
        # A transaction that reads and then writes takes the write lock at its start; with the default mode SQLite
        # answers "database is locked" to the second of two such transactions, without waiting.
        "transaction_mode": "IMMEDIATE",
        # Readers do not block the writer; NORMAL is durable across a crash of the process in WAL mode.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A server that is gone without a word is noticed, by whoever waits for it.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        connect_timeout=10, keepalives_idle=10, keepalives_interval=5, keepalives_count=3
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- sync -------------------------------------------------------------------------------------

HOUR, YEAR = 3600, 31_536_000
POSSYNC_LAG_SECONDS = env.whole("POSSYNC_LAG_SECONDS", 60, least=0, most=YEAR)
POSSYNC_GRACE_SECONDS = env.whole("POSSYNC_GRACE_SECONDS", 30, least=0, most=YEAR)
POSSYNC_LEASE_SECONDS = env.whole("POSSYNC_LEASE_SECONDS", 30, least=2, most=HOUR)
# Seconds for all reads of one account, and again for waits before them. Both together stay below the queue's
# `timeout`, which is the last resort.
POSSYNC_SYNC_DEADLINE = env.whole("POSSYNC_SYNC_DEADLINE", 60, least=1, most=HOUR)
POSSYNC_MAX_ATTEMPTS = env.whole("POSSYNC_MAX_ATTEMPTS", 3, least=1, most=100)
# Names the address that this host's requests leave from: hosts of the same name share what a market allows an address.
POSSYNC_EGRESS = env.str("POSSYNC_EGRESS", "")
# Ask what answers on this machine, such as the practice exchange, no faster than the market itself.
POSSYNC_PACE_LOOPBACK = env.flag("POSSYNC_PACE_LOOPBACK", default=False)
# Seconds without a sign of life after which the workers are given something to do, and after which they are started
# anew if they still give none.
POSSYNC_QUIET_SECONDS = env.whole("POSSYNC_QUIET_SECONDS", 20, least=1, most=HOUR)
POSSYNC_STALLED_SECONDS = env.whole("POSSYNC_STALLED_SECONDS", 30, least=1, most=HOUR)
# Seconds that running syncs have to end in order when the workers are stopped. Below compose.yaml's grace period.
POSSYNC_DRAIN_SECONDS = env.whole("POSSYNC_DRAIN_SECONDS", 50, least=1, most=HOUR)
# Days for which what was read and said is kept; facts, and what was decided, are kept for good.
POSSYNC_KEEP_DAYS = env.whole("POSSYNC_KEEP_DAYS", 90, least=1, most=36_500)
# Hosts, any port, that an account's `endpoint` may name; plain http only to loopback.
POSSYNC_ENDPOINT_ALLOWLIST = env.list(
    "POSSYNC_ENDPOINT_ALLOWLIST", default=[] if PRODUCTION else ["127.0.0.1", "localhost", "[::1]"]
)
# Dotted paths of PortfolioProvider classes; each is made without arguments, the lowest priority number wins.
POSSYNC_PORTFOLIO_PROVIDERS = env.list("POSSYNC_PORTFOLIO_PROVIDERS", default=[])
# `manage.py up` also starts a practice exchange with demo accounts.
POSSYNC_DEMO = env.flag("POSSYNC_DEMO", default=not PRODUCTION)
# "kid:base64" lines; instead of the key file in the data folder.
POSSYNC_CREDENTIAL_KEYS = env.str("POSSYNC_CREDENTIAL_KEYS", "")
POSSYNC_CREDENTIAL_KEY_FILE = Path(
    env.str("POSSYNC_CREDENTIAL_KEY_FILE", str(DATA_DIR / "credentials.key"))
)

# --- queue: django-q2 on the database above; it only wakes us, the database is the truth --------

Q_CLUSTER: dict[str, Any] = {
    # The same for every process: it salts the signature of the payloads.
    "name": "possync",
    "orm": "default",
    "broker_class": "portfolios.queue.Broker",
    "workers": env.whole("POSSYNC_WORKERS", 4, least=1, most=64),
    # Few prefetched tasks: their retry clock runs from the moment they are fetched, not started.
    "queue_limit": 2,
    "bulk": 1,
    # Whole seconds; kills a task that outlives its own deadlines.
    "timeout": 180,
    # >= timeout * (1 + ceil((queue_limit + 1) / workers)) + slack, or a waiting task is delivered twice.
    "retry": 720,
    # Attempts are counted by the sync run, before its work starts: the broker counts only tasks that return.
    "max_attempts": 1,
    "ack_failures": True,
    # After a night switched off: one sync per account, not one for every missed tick.
    "catch_up": False,
    # Seconds between looks at the queue: how long "Sync now" waits at most.
    "poll": 0.5,
    # No result rows: the sync run is the record, and django-q2's rows are unsigned pickles.
    "save_limit": -1,
    "recycle": 200,
    "max_rss": 400_000,  # KiB
    "guard_cycle": 1,
    # Without this name, an inherited Q_CLUSTER_NAME fails every process at start.
    "ALT_CLUSTERS": {},
    "label": "Queue",
}

# --- web --------------------------------------------------------------------------------------

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = PRODUCTION and env.flag("POSSYNC_SSL_REDIRECT", default=True)
# Whatever watches the process asks over plain http, and these answers carry nothing.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Whether the proxy's word counts for how and from where a request came.
POSSYNC_BEHIND_PROXY = env.flag("POSSYNC_BEHIND_PROXY", default=False)
if POSSYNC_BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Django's own error report carries local variables and POST data, and so a secret just entered.
DEFAULT_EXCEPTION_REPORTER_FILTER = "portfolios.error_reports.NothingButTheTrace"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LANGUAGE_CODE = "en"
# In which texts are written and syncs store their sentences; `python -m scripts.messages --check` keeps the others
# complete.
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = PRODUCTION
LOCALE_PATHS = [BASE_DIR / "portfolios" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

# --- logs: one line an event, redacted, on stderr ----------------------------------------------

LOG_LEVEL = env.one_of(
    "POSSYNC_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
_SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    scrub_event,
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _SHARED_PROCESSORS,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer()
                if PRODUCTION
                else structlog.processors.LogfmtRenderer(
                    key_order=["timestamp", "level", "logger", "event"], drop_missing=True
                ),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # At DEBUG these print request headers, and so API keys.
        "ccxt": {"level": "WARNING"},
        "aiohttp": {"level": "WARNING"},
        "asyncio": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        # At DEBUG it prints every statement with its parameters.
        "django.db.backends": {"level": "WARNING"},
        # At INFO it tells of every task; the sync runs tell the same, and last.
        "django-q": {"level": "WARNING"},
    },
}
structlog.configure(
    processors=[
        SaidOnce(),
        *_SHARED_PROCESSORS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
