-- name: dataset_versions
-- Raised in every transaction that changes what a shop could see, so that the same versions mean the same answers.
SELECT feed, version
FROM dataset_versions
ORDER BY feed;
