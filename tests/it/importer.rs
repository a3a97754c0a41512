//! The importer of a local stack.

use local::Environment;
use shared::Clock;
use shared::aws::tables::{IntegrationsTable, OrganizationsTable};
use shared::aws::token_cipher::TokenCipher;
use shared::registration::import::Importer;

pub(crate) fn importer(environment: &Environment, clock: &Clock) -> Importer {
    let sdk = environment.sdk_config();
    let variables = environment.variables("CheckTokensFunction");
    let notify = environment.variables("NotifyFunction");
    let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
    Importer {
        integrations: IntegrationsTable::new(
            dynamodb.clone(),
            variables.required("INTEGRATIONS_TABLE").unwrap(),
        ),
        organizations: OrganizationsTable::new(
            dynamodb,
            notify.required("ORGANIZATIONS_TABLE").unwrap(),
        ),
        sealer: TokenCipher::new(
            aws_sdk_kms::Client::new(&sdk),
            variables.required("TOKEN_KEY_ID").unwrap(),
            clock.clone(),
        ),
        clock: clock.clone(),
    }
}
