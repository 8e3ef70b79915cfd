-- Which diamonds each version of a feed's dataset changed, and what a search of them needs.
-- Why: whoever keeps a copy in memory, or a shop that keeps its own, can fetch exactly what changed. Raising the version
-- locks the feed's row until the commit, so versions are in the order of the commits and none is ever filled in later:
-- a reader that sees version n sees every change up to n. Times have no such order.

CREATE TABLE dataset_changes (
    feed TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- NULL: anything may have changed.
    diamond_ids UUID[],
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (feed, version)
);

CREATE INDEX dataset_changes_changed ON dataset_changes (changed_at);

-- Last in a transaction, because others that change the feed wait from here on. An empty list raises nothing.
CREATE FUNCTION record_changes(changed_feed TEXT, changed_ids UUID[]) RETURNS void LANGUAGE sql AS $$
    WITH raised AS (
        INSERT INTO dataset_versions AS v (feed, version, updated_at)
        SELECT changed_feed, 1, clock_timestamp()
        WHERE changed_ids IS NULL OR cardinality(changed_ids) > 0
        ON CONFLICT (feed) DO UPDATE
        SET version = v.version + 1,
            updated_at = clock_timestamp()
        RETURNING feed, version, updated_at
    )
    INSERT INTO dataset_changes (feed, version, diamond_ids, changed_at)
    SELECT feed, version, changed_ids, updated_at
    FROM raised
    -- Only where versions were set back by hand.
    ON CONFLICT (feed, version) DO UPDATE
    SET diamond_ids = NULL,
        changed_at = EXCLUDED.changed_at
$$;

-- Who calls record_changes at the end says so at the beginning. Whatever else writes to diamonds, such as a statement by
-- hand, is noted by the trigger: for feed '*', as a change of anything.
CREATE FUNCTION announce_changes() RETURNS void LANGUAGE sql AS $$
    SELECT set_config('diamond_opus.announced', 'yes', TRUE)
$$;

CREATE FUNCTION note_unannounced_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('diamond_opus.announced', TRUE), '') <> 'yes' THEN
        PERFORM record_changes('*', NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER unannounced_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON diamonds
    FOR EACH STATEMENT EXECUTE FUNCTION note_unannounced_change();

-- The change feed of shops: removals are changes too, so that deleted stones are in it.
CREATE INDEX idx_diamonds_updated ON diamonds (updated_at, id);
CREATE INDEX idx_diamonds_certificate ON diamonds (certificate_number) WHERE status = 'active';
