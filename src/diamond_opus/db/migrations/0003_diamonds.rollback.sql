DROP TABLE dataset_versions, diamonds, pricing_rules;
