from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models

for number in range(settings.FLEET["models"]):
    triggers = [
        pgtrigger.Protect(name=f"delete_{number}", operation=pgtrigger.Delete),
        pgtrigger.ReadOnly(name=f"code_{number}", fields=["code"]),
    ]
    type(
        f"Stock{number}",
        (models.Model,),
        {
            "code": models.TextField(),
            "Meta": type("Meta", (), {"app_label": "fleet", "triggers": triggers}),
            "__module__": __name__,
        },
    )
