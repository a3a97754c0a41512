"""Starts the emulator, with what API Gateway says of each request and the emulator leaves out: the
domain by which it was called."""

import sys

from ministack.app import main
from ministack.services import apigateway_v1

build = apigateway_v1._build_lambda_event_v1


def with_domain(*arguments, **named):
    event = build(*arguments, **named)
    headers = {name.lower(): value for name, value in event["headers"].items()}
    event["requestContext"]["domainName"] = headers["host"]
    return event


apigateway_v1._build_lambda_event_v1 = with_domain
sys.exit(main())
