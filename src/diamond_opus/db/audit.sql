-- name: record_act
INSERT INTO audit_log (actor, action, subject, details)
VALUES (%(actor)s, %(action)s, %(subject)s, %(details)s);
