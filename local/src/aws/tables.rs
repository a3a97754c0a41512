//! Creates the template's tables.

use anyhow::{Context, bail};
use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::actions::update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest};
use serde_json::{Value, json};

use crate::addresses::Addresses;
use crate::template::{REGION, Table};

/// Creates missing tables on the embedded engine. Existing ones must match the template.
///
/// # Errors
/// If the engine refuses a table, or a stored one has other keys.
pub(crate) fn create_missing(database: &Database, tables: &[Table]) -> anyhow::Result<()> {
    for table in tables {
        let described = database.describe_table(DescribeTableRequest {
            table_name: table.name.clone(),
        });
        match described {
            Ok(description) => {
                let stored = serde_json::to_value(description)?;
                if shape(&stored["Table"]) != shape(&table.create) {
                    bail!(
                        "table {} was made with other keys or indexes than the template has now; \
                         start with a fresh data directory and import again",
                        table.name
                    );
                }
            }
            Err(dynoxide::DynoxideError::ResourceNotFoundException(_)) => create(database, table)?,
            Err(error) => bail!("cannot look up table {}: {error}", table.name),
        }
    }
    Ok(())
}

/// Creates missing tables on a DynamoDB that runs elsewhere, and leaves existing ones as
/// they are. Rows expire only where `expiring` says so: DynamoDB goes by real time,
/// and would remove rows that live by a frozen clock.
///
/// # Errors
/// If DynamoDB does not answer, or refuses a table.
pub(crate) async fn create_missing_at(
    addresses: &Addresses,
    tables: &[Table],
    expiring: bool,
) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let call = async |operation: &str, body: &Value| -> anyhow::Result<Option<String>> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/20261124/{REGION}/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0",
            addresses.access_key
        );
        let answer = http
            .post(&addresses.dynamodb)
            .header("authorization", authorization) // read for the key, not checked
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .body(body.to_string())
            .send()
            .await
            .with_context(|| format!("no DynamoDB answers at {}", addresses.dynamodb))?;
        let ok = answer.status().is_success();
        let text = answer.text().await?;
        Ok(Some(text).filter(|_| !ok))
    };
    for table in tables {
        let refused = call("CreateTable", &table.create).await?;
        if refused
            .as_ref()
            .is_some_and(|text| text.contains("ResourceInUseException"))
        {
            continue;
        }
        let ttl = json!({"TableName": table.name, "TimeToLiveSpecification":
                         {"Enabled": true, "AttributeName": table.ttl}});
        let refused = match (refused, &table.ttl) {
            (None, Some(_)) if expiring => call("UpdateTimeToLive", &ttl).await?,
            (refused, _) => refused,
        };
        if let Some(text) = refused {
            bail!(
                "cannot create table {} at {}: {text}",
                table.name,
                addresses.dynamodb
            );
        }
    }
    Ok(())
}

fn create(database: &Database, table: &Table) -> anyhow::Result<()> {
    let context = || format!("cannot create table {}", table.name);
    let request: CreateTableRequest =
        serde_json::from_value(table.create.clone()).with_context(context)?;
    database.create_table(request).with_context(context)?;
    if let Some(attribute) = &table.ttl {
        let request = UpdateTimeToLiveRequest {
            table_name: table.name.clone(),
            time_to_live_specification: TimeToLiveSpecification {
                attribute_name: attribute.clone(),
                enabled: true,
            },
        };
        database
            .update_time_to_live(request)
            .with_context(context)?;
    }
    Ok(())
}

/// Returns what must not differ: the keys, and each index's keys and projection.
fn shape(table: &Value) -> (Value, Vec<(String, Value, Value)>) {
    let indexes = table["GlobalSecondaryIndexes"].as_array();
    let mut indexes: Vec<_> = indexes
        .into_iter()
        .flatten()
        .map(|index| {
            let name = index["IndexName"].as_str().unwrap_or_default().to_owned();
            let projection = index["Projection"]["ProjectionType"].clone();
            (name, index["KeySchema"].clone(), projection)
        })
        .collect();
    indexes.sort_by(|a, b| a.0.cmp(&b.0));
    (table["KeySchema"].clone(), indexes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::inputs;
    use crate::template::{EMBEDDED, Template};

    #[test]
    fn the_templates_tables_are_made_once_and_must_stay_the_same() {
        let template = Template::parse(EMBEDDED).unwrap();
        let mut tables = template.resolve(&inputs()).unwrap().tables;
        let database = Database::memory().unwrap();
        create_missing(&database, &tables).unwrap();
        create_missing(&database, &tables).unwrap();
        let table_name = "warden-integrations".to_owned();
        let request = DescribeTableRequest { table_name };
        let made = serde_json::to_value(database.describe_table(request).unwrap()).unwrap();
        let indexes = made["Table"]["GlobalSecondaryIndexes"].as_array().unwrap();
        assert_eq!(indexes.len(), 2);
        let ttl = database
            .describe_time_to_live(
                dynoxide::actions::describe_time_to_live::DescribeTimeToLiveRequest {
                    table_name: "warden-audit".to_owned(),
                },
            )
            .unwrap();
        let ttl = serde_json::to_value(ttl).unwrap();
        assert_eq!(ttl["TimeToLiveDescription"]["AttributeName"], "ttl");

        tables[0].create["KeySchema"][0]["AttributeName"] = "other".into();
        let error = create_missing(&database, &tables).unwrap_err().to_string();
        assert!(error.contains("fresh data directory"), "{error}");
    }
}
