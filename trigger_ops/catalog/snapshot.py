"""What one reading of a database found, as inert values."""

from __future__ import annotations

import dataclasses
import enum

from trigger_ops.states import Enabled


class Extent(enum.Enum):
    """How much of what lies round the triggers is read.

    ``CHANGEABLE`` is all that a plan needs, ignore functions, partitions and functions left
    behind: the rest of :class:`Surroundings` is then empty, whatever there is.
    """

    NOTHING = enum.auto()
    CHANGEABLE = enum.auto()
    ALL = enum.auto()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Clone:
    """The copy of a row trigger that PostgreSQL keeps on one partition.

    ``definition`` is given only where the stored condition is not the parent's; that is so too
    where the partition's columns are numbered otherwise. ``differs`` tells of what PostgreSQL
    never lets differ: deferral, arguments, and whether there is a condition.
    """

    schema: str
    table: str
    enabled: str
    type_bits: int
    function_oid: int
    has_triggers: bool = True
    columns: tuple[str, ...] | None = None
    definition: str | None = None
    differs: bool = False
    oid: int = 0
    version: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CatalogTrigger:
    """One row of ``pg_trigger`` with its table, function, comment and clones.

    ``enabled`` is the catalog's letter (O, D, R, A), ``type_bits`` is ``tgtype``, ``columns`` are
    the names of ``UPDATE OF`` or None, ``definition`` is ``pg_get_triggerdef`` under pinned
    settings (only where there is a condition), ``uses`` are the operators and functions beyond
    the built-in ones that the condition depends on, ``volatility`` is ``provolatile`` of the
    function. ``version`` and ``function_version`` are the rows' ``xmin``: they change with every
    change to trigger or function. The rights are those of the role that read.
    """

    oid: int
    schema: str
    table: str
    table_oid: int
    table_owner: str
    relkind: str
    has_triggers: bool
    columns_digest: str | None
    name: str
    enabled: str
    type_bits: int
    deferrable: bool
    initially_deferred: bool
    is_constraint: bool
    old_table: str | None
    new_table: str | None
    arguments: tuple[str, ...]
    columns: tuple[str, ...] | None
    has_condition: bool
    definition: str | None
    uses: tuple[str, ...]
    comment: str | None
    function_schema: str
    function: str
    function_oid: int
    language: str
    security_definer: bool
    volatility: str
    function_settings: tuple[str, ...]
    function_owner: str
    function_owner_rules_table: bool
    body: str
    clones: tuple[Clone, ...] = ()
    version: str = ""
    function_version: str = ""
    may_alter: bool = True
    may_create: bool = True
    may_replace_function: bool = True

    @property
    def mode(self) -> Enabled:
        """When the trigger fires, PARTIAL where a clone differs from the others or the parent."""
        modes = {self.enabled, *(clone.enabled for clone in self.clones)}
        return Enabled.PARTIAL if len(modes) > 1 else Enabled.from_catalog(self.enabled)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CatalogTable:
    """A table, view or foreign table whose name the code knows. ``relkind`` as in ``pg_class``.

    ``may_alter`` and ``may_create`` tell whether the role that read owns the table, and whether it
    may create functions in the table's schema.
    """

    oid: int
    schema: str
    name: str
    relkind: str
    columns_digest: str | None
    has_triggers: bool
    owner: str
    may_alter: bool = True
    may_create: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IgnoreFunction:
    """A function named ``_pgtrigger_should_ignore``, wherever it lives.

    ``owner_is_member_of`` names the owners of tables named like this project's.
    """

    oid: int
    schema: str
    owner: str
    language: str
    body: str
    arguments: str
    security_definer: bool
    settings: tuple[str, ...]
    returns: str
    has_support: bool
    owner_is_superuser: bool
    owner_is_member_of: tuple[str, ...]
    version: str = ""
    may_replace: bool = True

    @property
    def is_proper(self) -> bool:
        """True for the one that triggers call, by its arguments."""
        return self.arguments == "trigger_name name"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StoredSetting:
    """One setting that sessions start with. ``role`` and ``database`` None mean everybody's."""

    database: str | None
    role: str | None
    name: str
    value: str
    source: str = "stored"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rewrite rule for INSERT, UPDATE or DELETE on a table that the code knows."""

    table_oid: int
    name: str
    event: str
    instead: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RelatedTable:
    """A table that has to do with ``table_oid``: its child, parent, partition, or one like them."""

    table_oid: int
    schema: str
    name: str
    partitioned: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OrphanFunction:
    """A trigger function with a pgtrigger name that no trigger executes.

    ``definition`` is PostgreSQL's own statement that would create it again.
    """

    oid: int
    schema: str
    name: str
    definition: str = ""
    version: str = ""
    may_replace: bool = True
    owner: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSetting:
    """A function or procedure that runs with a setting under which triggers do not fire."""

    oid: int
    schema: str
    name: str
    arguments: str
    kind: str
    setting: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParameterGrant:
    """A role that is no superuser and may SET a setting that switches triggers off."""

    role: str
    setting: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """A comparison of built-in types that is neither PostgreSQL's own nor an extension's."""

    schema: str
    name: str
    left: str
    right: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Meddler:
    """What makes a function run (``what``: a default, a constraint, an event trigger, ...).

    The function's ``body`` speaks of a setting that switches triggers off. ``asked`` means that
    nothing but a call makes it run, and ``what`` is then the function itself.
    """

    what: str
    function: str
    body: str
    asked: bool
    fix: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What lies round the triggers and can switch them off without touching them.

    Only where all of it was read (:class:`Extent`) does an empty field say that there is none.
    """

    settings: tuple[StoredSetting, ...] = ()
    ignore_functions: tuple[IgnoreFunction, ...] = ()
    rules: tuple[Rule, ...] = ()
    children: tuple[RelatedTable, ...] = ()
    above: tuple[RelatedTable, ...] = ()
    partitions: tuple[RelatedTable, ...] = ()
    former_partitions: tuple[RelatedTable, ...] = ()
    orphan_functions: tuple[OrphanFunction, ...] = ()
    function_settings: tuple[FunctionSetting, ...] = ()
    grants: tuple[ParameterGrant, ...] = ()
    subscriptions: tuple[str, ...] = ()
    operators: tuple[Operator, ...] = ()
    meddlers: tuple[Meddler, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """The session that read.

    ``version`` is ``server_version_num`` (150018), ``search_path`` as it was set, or asked for
    instead of ``own_path``, and ``install_schema`` where a function without a schema would be
    created. ``identifier`` is the cluster's own and survives a restart, ``read_only`` tells of
    ``default_transaction_read_only``.
    """

    version: int
    database: str
    role: str
    search_path: tuple[str, ...]
    own_path: tuple[str, ...]
    install_schema: str | None
    in_recovery: bool
    may_create_temporary: bool
    identifier: str = ""
    read_only: bool = False

    @property
    def major(self) -> int:
        """The major version, such as 15."""
        return self.version // 10000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One reading of one database."""

    server: Server
    triggers: tuple[CatalogTrigger, ...]
    tables: tuple[CatalogTable, ...]
    surroundings: Surroundings | None = None
