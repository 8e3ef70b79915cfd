-- Holds and orders with their states, guarded by the database: one live hold and one live order a stone.
-- Why: the supplier knows no idempotency key and no order query, so that only our own rows can keep anybody from ordering
-- twice. What is sent is written here first. Nothing wrote to these tables before, so nothing has to be converted.

-- A stone that somebody here called unavailable is neither on hold nor sold. PostgreSQL changes a generated column only
-- by making it anew, which writes the table once.
ALTER TABLE diamonds
    DROP COLUMN availability,
    DROP CONSTRAINT diamonds_local_status_check,
    ADD CONSTRAINT diamonds_local_status_check CHECK (local_status IN ('on_hold', 'sold', 'unavailable')),
    ADD COLUMN availability TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN local_status = 'sold' THEN 'sold'
            WHEN local_status = 'unavailable' AND feed_availability IN ('available', 'on_hold') THEN 'unavailable'
            WHEN local_status = 'on_hold' AND feed_availability = 'available' THEN 'on_hold'
            ELSE feed_availability
        END
    ) STORED;

ALTER TABLE hold_history
    ADD COLUMN supplier_stone_id TEXT,
    -- Written by a person (POST /diamonds/{id}/availability), not asked for at the supplier.
    ADD COLUMN by_hand BOOLEAN NOT NULL DEFAULT FALSE,
    -- Why it ended as it did, in the supplier's words: not for everybody's eyes.
    ADD COLUMN reason TEXT,
    -- While the supplier is asked the process renews this; a lapsed one means that the process is gone.
    ADD COLUMN lease_token UUID,
    ADD COLUMN lease_expires_at TIMESTAMPTZ,
    ADD COLUMN sent_at TIMESTAMPTZ,
    ADD COLUMN looked_at TIMESTAMPTZ,
    ADD COLUMN free_since TIMESTAMPTZ,
    ADD COLUMN reported_at TIMESTAMPTZ,
    ADD CONSTRAINT hold_history_status_check CHECK (
        status IN ('sending', 'active', 'denied', 'failed', 'unknown', 'releasing', 'released', 'expired')
    );

CREATE UNIQUE INDEX hold_history_one_live ON hold_history (feed, supplier_stone_id)
    WHERE status IN ('sending', 'active', 'unknown', 'releasing');
CREATE INDEX hold_history_listed ON hold_history (created_at DESC, id);

ALTER TABLE purchase_history
    ADD COLUMN supplier_stone_id TEXT,
    -- SHA-256 of the canonical body, the stone included: the same key may only mean the same order.
    ADD COLUMN body_hash TEXT,
    ADD COLUMN destination_id TEXT,
    ADD COLUMN return_option BOOLEAN,
    ADD COLUMN max_price NUMERIC(12, 2),
    -- What the supplier asked for the stone just before it was ordered.
    ADD COLUMN feed_price NUMERIC(12, 2),
    -- The mark of an order that the stone bore before: another one later is ours.
    ADD COLUMN order_item_before TEXT,
    ADD COLUMN reason TEXT,
    ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1,
    ADD COLUMN lease_token UUID,
    ADD COLUMN lease_expires_at TIMESTAMPTZ,
    -- Committed before the order leaves: without it nothing was sent.
    ADD COLUMN sent_at TIMESTAMPTZ,
    ADD COLUMN looked_at TIMESTAMPTZ,
    ADD COLUMN free_since TIMESTAMPTZ,
    ADD COLUMN reported_at TIMESTAMPTZ,
    -- Who found out what became of a lost answer, when, and how: evidence, or a person.
    ADD COLUMN resolved_by TEXT,
    ADD COLUMN resolved_at TIMESTAMPTZ,
    ADD COLUMN resolved_how TEXT CHECK (resolved_how IN ('evidence', 'person')),
    ADD COLUMN resolution_note TEXT,
    -- What the caller was told, byte for byte, for whoever repeats the request.
    ADD COLUMN answer_status INTEGER,
    ADD COLUMN answer_body TEXT,
    ADD CONSTRAINT purchase_history_status_check CHECK (
        status IN ('sending', 'unknown', 'ordered', 'confirmed', 'refused', 'failed', 'returned')
    );

CREATE UNIQUE INDEX purchase_history_one_live ON purchase_history (feed, supplier_stone_id)
    WHERE status IN ('sending', 'unknown', 'ordered', 'confirmed');
CREATE INDEX purchase_history_open ON purchase_history (status) WHERE status IN ('sending', 'unknown', 'ordered');
CREATE INDEX purchase_history_listed ON purchase_history (created_at DESC, id);
CREATE INDEX purchase_history_client ON purchase_history (client, created_at DESC);

-- What a person here says of a stone that is neither held nor ordered through us.
CREATE TABLE availability_marks (
    feed TEXT NOT NULL,
    supplier_stone_id TEXT NOT NULL,
    availability TEXT NOT NULL CHECK (availability IN ('sold', 'unavailable')),
    client TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, supplier_stone_id)
);

CREATE FUNCTION check_hold_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT (OLD.status, NEW.status) IN (
        ('sending', 'active'), ('sending', 'denied'), ('sending', 'failed'), ('sending', 'unknown'),
        ('unknown', 'active'), ('unknown', 'failed'), ('unknown', 'released'), ('unknown', 'expired'),
        ('active', 'releasing'), ('active', 'released'), ('active', 'expired'),
        ('releasing', 'active'), ('releasing', 'released'), ('releasing', 'expired')
    ) THEN
        RAISE EXCEPTION 'hold % cannot go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER hold_transition BEFORE UPDATE OF status ON hold_history
    FOR EACH ROW EXECUTE FUNCTION check_hold_transition();

CREATE FUNCTION check_order_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT (OLD.status, NEW.status) IN (
        ('sending', 'ordered'), ('sending', 'refused'), ('sending', 'failed'), ('sending', 'unknown'),
        ('unknown', 'ordered'), ('unknown', 'confirmed'), ('unknown', 'refused'),
        ('ordered', 'confirmed'), ('ordered', 'refused'),
        ('failed', 'sending'),
        ('confirmed', 'returned')
    ) THEN
        RAISE EXCEPTION 'order % cannot go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER order_transition BEFORE UPDATE OF status ON purchase_history
    FOR EACH ROW EXECUTE FUNCTION check_order_transition();
