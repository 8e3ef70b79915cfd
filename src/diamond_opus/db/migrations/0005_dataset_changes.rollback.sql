DROP INDEX idx_diamonds_certificate, idx_diamonds_updated;
DROP TRIGGER unannounced_change ON diamonds;
DROP FUNCTION note_unannounced_change();
DROP FUNCTION announce_changes();
DROP FUNCTION record_changes(TEXT, UUID[]);
DROP TABLE dataset_changes;
