-- What is wrong, who was told of it and when, how the supplier answers, and what housekeeping and backups did.
-- Why: an alert that is only sent is lost with the provider that was down, and sent again by whoever sees the same trouble.
-- A row for each incident says it once, however many see it; a row for each delivery keeps it until a channel has it.
-- Safe with old code: new tables only.

-- Trouble with a beginning and an end. One that is open is told once, and its end once.
CREATE TABLE incidents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    -- What kind (monitoring/events.py), and what it is about: a run, an order, a queue, a feed; '' is the whole system.
    event TEXT NOT NULL,
    subject TEXT NOT NULL DEFAULT '',
    severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    facts JSONB NOT NULL DEFAULT '{}',
    -- Without a reference: an incident outlives the run it tells of.
    run_id UUID,
    -- Since when it is so, which may be long before anybody noticed.
    since TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    opened_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    last_seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    occurrences INT NOT NULL DEFAULT 1,
    -- Since when it is no longer seen; what is back before the quiet time is over was never gone.
    cleared_at TIMESTAMPTZ,
    resolved_at TIMESTAMPTZ,
    resolution TEXT,
    -- When its deliveries were written, to every channel there was.
    addressed_at TIMESTAMPTZ,
    CHECK (resolved_at IS NULL OR cleared_at IS NOT NULL)
);

CREATE UNIQUE INDEX incidents_one_open ON incidents (event, subject) WHERE resolved_at IS NULL;
CREATE INDEX incidents_opened ON incidents (opened_at DESC, id);
CREATE INDEX incidents_unaddressed ON incidents (opened_at) WHERE addressed_at IS NULL;

-- One row for each channel that is told of an incident's beginning or end; a channel's name holds no secret.
CREATE TABLE alert_deliveries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id UUID NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('opened', 'resolved')),
    channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'delivered', 'unknown', 'abandoned')),
    attempts INT NOT NULL DEFAULT 0,
    -- Attempts after which it is not known whether the channel has it: the answer was lost. The second is the last.
    unanswered INT NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    lease_token UUID,
    lease_expires_at TIMESTAMPTZ,
    last_error TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    settled_at TIMESTAMPTZ,
    UNIQUE (incident_id, kind, channel),
    CHECK ((state = 'sending') = (lease_token IS NOT NULL)),
    CHECK ((state IN ('delivered', 'unknown', 'abandoned')) = (settled_at IS NOT NULL))
);

CREATE INDEX alert_deliveries_due ON alert_deliveries (next_attempt_at) WHERE state IN ('pending', 'sending');

CREATE FUNCTION check_delivery_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('pending', 'sending'), ('pending', 'abandoned'), ('sending', 'pending'), ('sending', 'delivered'),
        ('sending', 'unknown'), ('sending', 'abandoned')
    ) THEN
        RAISE EXCEPTION 'delivery % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER delivery_transition BEFORE UPDATE OF state ON alert_deliveries
    FOR EACH ROW EXECUTE FUNCTION check_delivery_transition();

-- How each feed's supplier answers us; written when that changes, and twice a minute while it does not.
CREATE TABLE supplier_health (
    feed TEXT PRIMARY KEY,
    -- It answers; refuses us (403, 429); does not let us log in; answers nobody.
    state TEXT NOT NULL CHECK (state IN ('answering', 'refusing', 'login_failed', 'away')),
    since TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    reason TEXT
);

-- Each time something that has to be done regularly was done, or failed: housekeeping by task, and backups.
CREATE TABLE upkeep (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    rows_affected BIGINT NOT NULL DEFAULT 0,
    details JSONB NOT NULL DEFAULT '{}',
    error TEXT
);

CREATE INDEX upkeep_task ON upkeep (task, started_at DESC);
