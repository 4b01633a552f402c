#!/bin/sh
# For a pipeline, against a database that its migrations were applied to. It stops at the first
# thing that is not as the code says, with that command's exit code.
set -eu
PYTHON=${PYTHON:-python}

# On GitHub findings become annotations, anywhere else text.
if [ "${GITHUB_ACTIONS:-}" = true ]; then
    format=github
else
    format=text
fi

# 1: a migration was not applied.
"$PYTHON" manage.py migrate --check
# 1: a model, or a trigger in Meta.triggers, has no migration yet.
"$PYTHON" manage.py makemigrations --check --dry-run
# 1: findings. 3: something could not be read, which is no good news either.
"$PYTHON" manage.py pgtrigger check --format "$format"
