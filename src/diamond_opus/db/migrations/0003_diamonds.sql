-- The catalogue: priced diamonds, the rules that price them, and the version a shop's cache compares.
-- Why: one clean row per stone, made from the newest raw payload; what is decided here (trade) is kept apart from it.

CREATE TABLE pricing_rules (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    priority INTEGER NOT NULL DEFAULT 100,
    carat_min NUMERIC(6, 2),
    carat_max NUMERIC(6, 2),
    shapes TEXT[],
    lab_grown BOOLEAN,
    feed TEXT,
    markup_ratio NUMERIC(5, 4) NOT NULL,
    rating INTEGER CHECK (rating BETWEEN 1 AND 10),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX pricing_rules_active ON pricing_rules (priority, id) WHERE active;

-- The rule that matches everything; its id is fixed so that every installation and every test agrees on it.
INSERT INTO pricing_rules (id, priority, markup_ratio, rating)
VALUES ('00000000-0000-4000-8000-000000001000', 1000, 1.15, 5);

CREATE TABLE diamonds (
    id UUID PRIMARY KEY,
    feed TEXT NOT NULL DEFAULT 'nivoda',
    supplier_stone_id TEXT NOT NULL,
    offer_id TEXT NOT NULL,
    shape TEXT NOT NULL,
    carats NUMERIC(6, 2) NOT NULL,
    color TEXT,
    clarity TEXT,
    cut TEXT,
    polish TEXT,
    symmetry TEXT,
    fluorescence TEXT,
    lab_grown BOOLEAN NOT NULL DEFAULT FALSE,
    treated BOOLEAN NOT NULL DEFAULT FALSE,
    feed_price NUMERIC(12, 2) NOT NULL,
    price_per_carat NUMERIC(12, 2) NOT NULL,
    price_model_price NUMERIC(12, 2) NOT NULL,
    markup_ratio NUMERIC(5, 4) NOT NULL,
    rating INTEGER CHECK (rating BETWEEN 1 AND 10),
    rule_id UUID,
    -- What the supplier says, what was done here, and what a shop therefore sees.
    feed_availability TEXT NOT NULL CHECK (feed_availability IN ('available', 'on_hold', 'sold', 'unavailable')),
    local_status TEXT CHECK (local_status IN ('on_hold', 'sold')),
    local_status_at TIMESTAMPTZ,
    local_hold_until TIMESTAMPTZ,
    availability TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN local_status = 'sold' THEN 'sold'
            WHEN local_status = 'on_hold' AND feed_availability = 'available' THEN 'on_hold'
            ELSE feed_availability
        END
    ) STORED,
    raw_availability TEXT,
    hold_id TEXT,
    image_url TEXT,
    video_url TEXT,
    certificate_lab TEXT,
    certificate_number TEXT,
    certificate_pdf_url TEXT,
    measurements JSONB,
    attributes JSONB,
    supplier_name TEXT,
    supplier_legal_name TEXT,
    -- 1 is the best grade (domain/grades.py); NULL where there is none.
    color_rank SMALLINT,
    clarity_rank SMALLINT,
    fancy_color TEXT,
    fancy_intensity TEXT,
    fancy_overtone TEXT,
    length_mm NUMERIC(7, 2),
    width_mm NUMERIC(7, 2),
    depth_mm NUMERIC(7, 2),
    table_percent NUMERIC(7, 2),
    depth_percent NUMERIC(7, 2),
    ratio NUMERIC(8, 3),
    eye_clean BOOLEAN,
    delivery_days_min INTEGER,
    delivery_days_max INTEGER,
    returnable BOOLEAN,
    -- The payload this row was made from.
    raw_hash TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deleted')),
    source_updated_at TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    deleted_at TIMESTAMPTZ,
    UNIQUE (feed, supplier_stone_id),
    CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
);

CREATE INDEX idx_diamonds_search ON diamonds (shape, carats, color, clarity) WHERE status = 'active';
CREATE INDEX idx_diamonds_price ON diamonds (feed_price) WHERE status = 'active';
CREATE INDEX idx_diamonds_lab_grown ON diamonds (lab_grown) WHERE status = 'active';
CREATE INDEX idx_diamonds_cut ON diamonds (cut) WHERE status = 'active';
CREATE INDEX idx_diamonds_carats ON diamonds (carats) WHERE status = 'active';
CREATE INDEX idx_diamonds_selling_price ON diamonds (price_model_price, id) WHERE status = 'active';
CREATE INDEX idx_diamonds_created ON diamonds (created_at, id) WHERE status = 'active';

-- Raised in every transaction that changes what a shop could see of a feed.
CREATE TABLE dataset_versions (
    feed TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
