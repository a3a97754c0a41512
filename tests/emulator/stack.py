"""infra/template.yaml, deployed by CloudFormation into the emulator.

Where the emulator falls short of AWS, and what is done about it:

* It takes code only from S3, under a key that changes with it.
* Types and properties that it does not know refuse the whole template: saved
  queries, and alarms over several metrics, are left out. Alarms of one metric,
  the dashboard, log groups and everything else are deployed.
* Its plain HTTP would fall to the bucket's own policy (aws:SecureTransport), so
  that is left out.
* It leaves out the method ANY. The proxy's is put in afterwards. What another path
  does not name is 404 there: 405 and OPTIONS are proven by `warden local`.
* It makes tables without their time to live, and APIs without the gateway
  responses that SAM writes into the definition: both are set afterwards. What
  stands in the authorizer's context it does not render into them, so the
  headers of a 429 are proven by `warden local`, not here.
* It does not read the binary media types that SAM writes into the definition, so
  bodies that are no text are proven by `warden local`, not here.
* It holds functions to their roles' policies, but for dynamodb:LeadingKeys.
* A token of its user pools names an issuer in AWS, whose keys the authorizer would
  fetch there: a stack with a pool of its own is given the pool's keys.
* What the page asks of `api` about signing in, `api` would ask of that issuer too:
  the pool's pages are called as the page would call them.
* It does not say of a request by which domain it came: start.py adds that.
* It does not rotate the refresh tokens of user pools.
"""

import hashlib
import io
import json
import pathlib
import zipfile

import yaml

from emulator import REGION, wait_for

UNKNOWN = {"AWS::Logs::QueryDefinition", "AWS::S3::BucketPolicy"}


class Loader(yaml.SafeLoader):
    """CloudFormation's YAML: short tags in their long form, dates as text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def intrinsic(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name in ("Ref", "Condition"):
        return {name: value}
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{name}": value}


Loader.add_multi_constructor("!", intrinsic)


def zipped(bootstrap):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, bootstrap.read_bytes())
    return file.getvalue()


def is_known(resource):
    over_several = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return resource["Type"] not in UNKNOWN and not over_several


class Stack:
    def __init__(self, emulator, name, template, built):
        self.emulator, self.name = emulator, name
        self.built = pathlib.Path(built)
        self.template = yaml.load(pathlib.Path(template).read_text(), Loader)
        # What an alarm is called in the dashboard stays, although it is not there.
        left_out = [key for key, of in self.template["Resources"].items() if not is_known(of)]
        for key in left_out:
            del self.template["Resources"][key]
        body = self.template["Resources"]["OperationsDashboard"]["Properties"]["DashboardBody"]
        for key in left_out:
            body["Fn::Sub"] = body["Fn::Sub"].replace(f"${{{key}.Arn}}", key)
        del self.template["Globals"]["Function"]["CodeUri"]
        self.s3, self.bucket = emulator.client("s3"), f"{name}-code"
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self.cloudformation = emulator.client("cloudformation")
        self.exists = False

    def put(self, name, content):
        key = f"{name}/{hashlib.sha256(content).hexdigest()}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        return key

    def deploy(self, parameters):
        """Creates the stack, or updates it; what changed."""
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == "AWS::Serverless::Function":
                key = self.put(name, zipped(self.built / name / "bootstrap"))
                resource["Properties"]["CodeUri"] = {"Bucket": self.bucket, "Key": key}
        key = self.put("template", json.dumps(self.template).encode())
        change_set = f"change-{'update' if self.exists else 'create'}"
        self.cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName=change_set,
            ChangeSetType="UPDATE" if self.exists else "CREATE",
            TemplateURL=f"https://s3.{REGION}.amazonaws.com/{self.bucket}/{key}",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
            ],
        )
        made = wait_for("the change set", 60, lambda: self.change_set(change_set))
        self.cloudformation.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        stack = wait_for("the deployment", 120, self.settled)
        if not stack["StackStatus"].endswith("_COMPLETE") or "ROLLBACK" in stack["StackStatus"]:
            events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
            failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
            raise SystemExit(f"{stack['StackStatus']}: {failed}")
        self.exists = True
        self.outputs = {of["OutputKey"]: of["OutputValue"] for of in stack["Outputs"]}
        self.mend()
        return {change["ResourceChange"]["LogicalResourceId"] for change in made["Changes"]}

    def change_set(self, name):
        made = self.cloudformation.describe_change_set(StackName=self.name, ChangeSetName=name)
        if made["Status"] == "FAILED":
            raise SystemExit(f"the change set failed: {made.get('StatusReason')}")
        return made if made["Status"] == "CREATE_COMPLETE" else None

    def settled(self):
        stack = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    def mend(self):
        """What the emulator's CloudFormation leaves out."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        self.ids = {
            of["LogicalResourceId"]: of["PhysicalResourceId"]
            for page in pages
            for of in page["StackResourceSummaries"]
        }
        dynamodb, gateway = self.emulator.client("dynamodb"), self.emulator.client("apigateway")
        for name, resource in self.template["Resources"].items():
            properties = resource.get("Properties", {})
            if "TimeToLiveSpecification" in properties:
                dynamodb.update_time_to_live(
                    TableName=self.ids[name],
                    TimeToLiveSpecification=properties["TimeToLiveSpecification"],
                )
            for kind, response in properties.get("GatewayResponses", {}).items():
                headers = response.get("ResponseParameters", {}).get("Headers", {})
                # A page of another origin may read nothing here: AllowedOrigins is empty.
                headers = {
                    name: value
                    for name, value in headers.items()
                    if value != {"Fn::If": ["ShareAcrossOrigins", "'*'", {"Ref": "AWS::NoValue"}]}
                }
                status = {"statusCode": str(response["StatusCode"])} if "StatusCode" in response else {}
                gateway.put_gateway_response(
                    restApiId=self.ids[name],
                    responseType=kind,
                    responseTemplates=response["ResponseTemplates"],
                    responseParameters={
                        f"gatewayresponse.header.{header}": value for header, value in headers.items()
                    },
                    **status,
                )
        api = self.ids["DashboardApi"]
        self.add_proxy(gateway, api)
        gateway.create_deployment(restApiId=api, stageName="v1")
        self.api = f"{self.emulator.url}/_aws/execute-api/{api}/v1"

    def add_proxy(self, gateway, api):
        """Adds ANY of the proxy, as the function's other routes are."""
        resources = gateway.get_resources(restApiId=api, limit=500)["items"]
        ids = {resource["path"]: resource["id"] for resource in resources}
        integration = "/api/platforms/{platform}/{orgId}/{integrationId}"
        like = {"restApiId": api, "resourceId": ids[f"{integration}/access-token"], "httpMethod": "POST"}
        proxy = {"restApiId": api, "resourceId": ids[integration + "/proxy/{path+}"], "httpMethod": "ANY"}
        method = gateway.get_method(**like)
        gateway.put_method(
            **proxy, authorizationType=method["authorizationType"], authorizerId=method["authorizerId"]
        )
        gateway.put_integration(
            **proxy, type="AWS_PROXY", integrationHttpMethod="POST",
            uri=method["methodIntegration"]["uri"],
        )
