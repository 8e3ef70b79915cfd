DROP TABLE error_logs, audit_log, request_signatures, purchase_history, hold_history, api_keys;
