use serde_json::json;

use super::document::merged;
use super::*;

pub(crate) fn inputs() -> Inputs {
    Inputs {
        parameters: [
            ("AuthIssuer", "http://127.0.0.1:1"),
            ("AuthAudience", "warden-local"),
            ("PlatformEndpoints", "{}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        sqs: "http://127.0.0.1:2".to_owned(),
    }
}

fn error_of(yaml: &str) -> String {
    match Template::parse(yaml).and_then(|template| template.resolve(&inputs())) {
        Ok(_) => panic!("accepted:\n{yaml}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_stacks_own_template_resolves() {
    let model = Template::parse(EMBEDDED)
        .unwrap()
        .resolve(&inputs())
        .unwrap();
    assert_eq!(model.tables.len(), 5);
    let check = &model.functions["CheckTokensFunction"];
    assert_eq!(check.binary, "check-tokens");
    assert_eq!(check.timeout.as_secs(), 300);
    assert_eq!(check.variables["RUST_LOG"], "info");
    assert_eq!(check.variables["INTEGRATIONS_TABLE"], "warden-integrations");
    assert_eq!(
        check.variables["ALERTS_TOPIC_ARN"],
        "arn:aws:sns:us-east-1:000000000000:warden-alerts"
    );
    assert_eq!(model.buckets, [check.variables["FALLBACK_BUCKET"].as_str()]);
    assert_eq!(model.topics[0].subscriptions[0].function, "NotifyFunction");
    assert_eq!(model.schedules.len(), 2);
    // Named, HEAD, all other methods of these paths, and the proxy.
    assert_eq!(model.api.routes.len(), 39 + 25 + 35 + 1);
    let health = model.api.routes.iter().find(|r| r.path == "/health");
    assert_eq!(health.unwrap().authorizer, None);
}

#[test]
fn every_path_has_its_methods_head_where_get_is_and_a_way_for_all_others() {
    let model = Template::parse(EMBEDDED).unwrap().resolve(&inputs());
    let routes = model.unwrap().api.routes;
    for route in &routes {
        let of = |method: &str| {
            let mut same_path = routes.iter().filter(|other| other.path == route.path);
            same_path.find(|other| other.method == method)
        };
        // The authorizer judges every named method of the API, and none that `ANY` catches; but of
        // the proxy all methods are one. The page and its sign-in are for everybody.
        let is_proxy = route.path.ends_with("/proxy/{path+}");
        let is_api = route.path.starts_with("/api/");
        let open = !is_api || route.method == "ANY" && !is_proxy;
        assert_eq!(route.authorizer.is_none(), open, "{route:?}");
        assert!(of("ANY").is_some(), "{route:?}");
        let of_get = of("GET").map(|get| (&get.function, &get.authorizer));
        let of_head = of("HEAD").map(|head| (&head.function, &head.authorizer));
        assert_eq!(of_get, of_head, "{route:?}");
        let twins = |other: &&Route| (&other.path, &other.method) == (&route.path, &route.method);
        assert_eq!(routes.iter().filter(twins).count(), 1, "{route:?}");
    }
}

#[test]
fn the_gateway_may_invoke_every_function_of_a_route() {
    let model = Template::parse(EMBEDDED).unwrap().resolve(&inputs());
    for route in model.unwrap().api.routes {
        let permission = format!(
            "Action: lambda:InvokeFunction\n      FunctionName: !Ref {}\n      \
             Principal: apigateway.amazonaws.com\n",
            route.function
        );
        assert_eq!(EMBEDDED.matches(&permission).count(), 1, "{route:?}");
    }
}

#[test]
fn the_stage_says_who_signs_people_in_and_for_whom_tokens_are() {
    let template = Template::parse(EMBEDDED).unwrap();
    let variables = |client: &str| {
        let mut inputs = inputs();
        let parameter = ("SignInClientId".to_owned(), client.to_owned());
        inputs.parameters.extend([parameter]);
        json!(template.resolve(&inputs).unwrap().api.stage_variables)
    };
    // API Gateway takes no empty value.
    assert_eq!(variables(""), json!({"auth_audience": "warden-local"}));
    let both = json!({"auth_audience": "warden-local", "sign_in_client_id": "page"});
    assert_eq!(variables("page"), both);
}

#[test]
fn schedules_that_are_disabled_do_not_tick() {
    let template = Template::parse(EMBEDDED).unwrap();
    let schedules = |state: &str| {
        let mut inputs = inputs();
        let parameter = ("Schedules".to_owned(), state.to_owned());
        inputs.parameters.extend([parameter]);
        template.resolve(&inputs).map(|model| model.schedules.len())
    };
    assert_eq!(schedules("ENABLED").unwrap(), 2);
    assert_eq!(schedules("DISABLED").unwrap(), 0);
    assert!(schedules("Disabled").is_err());
}

#[test]
fn what_is_unknown_is_named_by_its_place() {
    let cases = [
        (
            "Mappings: {}",
            "template: Mappings: this section is not supported",
        ),
        (
            "Resources: {Wall: {Type: 'AWS::WAFv2::WebACL'}}",
            "template: Resources.Wall.Type: AWS::WAFv2::WebACL is not supported",
        ),
        (
            "Resources: {AlertsTopic: {Type: 'AWS::SNS::Topic', Properties: {Foo: 1}}}",
            "template: Resources.AlertsTopic.Properties.Foo: this property is not supported",
        ),
        (
            "Resources: {T: {Type: 'AWS::DynamoDB::Table', Properties: {KeySchema: [{Kind: X}]}}}",
            "template: Resources.T.Properties.KeySchema[0].Kind: this property is not supported",
        ),
        (
            "Resources: {T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !FindInMap [a, b, c]}}}",
            "template: Resources.T.Properties.TopicName: the intrinsic !FindInMap is not supported",
        ),
        (
            "Resources: {T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: {'Fn::Split': []}}}}",
            "template: Resources.T.Properties.TopicName: the intrinsic Fn::Split is not supported",
        ),
        (
            "Resources: {T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref Nobody}}}",
            "template: Resources.T.Properties.TopicName: refers to Nobody, which is neither",
        ),
        (
            "Parameters: {Unset: {Type: String}}",
            "template: Parameters.Unset: no value and no default",
        ),
        (
            "Resources: {T: {Type: 'AWS::SNS::Topic', Condition: Nowhere}}",
            "template: Resources.T.Condition: refers to Nowhere, which is no condition",
        ),
        (
            "Conditions: {A: !Condition B, B: !Not [!Condition A]}\n\
             Resources: {T: {Type: 'AWS::SNS::Topic', Condition: A}}",
            "template: Conditions.B: conditions refer to each other in a circle",
        ),
        (
            "Conditions: {A: !Equals [!GetAtt T.Arn, a]}\n\
             Resources: {T: {Type: 'AWS::SNS::Topic', Condition: A}}",
            "template: Conditions.A: conditions compare parameters and literals",
        ),
        (
            "Conditions: {Never: !Equals [a, b]}\n\
             Resources: {T: {Type: 'AWS::SNS::Topic', Condition: Never}, \
             Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Ref T}}}",
            "template: Resources.Q.Properties.QueueName: refers to T, which its condition leaves out",
        ),
        (
            "Resources: {A: {Type: 'AWS::Serverless::Api', Properties: {StageName: v1, DefinitionBody: \
             {paths: {/x: {get: {security: [{Who: []}], x-amazon-apigateway-integration: \
             {type: aws_proxy, uri: u}}}}}}}}",
            "template: Resources.A.Properties.DefinitionBody.paths./x.get.security: is no authorizer",
        ),
        (
            "Resources: {A: {Type: 'AWS::Serverless::Api', Properties: {StageName: v1, DefinitionBody: \
             {paths: {/x: {get: {x-amazon-apigateway-integration: {type: aws, uri: u}}}}}}}}",
            "template: Resources.A.Properties.DefinitionBody.paths./x.get.x-amazon-apigateway-integration.type: \
             only aws_proxy is supported",
        ),
        (
            "Resources: {A: {Type: 'AWS::Serverless::Api', Properties: {StageName: v1, DefinitionBody: \
             {paths: {/x: {get: {x-amazon-apigateway-integration: \
             {type: aws_proxy, uri: 'a/functions/arn:nobody/invocations'}}}}}}}}",
            "template: Resources.A.Properties.DefinitionBody.paths./x.get.x-amazon-apigateway-integration.uri: \
             no function has this ARN",
        ),
        (
            "Resources: {A: {Type: 'AWS::Serverless::Api', Properties: {StageName: v1, \
             Variables: {audience: 'warden machines'}}}}",
            "template: Resources.A.Properties.Variables.audience: API Gateway refuses this variable",
        ),
        (
            "Resources: {A: {Type: 'AWS::Serverless::Api', Properties: {StageName: v1, \
             Variables: {'the-audience': warden}}}}",
            "template: Resources.A.Properties.Variables.the-audience: API Gateway refuses",
        ),
        (
            "Resources: {A: {Type: 'AWS::Serverless::Api', Properties: {StageName: v1, \
             Variables: {audience: ''}}}}",
            "template: Resources.A.Properties.Variables.audience: API Gateway refuses",
        ),
        (
            "Globals: {Function: {Foo: 1}}",
            "template: Globals.Function.Foo: this property is not supported",
        ),
    ];
    for (yaml, expected) in cases {
        let error = error_of(yaml);
        assert!(error.starts_with(expected), "{yaml}\n{error}");
    }
}

#[test]
fn conditions_choose_resources_and_values() {
    let template = Template::parse(
        "Parameters: {Kind: {Type: String, Default: plain}}\n\
         Conditions:\n  Plain: !Equals [!Ref Kind, plain]\n  Other: !Not [!Condition Plain]\n\
         Resources:\n\
         \x20 A: {Type: 'AWS::SNS::Topic', Condition: Plain, Properties: \
         {TopicName: !If [Plain, !Sub '${Kind}-a', !Ref Nobody]}}\n\
         \x20 B: {Type: 'AWS::SNS::Topic', Condition: Other}\n\
         \x20 Q: {Type: 'AWS::SQS::Queue', Properties: {VisibilityTimeout: \
         !If [Other, 7, !Ref 'AWS::NoValue']}}\n",
    )
    .unwrap();
    let model = |kind: &str| {
        let inputs = Inputs {
            parameters: [("Kind".to_owned(), kind.to_owned())].into(),
            ..inputs()
        };
        template.resolve(&inputs).unwrap()
    };
    let (plain, other) = (model("plain"), model("other"));
    let arns = |model: &Model| -> Vec<_> {
        let names = model
            .topics
            .iter()
            .map(|topic| topic.arn.rsplit(':').next());
        names.map(|name| name.unwrap().to_owned()).collect()
    };
    assert_eq!(arns(&plain), ["plain-a"]);
    assert_eq!(arns(&other), ["warden-B"]);
    assert_eq!(plain.queues[0].visibility.as_secs(), 30);
    assert_eq!(other.queues[0].visibility.as_secs(), 7);
}

#[test]
fn globals_are_merged_by_sams_rule() {
    let global = json!({"A": {"x": 1, "y": 2}, "L": [1], "S": "global", "T": "kept"});
    let own = json!({"A": {"y": 3}, "L": [2], "S": "own"});
    assert_eq!(
        merged(&global, own),
        json!({"A": {"x": 1, "y": 3}, "L": [1, 2], "S": "own", "T": "kept"})
    );
}
