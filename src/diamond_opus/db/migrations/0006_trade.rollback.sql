DROP TRIGGER order_transition ON purchase_history;
DROP FUNCTION check_order_transition();
DROP TRIGGER hold_transition ON hold_history;
DROP FUNCTION check_hold_transition();
DROP TABLE availability_marks;
DROP INDEX purchase_history_client, purchase_history_listed, purchase_history_open, purchase_history_one_live;
ALTER TABLE purchase_history
    DROP CONSTRAINT purchase_history_status_check,
    DROP COLUMN supplier_stone_id,
    DROP COLUMN body_hash,
    DROP COLUMN destination_id,
    DROP COLUMN return_option,
    DROP COLUMN max_price,
    DROP COLUMN feed_price,
    DROP COLUMN order_item_before,
    DROP COLUMN reason,
    DROP COLUMN attempts,
    DROP COLUMN lease_token,
    DROP COLUMN lease_expires_at,
    DROP COLUMN sent_at,
    DROP COLUMN looked_at,
    DROP COLUMN free_since,
    DROP COLUMN reported_at,
    DROP COLUMN resolved_by,
    DROP COLUMN resolved_at,
    DROP COLUMN resolved_how,
    DROP COLUMN resolution_note,
    DROP COLUMN answer_status,
    DROP COLUMN answer_body;
DROP INDEX hold_history_listed, hold_history_one_live;
ALTER TABLE hold_history
    DROP CONSTRAINT hold_history_status_check,
    DROP COLUMN supplier_stone_id,
    DROP COLUMN by_hand,
    DROP COLUMN reason,
    DROP COLUMN lease_token,
    DROP COLUMN lease_expires_at,
    DROP COLUMN sent_at,
    DROP COLUMN looked_at,
    DROP COLUMN free_since,
    DROP COLUMN reported_at;
-- What only the newer schema can say becomes what the older one can: such a stone is not for sale.
UPDATE diamonds SET local_status = 'sold' WHERE local_status = 'unavailable';
ALTER TABLE diamonds
    DROP COLUMN availability,
    DROP CONSTRAINT diamonds_local_status_check,
    ADD CONSTRAINT diamonds_local_status_check CHECK (local_status IN ('on_hold', 'sold')),
    ADD COLUMN availability TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN local_status = 'sold' THEN 'sold'
            WHEN local_status = 'on_hold' AND feed_availability = 'available' THEN 'on_hold'
            ELSE feed_availability
        END
    ) STORED;
