//! Checks each thing that the algorithm takes for granted about DynamoDB on its own.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::Engine;

type Item = HashMap<String, AttributeValue>;

struct Probe {
    engine: Engine,
    client: Client,
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn numbers(of: &[(&str, i64)]) -> Item {
    of.iter()
        .map(|(name, value)| ((*name).to_owned(), number(*value)))
        .collect()
}

fn without_key(mut item: Item) -> Item {
    item.remove("quota_key");
    item
}

impl Probe {
    async fn new() -> Self {
        let engine = Engine::start().await;
        let client = engine.patient();
        Self { engine, client }
    }

    async fn put(&self, attributes: &[(&str, i64)]) {
        let mut item = numbers(attributes);
        item.insert(
            "quota_key".to_owned(),
            AttributeValue::S("probe".to_owned()),
        );
        let put = self.client.put_item().table_name(self.engine.table());
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// Returns the item after the update or, if its condition failed, before it.
    async fn update(
        &self,
        update: &str,
        condition: &str,
    ) -> Result<Item, (UpdateItemError, Option<Item>)> {
        let typed = condition.contains(":type");
        let result = self
            .client
            .update_item()
            .table_name(self.engine.table())
            .key("quota_key", AttributeValue::S("probe".to_owned()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_values(Some(
                [
                    (":1", number(1)),
                    (":type", AttributeValue::S("N".to_owned())),
                ]
                .into_iter()
                // A value that no expression uses is refused.
                .filter(|(name, _)| *name == ":1" || typed)
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(answer) => Ok(without_key(answer.attributes.unwrap())),
            Err(error) => {
                let error = error.into_service_error();
                let old = match &error {
                    UpdateItemError::ConditionalCheckFailedException(refused) => {
                        refused.item.clone().map(without_key)
                    }
                    _ => None,
                };
                Err((error, old))
            }
        }
    }

    /// Whether a condition holds for `attributes`.
    async fn holds(&self, attributes: &[(&str, i64)], condition: &str) -> bool {
        self.put(attributes).await;
        match self.update("SET touched=:1", condition).await {
            Ok(_) => true,
            Err((UpdateItemError::ConditionalCheckFailedException(_), _)) => false,
            Err((error, _)) => panic!("{condition}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_comparison_with_a_missing_attribute_is_false_inside_not_too() {
    let probe = Probe::new().await;
    let item = [("n", 5), ("lp9_60", 3), ("p0a", 3), ("p0b", 4)];
    for (condition, expected) in [
        ("p0missing<=lp9_60", false),
        ("p0missing>lp9_60", false),
        ("NOT (p0missing<=lp9_60)", true),
        ("NOT (p0b<=lp8_60)", true),
        ("NOT (p0missing<=lp8_60)", true),
        ("NOT (p0missing<=lp9_60 OR p0b<=lp9_60)", true),
        ("NOT (p0missing<=lp9_60 OR p0a<=lp9_60)", false),
        ("NOT (p0a<=lp9_60 OR p0missing<=lp9_60)", false),
        (
            "attribute_exists(n) AND attribute_exists(lp9_60) AND NOT (p0missing<=lp9_60 OR p0b<=lp9_60)",
            true,
        ),
        ("attribute_exists(lp8_60) AND NOT (p0b<=lp9_60)", false),
    ] {
        assert_eq!(probe.holds(&item, condition).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn attributes_compare_with_each_other_as_numbers() {
    let probe = Probe::new().await;
    for (snapshot, lag) in [
        (3, 3),
        (3, 4),
        (4, 3),
        (9, 10),
        (10, 9),
        (100, 99),
        (0, -60),
        (0, 0),
        (5, -1),
        (999_999_999_999, 1_000_000_000_000),
    ] {
        let item = [("p0a", snapshot), ("lp9_60", lag)];
        let holds = probe.holds(&item, "p0a<=lp9_60").await;
        assert_eq!(holds, snapshot <= lag, "{snapshot} <= {lag}");
    }
}

#[tokio::test]
async fn a_type_can_be_asked_for_and_is_not_that_of_a_missing_attribute() {
    let probe = Probe::new().await;
    let item = [("n", 5), ("lp9_60", -4)];
    for (condition, expected) in [
        ("attribute_type(n,:type)", true),
        ("attribute_type(lp9_60,:type)", true),
        ("attribute_type(lp8_60,:type)", false),
        ("attribute_type(quota_key,:type)", false),
        ("NOT (attribute_type(lp8_60,:type))", true),
    ] {
        assert_eq!(probe.holds(&item, condition).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn right_hand_sides_are_read_before_the_update() {
    let probe = Probe::new().await;
    for update in [
        "SET n=n+:1,p0a=if_not_exists(p0a,n),lp9_60=lp9_60+:1",
        "SET p0a=if_not_exists(p0a,n),lp9_60=lp9_60+:1,n=n+:1",
    ] {
        probe.put(&[("n", 5), ("lp9_60", -55)]).await;
        let first = probe.update(update, "attribute_exists(n)").await.unwrap();
        assert_eq!(
            first,
            numbers(&[("n", 6), ("lp9_60", -54), ("p0a", 5)]),
            "{update}"
        );
        // Written once, never changed.
        let second = probe.update(update, "attribute_exists(n)").await.unwrap();
        assert_eq!(
            second,
            numbers(&[("n", 7), ("lp9_60", -53), ("p0a", 5)]),
            "{update}"
        );
    }
}

#[tokio::test]
async fn removing_what_is_absent_is_fine() {
    let probe = Probe::new().await;
    probe.put(&[("n", 5), ("p0b", 2)]).await;
    let update = "SET n=n+:1 REMOVE p0a,p0b,p0c";
    let item = probe.update(update, "attribute_exists(n)").await.unwrap();
    assert_eq!(item, numbers(&[("n", 6)]));
}

#[tokio::test]
async fn the_old_item_comes_back_when_the_condition_fails() {
    let probe = Probe::new().await;
    // No item: none comes back, and none is made.
    let (_, old) = probe
        .update("SET n=:1", "attribute_exists(n)")
        .await
        .unwrap_err();
    assert_eq!(old, None);
    let stored = [
        ("n", 5),
        ("lp9_60", -55),
        ("p0a", 0),
        ("ttl", 1_800_000_000),
    ];
    probe.put(&stored).await;
    let (error, old) = probe
        .update("SET n=n+:1,p0b=n", "attribute_exists(lp8_60)")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ConditionalCheckFailedException"));
    assert_eq!(old, Some(numbers(&stored)));
}

#[tokio::test]
async fn names_of_our_form_need_no_placeholder_and_reserved_ones_do() {
    let probe = Probe::new().await;
    // Limit and length at both ends of what a policy may have; epochs of any spelling.
    for name in [
        "n",
        "lp1_60",
        "lp1000000000_31622400",
        "lb50_60",
        "p00",
        "p0zzzzzz",
        "p0add",
        "p0set",
        "p0or",
        "b0and",
        "b0fw9m12",
    ] {
        probe.put(&[]).await;
        let item = probe
            .update(
                &format!("SET {name}=:1"),
                &format!("attribute_not_exists({name})"),
            )
            .await
            .unwrap_or_else(|(error, _)| panic!("{name}: {error:?}"));
        assert_eq!(item, numbers(&[(name, 1)]));
        let condition = format!("attribute_exists({name}) AND NOT ({name}<=lp9_60)");
        assert!(probe.holds(&[(name, 1)], &condition).await, "{name}");
    }
    // This engine does look: the time to live's name is reserved.
    let (error, _) = probe
        .update("SET ttl=:1", "attribute_not_exists(n)")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
}
