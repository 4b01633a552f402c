-- A partition by itself.
-- policy: record
-- expect: unattributed 1 changed
TRUNCATE awkward_measurement_2024;
