"""What the supplier says of one stone now, stored; it alone may end a hold before its time."""

from uuid import UUID

from diamond_opus.db.pool import Connection
from diamond_opus.trade import holds
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.evidence import ends_hold
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import HoldStatus, NoSuchStone, TradedStone
from diamond_opus.trade.stones import find_stone, lock_stone, settle_stone


async def check_availability(desk: Desk, diamond_id: UUID) -> tuple[TradedStone, Look]:
    """Ask the supplier about a stone on sale and store its answer: the stone as it is afterwards, and the answer.

    Price and grades follow with the next consolidation: the answer is kept as a raw one. Raises NoSuchStone or
    SupplierFailed.
    """
    async with desk.pool.connection() as conn:
        stone = await find_stone(conn, diamond_id)
    if stone is None or not stone.is_active:
        raise NoSuchStone(f"there is no diamond with the id {diamond_id}")
    look = await desk.look(stone.key, stone)

    async def write(conn: Connection) -> TradedStone:
        await lock_stone(conn, stone.key)
        hold = await holds.live_hold(conn, stone.key)
        # Of a hold that was made while the supplier was being asked, the answer says nothing.
        if hold is not None and hold.updated_at < look.asked_at and ends_hold(hold, look):
            await holds.move_hold(
                conn,
                hold.id,
                HoldStatus.RELEASED,
                expected=[HoldStatus.ACTIVE],
                reason=f"the supplier says that the stone is {look.availability}",
            )
        await settle_stone(conn, stone.key, look)
        found = await find_stone(conn, diamond_id)
        if found is None:
            raise NoSuchStone(f"there is no diamond with the id {diamond_id}")
        return found

    return await desk.transact(write), look
