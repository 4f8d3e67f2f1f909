"""The private cluster that the tests of storage run on."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.fixtures.postgresql import Cluster


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_gets_an_empty_database(postgresql_url: str, turn: str) -> None:
    """What one test creates is not there for the next."""
    engine = create_engine(postgresql_url)
    with engine.begin() as conn:
        assert inspect(conn).get_table_names() == []
        conn.execute(text("CREATE TABLE left_behind (id integer)"))
    engine.dispose()


def test_the_cluster_listens_on_no_network(postgresql_cluster: Cluster) -> None:
    """Only a socket in the cluster's own folder leads to it."""
    with postgresql_cluster.connect() as conn:
        assert conn.execute("SHOW listen_addresses").fetchone() == ("",)
        assert conn.execute("SHOW unix_socket_directories").fetchone() == (str(postgresql_cluster.folder),)
