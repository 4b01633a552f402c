"""The Django app. It stands before ``pgtrigger`` in ``INSTALLED_APPS``."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from trigger_ops.startup import install_fast_registry

# In the module's body: models modules, and the triggers they register, load after this.
install_fast_registry()


class TriggerOpsConfig(AppConfig):
    """Configuration of ``trigger_ops``."""

    name = "trigger_ops"
    verbose_name = _("Trigger operations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what needs all apps loaded."""
        # Imported late: all of them need our models.
        from trigger_ops import checks
        from trigger_ops.guard.keeping import keep_gates
        from trigger_ops.sessions.watching import watch_refusals

        checks.register()
        keep_gates()
        watch_refusals()
        # Without a sender: pgtrigger's own receiver may install triggers for a later app.
        post_migrate.connect(remember_conditions, dispatch_uid="trigger_ops.remember_conditions")


def remember_conditions(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Remember the conditions of a database that was just migrated; restore leases and the guard.

    Acts once, for the last app that gets the signal. ``flush`` sends it too, but without a plan.
    """
    senders = [config for config in apps.get_app_configs() if config.models_module is not None]
    if "plan" in kwargs and sender is senders[-1]:
        # Imported late: the public door needs our models.
        from trigger_ops import api

        api.restore_leases(using)
        api.restore_guard(using)
        api.remember_database(using)
