"""The slots of the request budget as they were booked: what the supplier sees of them is stamped by a test's process,
late when that waits for a processor.
"""

from pipeline_builders import Pool

_NOTE_SLOTS = b"""
    CREATE TABLE booked_slots (slot_at timestamptz NOT NULL);
    CREATE FUNCTION note_slot() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO booked_slots VALUES (NEW.next_slot_at);
        RETURN NULL;
    END $$;
    CREATE TRIGGER booked AFTER UPDATE OF next_slot_at ON request_budget
        FOR EACH ROW EXECUTE FUNCTION note_slot();
"""

_MOST_IN_ONE_SECOND = b"""
    SELECT count(*), coalesce(max(in_one_second), 0)
    FROM (
        SELECT count(*) OVER (ORDER BY slot_at RANGE BETWEEN CURRENT ROW AND '999999 us' FOLLOWING) AS in_one_second
        FROM booked_slots
    ) AS windows
"""


async def note_slots(pool: Pool) -> None:
    """From now on, of all accounts together."""
    async with pool.connection() as conn:
        await conn.execute(_NOTE_SLOTS)


async def count_slots(pool: Pool) -> tuple[int, int]:
    """How many were booked, and the most of them within one second."""
    async with pool.connection() as conn:
        [(slots, in_one_second)] = await (await conn.execute(_MOST_IN_ONE_SECOND)).fetchall()
    return slots, in_one_second
