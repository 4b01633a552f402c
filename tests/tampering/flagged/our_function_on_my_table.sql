-- A trigger of one's own that has our functions write what one likes.
-- policy: record
-- session: past.Receipt:append_only
-- role: app
-- expect: refused 42501
CREATE TABLE mine (session_id bigint, verdict text, reviewer text, reviewer_key text, remark text);
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION trigger_ops_review_outcome();
INSERT INTO mine VALUES (<session>, 'approve', 'user:bob', '', '');
