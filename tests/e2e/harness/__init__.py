"""What the end-to-end tests share: a real server, a raw client, readers for its logs."""
from . import attack, reached, transport
from .apphost import AppHost, Pool, Site
from .client import Conn, Response
from .listener_answers import own_answer
from .logs import read_events, read_httperr, read_w3c
from .server import Server, wait_until
from .table import Case, Outcomes

__all__ = ["AppHost", "Case", "Conn", "Outcomes", "Pool", "Response", "Server", "Site", "attack", "own_answer",
           "read_events", "read_httperr", "read_w3c", "reached", "transport", "wait_until"]
