-- name: freeze_candidates
-- Stones on sale that this run did not see. Both conditions: a stone seen by a look-up since the run began is not
-- gone, and neither is one whose row carries this run whatever its clock said. One that was seen in the future was seen
-- before the clock was set back. The unseen ones are found first: there are few or none, and joining all stones to learn
-- that took nine tenths of ending an unchanged run.
WITH unseen AS MATERIALIZED (
    SELECT r.run_id, w.feed, w.supplier_stone_id, w.asked_lab_grown
    FROM run_metadata AS r
    JOIN raw_diamonds AS w ON w.feed = r.feed
    WHERE r.run_id = %(run_id)s
      AND w.last_seen_run_id <> r.run_id
      AND (w.last_seen_at < r.started_at OR w.last_seen_at > clock_timestamp())
)
INSERT INTO removal_candidates (run_id, feed, supplier_stone_id, lab_grown)
SELECT u.run_id, u.feed, u.supplier_stone_id, u.asked_lab_grown
FROM unseen AS u
JOIN diamonds AS d ON d.feed = u.feed AND d.supplier_stone_id = u.supplier_stone_id AND d.status = 'active'
ON CONFLICT (run_id, supplier_stone_id) DO NOTHING;

-- name: guard_candidates
-- More missing than can be believed: nothing of that type is removed until a person accepts. What was guarded already
-- counts again, so that a crash before the alert does not silence it.
WITH shares AS (
    SELECT
        c.lab_grown,
        count(*) AS missing,
        (
            SELECT count(*)
            FROM raw_diamonds AS w
            JOIN diamonds AS d ON d.feed = w.feed AND d.supplier_stone_id = w.supplier_stone_id
            WHERE w.feed = %(feed)s
              AND w.asked_lab_grown = c.lab_grown
              AND d.status = 'active'
        ) AS active
    FROM removal_candidates AS c
    WHERE c.run_id = %(run_id)s
      AND c.state IN ('frozen', 'guarded')
    GROUP BY c.lab_grown
), tripped AS (
    SELECT lab_grown, missing, active
    FROM shares
    WHERE missing > active * %(share)s::numeric
), guarded AS (
    UPDATE removal_candidates AS c
    SET state = 'guarded',
        decided_at = now()
    FROM tripped AS t
    WHERE c.run_id = %(run_id)s
      AND c.state = 'frozen'
      AND c.lab_grown = t.lab_grown
)
SELECT lab_grown, missing, active
FROM tripped;

-- name: next_candidates
SELECT supplier_stone_id
FROM removal_candidates
WHERE run_id = %(run_id)s
  AND state = 'frozen'
  AND lab_grown = %(lab_grown)s
ORDER BY supplier_stone_id
LIMIT %(limit)s;

-- name: witnesses
-- A few stones of the type that this run, or one after it, has read: if the supplier still knows any, it knows one of
-- these.
SELECT w.supplier_stone_id
FROM run_metadata AS r
JOIN raw_diamonds AS w ON w.feed = %(feed)s
WHERE r.run_id = %(run_id)s
  AND w.asked_lab_grown = %(lab_grown)s
  AND (w.last_seen_run_id = r.run_id OR w.last_seen_at >= r.started_at)
  AND w.removed_at IS NULL
LIMIT %(limit)s;

-- name: decide_candidates
-- A stone that neither answer settles is gone when an earlier full run missed it as well and nobody saw it since.
UPDATE removal_candidates AS c
SET state = CASE
        WHEN c.supplier_stone_id = ANY (%(present)s) THEN 'present'
        WHEN c.supplier_stone_id = ANY (%(uncertain)s) AND NOT EXISTS (
            SELECT FROM removal_candidates AS before
            JOIN run_metadata AS r ON r.run_id = before.run_id AND r.state = 'completed'
            JOIN raw_diamonds AS w
                ON w.feed = before.feed AND w.supplier_stone_id = before.supplier_stone_id
                AND w.last_seen_at < before.decided_at
            WHERE before.feed = c.feed
              AND before.supplier_stone_id = c.supplier_stone_id
              AND before.run_id <> c.run_id
              AND before.state = 'uncertain'
        ) THEN 'uncertain'
        ELSE 'gone'
    END,
    decided_at = now()
WHERE c.run_id = %(run_id)s
  AND c.state = 'frozen'
  AND c.supplier_stone_id = ANY (%(asked)s);

