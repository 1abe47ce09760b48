"""Place orders: ``python place.py COUNT``."""

from __future__ import annotations

import os
import sys

from orders import Base, Order, Stock, place
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session


def main(count: int) -> None:
    """Take ``count`` orders, each in a transaction of its own."""
    engine = create_engine(os.environ["JOBS_DATABASE_URL"])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        if session.get(Stock, 1) is None:
            session.add(Stock(id=1, left=1_000_000))
        first = (session.scalar(select(func.max(Order.id))) or 0) + 1
        session.commit()
    for order_id in range(first, first + count):
        with Session(engine) as session:
            place(session, order_id, amount=100 + order_id)
            session.commit()
    engine.dispose()
    print(f"{count} orders placed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
