-- Who may ask, what was traded, and who did what: keys, holds, purchases, signatures, audit and errors.
-- Why: these outlive runs and stones, and answer the questions of an operator after the fact.

CREATE TABLE api_keys (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    key_hash TEXT NOT NULL UNIQUE,
    client_name TEXT NOT NULL,
    permissions TEXT[] NOT NULL DEFAULT '{}' CHECK (permissions <@ ARRAY['read', 'cost', 'trade', 'admin']),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_used_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ
);

CREATE TABLE hold_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    diamond_id UUID REFERENCES diamonds (id),
    feed TEXT NOT NULL,
    feed_hold_id TEXT,
    offer_id TEXT NOT NULL,
    client TEXT,
    status TEXT NOT NULL,
    denied BOOLEAN NOT NULL DEFAULT FALSE,
    hold_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX hold_history_diamond ON hold_history (diamond_id, created_at DESC);

CREATE TABLE purchase_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    diamond_id UUID REFERENCES diamonds (id),
    feed TEXT NOT NULL,
    feed_order_id TEXT,
    offer_id TEXT NOT NULL,
    client TEXT,
    idempotency_key TEXT NOT NULL,
    status TEXT NOT NULL,
    reference TEXT,
    comments TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (client, idempotency_key)
);

CREATE INDEX purchase_history_diamond ON purchase_history (diamond_id);

CREATE TABLE request_signatures (
    client TEXT NOT NULL,
    signature TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (client, signature)
);

CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX audit_log_created ON audit_log (created_at DESC);

CREATE TABLE error_logs (
    id BIGSERIAL PRIMARY KEY,
    service TEXT NOT NULL,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    context JSONB,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX error_logs_service ON error_logs (service, created_at DESC);
CREATE INDEX error_logs_created ON error_logs (created_at DESC);
