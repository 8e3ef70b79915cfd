CREATE OR REPLACE FUNCTION check_delivery_transition() RETURNS trigger LANGUAGE plpgsql AS $$
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

DROP TRIGGER delivery_told_as ON alert_deliveries;
DROP FUNCTION tell_as_incident();

-- Of what a channel was told under several ids, the first stays that was not given up: whoever was told has an end.
DELETE FROM alert_deliveries AS d
USING alert_deliveries AS other
WHERE other.incident_id = d.incident_id
  AND other.kind = d.kind
  AND other.channel = d.channel
  AND (other.state = 'abandoned', other.id) < (d.state = 'abandoned', d.id);
ALTER TABLE alert_deliveries
    DROP COLUMN told_as,
    ADD UNIQUE (incident_id, kind, channel);
