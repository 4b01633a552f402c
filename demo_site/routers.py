"""Which model lives in which database."""

from __future__ import annotations

from django.db import models

#: Models, as ``app_label.model_name``, whose table is in the database ``archive`` alone.
ARCHIVED = frozenset({"awkward.archiveddocument"})


class ArchiveRouter:
    """Keep the archived models in ``archive``, all others in ``default``, nothing elsewhere."""

    def db_for_read(self, model: type[models.Model], **_hints: object) -> str | None:
        """Return ``archive`` for an archived model, else None: no opinion."""
        return "archive" if model._meta.label_lower in ARCHIVED else None

    def db_for_write(self, model: type[models.Model], **_hints: object) -> str | None:
        """Return what :meth:`db_for_read` returns."""
        return self.db_for_read(model)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_hints: object
    ) -> bool:
        """Tell whether ``db`` holds this model, or (no model named) runs this app's SQL."""
        if app_label == "trigger_ops":
            return db in {"default", "archive"}
        if f"{app_label}.{model_name}" in ARCHIVED:
            return db == "archive"
        return db == "default"
