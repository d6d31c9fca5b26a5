"""An API gateway: routes HTTP requests to services, one process for many callers at once.

The parts, in the order in which a request meets them. An import points down this list or
stays on its line; import-linter holds it (`pyproject.toml`), and a test compares the list
with the folder.

    cli         the operator's commands, each one call into the room it concerns
    commands    those of them that are more than a few lines
    demo        small services to try the gateway with, in a process of their own
    wsgi        what gunicorn loads
    app         composition root: settings in, the WSGI application out
    telling     who is told of what has happened: who counts, writes, traces and remembers
    facts       what became of an exchange, as plain values for those who are told
    sharing     what the workers of all hosts share, and what each host is called there
    server      bytes to WSGI: our gunicorn worker and its HTTP/1.1 connections
    middleware  what every request and every response gets
    resources   the doors: services, health, metrics
    admission   may it pass: who asks, breakers, limits; answers yes, or raises the refusal
    upstream    to the service and back
    exchange    one request and its answer: what the parts know of it together
    routing     whose request it is; pure
    state       what all workers and hosts share
    telemetry   told by all, knows none
    config      what the operator says
    denials     who may not: refusals of callers, as values
    outages     what the gateway itself cannot do at the moment, as values
    refusals    why else a request is not forwarded, as values
    errors      what can go wrong, as values
    findings    what a look at something has shown, as values
    wire        bytes on a socket, towards callers and services alike
"""

__version__ = "0.1.0"
