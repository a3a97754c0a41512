"""Reads infra/template.yaml as CloudFormation gets it, translated by SAM: what depends on what,
and where the user pool's client sends people back to."""

import copy
import graphlib
import logging
import pathlib
import re
import sys

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse

logging.disable(logging.WARNING)


class NoPolicies:
    """The template names none of AWS's managed policies for SAM to look up."""

    def load(self):
        return {}


def translated(template):
    validator = SamTemplateValidator(copy.deepcopy(template), NoPolicies(), region="eu-central-1")
    return yaml_parse(validator.get_translated_template_if_valid())


def references(value):
    """The names that a value refers to, whichever condition holds."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item.split(".")[0] if isinstance(item, str) else item[0]
            elif key == "Fn::Sub":
                text = item if isinstance(item, str) else item[0]
                yield from re.findall(r"\$\{([^!}.]+)", text)
            elif key == "DependsOn":
                yield from [item] if isinstance(item, str) else item
            yield from references(item)


def cycle(template):
    """Resources that depend on each other in a circle, which CloudFormation refuses. (cfn-lint's
    rule E3004 does not see those through what SAM writes.)"""
    resources = translated(template)["Resources"]
    graph = {
        name: {of for of in references(resource) if of in resources}
        for name, resource in resources.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def expect(what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{what}: {seen}, not {wanted}")
    print(f"{what}: ok")


template = yaml_parse(pathlib.Path("infra/template.yaml").read_text())
expect("no resources depend on each other in a circle", cycle(template), None)
# What would be one is seen.
circular = copy.deepcopy(template)
variables = circular["Resources"]["RateLimitAuthorizerFunction"]["Properties"]["Environment"]["Variables"]
variables["AUDIENCE"] = {"Ref": "UserPoolClient"}
expect("a circle is seen", "UserPoolClient" in (cycle(circular) or []), True)

resources = translated(template)["Resources"]
client, api = (resources[name]["Properties"] for name in ("UserPoolClient", "DashboardApi"))
stage = next(of["Properties"] for of in resources.values() if of["Type"] == "AWS::ApiGateway::Stage")
page = template["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"]
# `home` and `signedOut` of the page's session.mjs are relative to its base, the stage's path.
session = pathlib.Path("functions/api/page/session.mjs").read_text()
for address in ('new URL(".", document.baseURI)', 'new URL("signed-out", document.baseURI)'):
    expect(f"session.mjs: {address}", session.count(address), 1)
expect("the page is where its stage is", page.endswith(f"}}/{stage['StageName']}/"), True)
for path in ("/", "/signed-out"):
    expect(f"{path} is a route", "get" in api["Body"]["paths"][path], True)
expect("callbacks", client["CallbackURLs"], [{"Fn::Sub": page}])
expect("addresses after signing out", client["LogoutURLs"], [{"Fn::Sub": page + "signed-out"}])
expect("what the stage tells the functions", sorted(stage["Variables"]), ["auth_audience", "sign_in_client_id"])
