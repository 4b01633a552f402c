"""Settings of the demo site: plain Django, for this machine only."""

from __future__ import annotations

from demo_site.database import databases

# Whoever publishes the demo site on a network needs settings of their own: this key is no secret.
SECRET_KEY = "trigger-ops-demo-only"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "trigger_ops",
    "pgtrigger",
    "pghistory",
    "demo_site",
    "demo_site.tutorial",
    "demo_site.awkward",
    "demo_site.past",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "demo_site.policy.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "trigger_ops.web.middleware.SessionMiddleware",
]

ROOT_URLCONF = "demo_site.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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

DATABASES = databases()
DATABASE_ROUTERS = ["demo_site.routers.ArchiveRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"

TRIGGER_OPS = {
    "POLICIES": {
        "tutorial.OfficialInterface:protect_inserts": "open",  # its own method ignores it
        "past.Customer": "four_eyes",
    },
    # So that there is something to look at for a while.
    "SESSION_IDLE": "4h",
    "SESSION_WAITS": "1d",
}
