-- name: fill_diamonds
-- As many stones as asked for, of 300 vendors, in rows as wide as real ones.
INSERT INTO diamonds (
    id, feed, supplier_stone_id, offer_id, shape, carats, color, clarity, cut, polish, symmetry, fluorescence,
    lab_grown, feed_price, price_per_carat, price_model_price, markup_ratio, rating, feed_availability,
    raw_availability, image_url, video_url, certificate_lab, certificate_number, certificate_pdf_url, measurements,
    supplier_name, supplier_legal_name, color_rank, clarity_rank, raw_hash, last_seen_at
)
SELECT
    gen_random_uuid(), 'nivoda', md5(n::text), 'DIAMOND/' || md5(n::text),
    (ARRAY['ROUND', 'OVAL', 'PEAR', 'EMERALD', 'CUSHION'])[1 + n %% 5], 0.3 + (n %% 500) / 100.0,
    chr(68 + n %% 8), (ARRAY['IF', 'VVS1', 'VVS2', 'VS1', 'VS2', 'SI1'])[1 + n %% 6], 'EX', 'EX', 'VG', 'NON',
    n %% 3 > 0, 100 + n %% 20000, 100 + n %% 9000, (100 + n %% 20000) * 1.15, 1.15, 5,
    (ARRAY['available', 'available', 'available', 'on_hold', 'sold', 'unavailable'])[1 + n %% 6], 'AVAILABLE',
    'https://example.com/stones/' || md5(n::text) || '.jpg', 'https://example.com/videos/' || md5(n::text),
    'GIA', (1000000000 + n)::text, 'https://example.com/certificates/' || n || '.pdf',
    jsonb_build_object('length', 7.3, 'width', 7.31, 'depth', 4.51), 'Vendor ' || n %% 300, 'Vendor Ltd ' || n %% 300,
    1 + n %% 8, 1 + n %% 6, md5(n::text), now()
FROM generate_series(1, %(rows)s) AS n;

-- name: fill_raw
INSERT INTO raw_diamonds (
    feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash, consolidated, asked_lab_grown, fetched_at,
    last_seen_at, last_seen_run_id
)
SELECT
    d.feed, d.supplier_stone_id, d.id, '00000000-0000-0000-0000-000000000001', d.offer_id, '{"price": 1}', d.raw_hash,
    TRUE, d.lab_grown, now(), now(), '00000000-0000-0000-0000-000000000001'
FROM diamonds AS d;

-- name: fill_versions
INSERT INTO dataset_versions (feed, version, updated_at) VALUES ('nivoda', 1, now());

-- name: fill_runs
-- Three years of nights; one in twenty failed.
INSERT INTO run_metadata (
    feed, run_type, state, expected_workers, completed_workers, failed_workers, updated_to, trace_id, expected_records,
    fetched_records, distinct_records, started_at, ingest_completed_at, consolidation_started_at,
    consolidation_completed_at, completed_at
)
SELECT
    'nivoda', CASE WHEN n %% 7 = 0 THEN 'full' ELSE 'incremental' END,
    CASE WHEN n %% 20 = 5 THEN 'failed' ELSE 'completed' END, 30, CASE WHEN n %% 20 = 5 THEN 28 ELSE 30 END,
    CASE WHEN n %% 20 = 5 THEN 2 ELSE 0 END, t, 'benchmark', 50000, 50100, 50000, t, t + interval '20 minutes',
    t + interval '20 minutes', t + interval '21 minutes',
    CASE WHEN n %% 20 = 5 THEN NULL ELSE t + interval '21 minutes' END
FROM generate_series(1, %(runs)s) AS n, LATERAL (SELECT now() - n * interval '1 day' AS t) AS at;

-- name: fill_partitions
INSERT INTO partition_progress (
    run_id, partition_id, lab_grown, price_from, price_to, state, expected_records, fetched_records, distinct_records,
    pages_read, attempts, started_at, completed_at
)
SELECT
    r.run_id, CASE WHEN n > 15 THEN 'lab-grown-' ELSE 'natural-' END || lpad(n::text, 2, '0'), n > 15, n * 100,
    n * 100 + 100, CASE WHEN n > r.completed_workers THEN 'failed' ELSE 'completed' END, 1700, 1710, 1700, 40, 1,
    r.started_at, r.ingest_completed_at
FROM run_metadata AS r, generate_series(1, 30) AS n;

-- name: fill_attempts
INSERT INTO worker_runs (
    run_id, partition_id, attempt, worker_id, status, records_processed, error_message, work_item_payload, started_at,
    completed_at
)
SELECT
    p.run_id, p.partition_id, 1, gen_random_uuid(), CASE WHEN p.state = 'failed' THEN 'failed' ELSE 'completed' END,
    1700, CASE WHEN p.state = 'failed' THEN 'the supplier is away' END, '{"type": "WORK_ITEM"}', p.started_at,
    p.completed_at
FROM partition_progress AS p;

-- name: fill_rejected
-- One stone in a hundred.
INSERT INTO rejected_diamonds (feed, supplier_stone_id, offer_id, run_id, reason, json_path, payload, last_seen_at)
SELECT
    'nivoda', 'rejected-' || n, 'DIAMOND/' || n, (SELECT run_id FROM run_metadata ORDER BY started_at DESC LIMIT 1),
    'reason ' || n %% 12, '$.price', '{"price": 0}', now() - n * interval '1 minute'
FROM generate_series(1, %(rows)s / 100) AS n;

-- name: fill_logs
INSERT INTO error_logs (service, error_message, stack_trace, context, created_at)
SELECT
    (ARRAY['api', 'worker', 'consolidator', 'scheduler'])[1 + n %% 4], 'error ' || n, repeat('frame ', 100),
    '{"traceId": "x"}', now() - n * interval '5 minutes'
FROM generate_series(1, 20000) AS n;

-- name: fill_audit
INSERT INTO audit_log (actor, action, subject, created_at)
SELECT 'key:x', 'run.retry', n::text, now() - (20000 - n) * interval '5 minutes'
FROM generate_series(1, 20000) AS n;

-- name: fill_scans
INSERT INTO density_scans (feed, lab_grown, total, cells, api_calls, scanned_at)
SELECT 'nivoda', n %% 2 = 0, 100, '[[0, 500, 60], [500, 1000, 30], [1000, null, 10]]', 3, now() - n * interval '1 day'
FROM generate_series(1, 300) AS n;
