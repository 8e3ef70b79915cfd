DROP INDEX idx_diamonds_certificate, idx_diamonds_updated;
DROP FUNCTION record_changes(TEXT, UUID[]);
DROP TABLE dataset_changes;
