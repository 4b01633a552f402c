-- A column that may be changed.
-- policy: session
-- role: app
-- expect: changed
UPDATE past_customer SET name = 'other';
