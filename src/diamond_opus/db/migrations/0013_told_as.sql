-- Under which id a channel was told of an incident, which is not always the incident's own.
-- Why: processes that cannot ask the database tell of one outage under ids of their own. A channel that groups by id, such
-- as PagerDuty, ends only what it is told the end of: each id has its own beginning and its own end.
-- Safe with old code: what it writes without an id gets the incident's own.
ALTER TABLE alert_deliveries ADD COLUMN told_as UUID;
UPDATE alert_deliveries SET told_as = incident_id;
ALTER TABLE alert_deliveries
    ALTER COLUMN told_as SET NOT NULL,
    DROP CONSTRAINT alert_deliveries_incident_id_kind_channel_key,
    ADD UNIQUE (incident_id, kind, channel, told_as);

CREATE FUNCTION tell_as_incident() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.told_as := NEW.incident_id;
    RETURN NEW;
END $$;

CREATE TRIGGER delivery_told_as BEFORE INSERT ON alert_deliveries
    FOR EACH ROW WHEN (NEW.told_as IS NULL) EXECUTE FUNCTION tell_as_incident();

-- What is not tried any more ends as unknown when an answer was lost before: it may have arrived, and then has an end.
CREATE OR REPLACE FUNCTION check_delivery_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('pending', 'sending'), ('pending', 'unknown'), ('pending', 'abandoned'), ('sending', 'pending'),
        ('sending', 'delivered'), ('sending', 'unknown'), ('sending', 'abandoned')
    ) THEN
        RAISE EXCEPTION 'delivery % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
