"""Operations toolkit for django-pgtrigger. The public door is ``trigger_ops.api``."""
