"""The tables of the bus.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# `event`, `delivery` and `receipt` see INSERT and DELETE only; a dead tuple is a claim on vacuum's
# time, and the hot tables cannot wait for a fifth of themselves to be dead.
EAGER_VACUUM = """
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02
"""


def upgrade() -> None:
    """Create schema `bus`."""
    op.execute("CREATE SCHEMA bus")
    op.execute("""
        CREATE TABLE bus.stream (
            key text PRIMARY KEY,
            seq bigint NOT NULL CHECK (seq > 0)
        ) WITH (fillfactor = 50)
    """)
    # A sequence of our own: PostgreSQL 15 knows no identity columns on partitioned tables. Never
    # with a CACHE above 1, which would hand positions out in blocks and so out of order.
    op.execute("CREATE SEQUENCE bus.event_position AS bigint CACHE 1")
    op.execute("""
        CREATE TABLE bus.event (
            id          uuid NOT NULL,
            pos         bigint NOT NULL DEFAULT nextval('bus.event_position'),
            type        text NOT NULL,
            version     integer NOT NULL CHECK (version > 0),
            topic       text,
            key         text,
            seq         bigint,
            record_key  text,
            payload     json NOT NULL,
            headers     jsonb NOT NULL,
            occurred_at timestamptz NOT NULL,
            stored_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (id),
            CONSTRAINT event_key_has_seq CHECK ((key IS NULL) = (seq IS NULL))
        ) PARTITION BY RANGE (id)
    """)
    op.execute("CREATE INDEX event_pos ON bus.event (pos)")
    op.execute("CREATE INDEX event_key ON bus.event (key, seq) WHERE key IS NOT NULL")
    op.execute("CREATE TABLE bus.event_default PARTITION OF bus.event DEFAULT")
    op.execute("""
        CREATE FUNCTION bus.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of %.% are never changed', TG_TABLE_SCHEMA, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END $$
    """)
    # Events are immutable (I5). Retention drops partitions, which fires no trigger.
    op.execute("""
        CREATE TRIGGER event_is_immutable BEFORE UPDATE OR DELETE ON bus.event
        FOR EACH ROW EXECUTE FUNCTION bus.refuse_change()
    """)
    op.execute(f"""
        CREATE TABLE bus.delivery (
            subscriber text NOT NULL,
            pos        bigint NOT NULL,
            bucket     smallint NOT NULL,
            event_id   uuid NOT NULL,
            key        text,
            replay_id  uuid,
            PRIMARY KEY (subscriber, pos)
        ) WITH ({EAGER_VACUUM})
    """)
    op.execute("""
        CREATE TABLE bus.receipt (
            subscriber text NOT NULL,
            event_id   uuid NOT NULL,
            outcome    text NOT NULL CHECK (outcome IN ('done', 'skipped', 'discarded')),
            topic      text,
            partition  integer,
            "offset"   bigint,
            handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (subscriber, event_id)
        ) PARTITION BY RANGE (event_id)
    """)
    op.execute("CREATE TABLE bus.receipt_default PARTITION OF bus.receipt DEFAULT")
    op.execute("""
        CREATE TABLE bus.inbox (
            foreign_id_hash bytea PRIMARY KEY,
            source          text NOT NULL,
            foreign_id      text NOT NULL,
            event_id        uuid NOT NULL,
            received_at     timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("CREATE INDEX inbox_received_at ON bus.inbox (received_at)")
    op.execute("""
        CREATE TABLE bus.replica (
            id       uuid PRIMARY KEY,
            lock_key bigint NOT NULL,
            until    timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE bus.lease (
            subscriber   text NOT NULL,
            bucket       smallint NOT NULL,
            owner        uuid,
            epoch        bigint NOT NULL DEFAULT 0,
            until        timestamptz NOT NULL DEFAULT '-infinity',
            inflight_pos bigint,
            PRIMARY KEY (subscriber, bucket)
        ) WITH (fillfactor = 50)
    """)
    op.execute("""
        CREATE TABLE bus.parked (
            subscriber   text NOT NULL,
            key          text NOT NULL,
            event_id     uuid NOT NULL,
            until        timestamptz NOT NULL,
            attempts     integer NOT NULL CHECK (attempts >= 0),
            crashes      integer NOT NULL DEFAULT 0 CHECK (crashes >= 0),
            reason       text NOT NULL CHECK (reason IN
                         ('outage', 'error', 'undecodable', 'unknown_type', 'no_handler',
                          'crash', 'refused')),
            fingerprint  text NOT NULL,
            error_class  text NOT NULL,
            first_failed timestamptz NOT NULL DEFAULT clock_timestamp(),
            last_failed  timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (subscriber, key)
        )
    """)
    op.execute("""
        CREATE TABLE bus.dead (
            subscriber   text NOT NULL,
            pos          bigint NOT NULL,
            bucket       smallint NOT NULL,
            event_id     uuid NOT NULL,
            key          text,
            reason       text NOT NULL,
            fingerprint  text NOT NULL,
            error_class  text NOT NULL,
            attempts     integer NOT NULL,
            replay_count integer NOT NULL DEFAULT 0,
            first_failed timestamptz NOT NULL,
            last_failed  timestamptz NOT NULL,
            PRIMARY KEY (subscriber, event_id)
        )
    """)
    op.execute("""
        CREATE TABLE bus.topic (
            name          text PRIMARY KEY,
            partitions    integer NOT NULL CHECK (partitions > 0),
            first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)


def downgrade() -> None:
    """Remove schema `bus` and every event in it."""
    op.execute("DROP SCHEMA bus CASCADE")
