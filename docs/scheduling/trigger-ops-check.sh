#!/bin/sh
# Checks the triggers of all databases once, for a scheduler: cron, systemd, Kubernetes.
#
# It exits with 0 while the checking is in order, whatever was found: NOTIFY tells people of
# findings, and tells them once. It exits with another code, and says why on stderr, when somebody
# has to look at the checking itself:
#   3    no run was complete for MAX_AGE, which should be three intervals of the schedule
#   5    the database with the records cannot be reached
#   2 4  a setting is wrong; a right or a table is missing
#   70   Python could not even start, or something went wrong inside it
# The report goes to stdout in any case.
#
# ARGUMENTS are more words for the check, such as --all-schemas or --schema-glob tenant_*. They are
# split at blanks and nothing else is made of them: no quotes, no patterns, no commands.
set -uf
PROJECT=${PROJECT:-/srv/shop}
PYTHON=${PYTHON:-$PROJECT/.venv/bin/python}
MAX_AGE=${MAX_AGE:-15m}
ARGUMENTS=${ARGUMENTS:-}
cd "$PROJECT" || exit 70

# shellcheck disable=SC2086
report=$("$PYTHON" manage.py pgtrigger check --record --notify $ARGUMENTS 2>&1)
code=$?
last=
printf '%s\n' "$report"

case $code in
0)
    exit 0
    ;;
1 | 3)
    # 1 is findings, 3 is that something could not be read. One such run is no alarm: a database
    # may be restarting. Three in a row are, and then no run was complete for so long.
    last=$("$PYTHON" manage.py pgtrigger check --max-age "$MAX_AGE")
    code=$?
    if [ "$code" -le 1 ] && [ -n "$last" ]; then
        exit 0
    fi
    # Python too exits with 1 when it cannot start, and then prints nothing on stdout.
    if [ "$code" -le 1 ]; then
        code=70
    fi
    ;;
esac

printf 'The check of the triggers is out of order (%s).\n' "$code" >&2
printf '%s\n' "$report" "$last" >&2
exit "$code"
