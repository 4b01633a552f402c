"""The Django app. It stands before ``pgtrigger`` in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig

from trigger_ops.startup import install_fast_registry

# In the module's body: models modules, and the triggers they register, load after this.
install_fast_registry()


class TriggerOpsConfig(AppConfig):
    """Configuration of ``trigger_ops``."""

    name = "trigger_ops"
    verbose_name = "Trigger operations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what needs all apps loaded."""
