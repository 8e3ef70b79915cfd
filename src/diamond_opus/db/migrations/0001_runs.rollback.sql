DROP TABLE duties, request_budget, watermarks, density_scans, worker_runs, partition_progress, run_metadata;
DROP FUNCTION count_settled_partitions(), check_partition_transition(), check_run_transition();