-- name: remove_gone
-- Only what is still unseen: the row is looked at again in the statement that removes it. Nothing of it stays pending,
-- as when a look finds that a stone is gone (trade/stones.sql).
WITH gone AS (
    UPDATE raw_diamonds AS w
    SET removed_at = now(),
        consolidated = TRUE
    FROM removal_candidates AS c, run_metadata AS r
    WHERE c.run_id = %(run_id)s
      AND c.state = 'gone'
      AND r.run_id = c.run_id
      AND w.feed = c.feed
      AND w.supplier_stone_id = c.supplier_stone_id
      AND (w.last_seen_at < coalesce(c.decided_at, r.started_at) OR w.last_seen_at > clock_timestamp())
    RETURNING w.feed, w.supplier_stone_id
), removed AS (
    UPDATE diamonds AS d
    SET status = 'deleted',
        deleted_at = now(),
        updated_at = now()
    FROM gone AS g
    WHERE d.feed = g.feed
      AND d.supplier_stone_id = g.supplier_stone_id
      AND d.status = 'active'
    RETURNING d.id
), decided AS (
    UPDATE removal_candidates AS c
    SET state = CASE WHEN EXISTS (SELECT FROM gone AS g WHERE g.supplier_stone_id = c.supplier_stone_id)
            THEN 'removed' ELSE 'present' END
    WHERE c.run_id = %(run_id)s
      AND c.state = 'gone'
)
UPDATE run_metadata
SET removed_records = removed_records + (SELECT count(*) FROM removed)
WHERE run_id = %(run_id)s
RETURNING removed_records, (SELECT coalesce(array_agg(id), '{}') FROM removed) AS removed_ids;

-- name: see_again
-- A candidate that the supplier shows after all is as good as read by this run.
UPDATE raw_diamonds
SET last_seen_at = clock_timestamp(),
    last_seen_run_id = %(run_id)s
WHERE feed = %(feed)s
  AND supplier_stone_id = ANY (%(present)s);

-- name: count_guarded
SELECT count(*)
FROM removal_candidates
WHERE run_id = %(run_id)s
  AND state = 'guarded';

-- name: accept_guarded
-- The frozen list, looked at again: what was seen since is there, the rest waits for the supplier's word.
UPDATE removal_candidates AS c
SET state = CASE WHEN looked.is_unseen THEN 'frozen' ELSE 'present' END,
    decided_at = CASE WHEN NOT looked.is_unseen THEN now() END
FROM (
    SELECT
        w.feed, w.supplier_stone_id,
        w.last_seen_run_id <> r.run_id
            AND (w.last_seen_at < r.started_at OR w.last_seen_at > clock_timestamp()) AS is_unseen
    FROM run_metadata AS r
    JOIN raw_diamonds AS w ON w.feed = r.feed
    WHERE r.run_id = %(run_id)s
) AS looked
WHERE c.run_id = %(run_id)s
  AND c.state = 'guarded'
  AND looked.feed = c.feed
  AND looked.supplier_stone_id = c.supplier_stone_id;

-- name: note_acceptance
UPDATE run_metadata
SET removals_accepted_at = clock_timestamp(),
    removals_settled_at = NULL,
    attempts = 0
WHERE run_id = %(run_id)s;

-- name: take_accepted
-- The right to settle what was accepted, under the lease that ends a run as well.
UPDATE run_metadata
SET finalise_token = gen_random_uuid(),
    finalise_expires_at = clock_timestamp() + %(lease)s
WHERE run_id = %(run_id)s
  AND state = 'completed'
  AND removals_accepted_at IS NOT NULL
  AND removals_settled_at IS NULL
  AND (next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp())
  AND (finalise_expires_at IS NULL OR finalise_expires_at < clock_timestamp())
RETURNING feed, finalise_token;

-- name: renew_accepted
UPDATE run_metadata
SET finalise_expires_at = clock_timestamp() + %(lease)s
WHERE run_id = %(run_id)s
  AND finalise_token = %(token)s
RETURNING 1;

-- name: settle_accepted
UPDATE run_metadata
SET removals_settled_at = clock_timestamp(),
    attempts = 0,
    finalise_token = NULL,
    finalise_expires_at = NULL
WHERE run_id = %(run_id)s
  AND finalise_token = %(token)s
RETURNING 1;

-- name: postpone_accepted
-- The supplier is away: later again, for a person has said yes and nothing is lost by waiting.
UPDATE run_metadata
SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + least(%(delay)s * power(2, least(attempts, 20)), %(longest)s),
    finalise_token = NULL,
    finalise_expires_at = NULL
WHERE run_id = %(run_id)s
  AND finalise_token = %(token)s;
