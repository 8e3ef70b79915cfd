DROP TABLE removal_candidates, run_warnings, rejected_diamonds, raw_diamonds;
