-- name: list_orders
-- What waits for a person comes first where that is asked for.
SELECT {order_columns}
FROM purchase_history
WHERE {where}
ORDER BY (%(open_first)s AND status = 'unknown') DESC, created_at DESC, id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: count_orders
SELECT count(*)
FROM purchase_history
WHERE {where};

-- name: list_holds
-- For operators; what needs a person can come first.
SELECT {hold_columns}
FROM hold_history
WHERE {where}
ORDER BY (%(open_first)s AND status = 'unknown') DESC, created_at DESC, id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: count_holds
SELECT count(*)
FROM hold_history
WHERE {where};
