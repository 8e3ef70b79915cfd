-- Which diamonds each version of a feed's dataset changed, and what a search of them needs.
-- Why: whoever keeps a copy in memory, or a shop that keeps its own, can fetch exactly what changed. Raising the version
-- locks the feed's row until the commit, so versions are in the order of the commits and none is ever filled in later:
-- a reader that sees version n sees every change up to n. Times have no such order.

CREATE TABLE dataset_changes (
    feed TEXT NOT NULL,
    version BIGINT NOT NULL,
    diamond_ids UUID[] NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (feed, version)
);

CREATE INDEX dataset_changes_changed ON dataset_changes (changed_at);

-- Last in a transaction, because others that change the feed wait from here on. No ids, no new version.
CREATE FUNCTION record_changes(changed_feed TEXT, changed_ids UUID[]) RETURNS void LANGUAGE sql AS $$
    WITH raised AS (
        INSERT INTO dataset_versions AS v (feed, version, updated_at)
        SELECT changed_feed, 1, clock_timestamp()
        WHERE cardinality(changed_ids) > 0
        ON CONFLICT (feed) DO UPDATE
        SET version = v.version + 1,
            updated_at = clock_timestamp()
        RETURNING feed, version, updated_at
    )
    INSERT INTO dataset_changes (feed, version, diamond_ids, changed_at)
    SELECT feed, version, changed_ids, updated_at
    FROM raised
$$;

-- The change feed of shops: removals are changes too, so that deleted stones are in it.
CREATE INDEX idx_diamonds_updated ON diamonds (updated_at, id);
CREATE INDEX idx_diamonds_certificate ON diamonds (certificate_number) WHERE status = 'active';
