-- Watches every committed step for what must never happen; what it sees stands in faults.violations. It is part of the
-- harness's databases only, and changes nothing.

CREATE SCHEMA faults;

CREATE TABLE faults.violations (at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), what TEXT NOT NULL);

-- Which process speaks under which application name.
CREATE TABLE faults.members (application_name TEXT PRIMARY KEY, process_id UUID NOT NULL);

CREATE FUNCTION faults.saw(what TEXT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO faults.violations (what) VALUES (what)
$$;

-- A run is completed only when all it read is consolidated.
CREATE FUNCTION faults.watch_run() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    pending BIGINT;
BEGIN
    SELECT count(*) INTO pending
    FROM raw_diamonds
    WHERE feed = NEW.feed AND NOT consolidated AND fetched_at < NEW.consolidation_started_at;
    IF pending > 0 THEN
        PERFORM faults.saw(format('run %s is completed with %s stones not consolidated', NEW.run_id, pending));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER watched AFTER UPDATE OF state ON run_metadata
    FOR EACH ROW WHEN (NEW.state = 'completed' AND OLD.state <> 'completed') EXECUTE FUNCTION faults.watch_run();

-- The watermark moves forward only, to the planning time of a run that is being ended, past no unread range.
CREATE FUNCTION faults.watch_watermark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.last_updated_at < OLD.last_updated_at THEN
        PERFORM faults.saw(format('the watermark went back to %s', NEW.last_updated_at));
    END IF;
    IF NOT EXISTS (
        SELECT FROM run_metadata AS r
        WHERE r.run_id::text = NEW.last_run_id
          AND r.updated_to = NEW.last_updated_at
          AND r.state = 'consolidating'
          AND NOT EXISTS (
              SELECT FROM partition_progress AS p WHERE p.run_id = r.run_id AND p.state <> 'completed'
          )
    ) THEN
        PERFORM faults.saw(format('the watermark is %s: of no run that was read whole', NEW.last_updated_at));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER watched AFTER INSERT OR UPDATE ON watermarks
    FOR EACH ROW EXECUTE FUNCTION faults.watch_watermark();

-- Whoever moves a partition that is read holds its lease; what is completed, nobody moves but who completed it.
CREATE FUNCTION faults.watch_lease() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    writer UUID;
BEGIN
    SELECT process_id INTO writer
    FROM faults.members
    WHERE application_name = current_setting('application_name');
    IF writer IS NOT NULL AND writer <> OLD.worker_id THEN
        PERFORM faults.saw(format('%s moved partition %s under the lease of another', current_setting('application_name'), OLD.partition_id));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER watched AFTER UPDATE ON partition_progress
    FOR EACH ROW WHEN (
        OLD.state IN ('running', 'completed') AND NEW.worker_id = OLD.worker_id
        AND (NEW.cursor, NEW.fetched_records, NEW.state) IS DISTINCT FROM (OLD.cursor, OLD.fetched_records, OLD.state)
    ) EXECUTE FUNCTION faults.watch_lease();

-- The newest answer of the supplier wins, whenever it arrives.
CREATE FUNCTION faults.watch_raw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM faults.saw(format('an older answer about %s replaced a newer one', NEW.supplier_stone_id));
    RETURN NULL;
END $$;

CREATE TRIGGER watched AFTER UPDATE ON raw_diamonds
    FOR EACH ROW WHEN (NEW.fetched_at < OLD.fetched_at) EXECUTE FUNCTION faults.watch_raw();
