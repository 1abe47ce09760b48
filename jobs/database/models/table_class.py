"""Classes that name the columns of a table. They are read like mapped classes, and need no ORM.

The ORM would cost every process a tenth of its memory and of its start. Our statements run on connections, which take
tables and columns; only a session of an application brings the ORM with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import Column, MetaData, Table

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapped
    from sqlalchemy.orm import mapped_column as column
else:
    # The type checker knows the ORM's columns, which are expressions of a Python type. They are plain columns.
    Mapped = column = Column

__all__ = ["Base", "Mapped", "aliased", "column"]

CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Base:
    """A table: its columns are attributes, and the class stands for the table in a statement.

    A column may be null if its annotation says ``| None``.

    >>> class Note(Base):
    ...     __tablename__ = "notes"
    ...     id: Mapped[UUID] = column(Id, primary_key=True)
    ...     text: Mapped[str | None] = column(Words(200))
    >>> select(Note.text).where(Note.id == wanted)
    """

    metadata: ClassVar[MetaData] = MetaData(naming_convention=CONVENTION)
    __tablename__: ClassVar[str]
    __table__: ClassVar[Table]
    __table_args__: ClassVar[tuple[Any, ...]] = ()

    def __init_subclass__(cls) -> None:
        columns: list[Column[Any]] = []
        for name, annotation in cls.__annotations__.items():
            one: Column[Any] = vars(cls)[name]
            one.name = one.key = name
            one.nullable = "None" in annotation
            columns.append(one)
        cls.__table__ = Table(cls.__tablename__, cls.metadata, *columns, *cls.__table_args__)

    @classmethod
    def __clause_element__(cls) -> Table:
        """What SQLAlchemy takes for the class in a statement."""
        return cls.__table__


M = TypeVar("M", bound=Base)


def aliased(model: type[M]) -> type[M]:
    """The table of ``model`` under another name, for a statement that reads it twice."""
    table = model.__table__.alias()
    members = {"__clause_element__": lambda: table, **{one.key: one for one in table.columns}}
    return type(model.__name__, (), members)
