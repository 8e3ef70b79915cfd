DROP VIEW run_overview;
DROP INDEX rejected_diamonds_seen, worker_runs_failed, removal_candidates_guarded, run_metadata_unsettled_removals;
ALTER TABLE run_metadata DROP COLUMN is_replay, DROP COLUMN removals_accepted_at, DROP COLUMN removals_settled_at;
