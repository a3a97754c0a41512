//! A person's consent: sends them to the platform's page, exchanges the code that they come back
//! with, and stores the grant if it is the account that it was and allows what it did.
//!
//! The exchange needs the client secret, and the question whose grant it is needs the token: so
//! it runs here, where both may be. The API for people has neither.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::aws::tables::{
    Action, AuditTable, ConsentsTable, IntegrationsTable, MemberAction, OrganizationsTable,
};
use shared::aws::token_cipher::{EncryptionContext, SealedField, TokenCipher};
use shared::domain::account::Account;
use shared::domain::consent::{
    Begin, Confirm, Consent, ConsentOutcome, ConsentRequest, Finish, LIFETIME, Question,
    UnconfirmedGrant,
};
use shared::domain::consent_refusal::ConsentRefusal;
use shared::domain::digest;
use shared::domain::integration::Integration;
use shared::domain::refresh::Ends;
use shared::oauth::{ConsentCode, Granted, OAuthClient};
use shared::platforms::consent::{Visit, email};
use shared::registration::{Change, Origin, Registration};
use shared::runtime::random_id;
use shared::{Clock, IntegrationKey};

use crate::error::ConsentError;
use crate::platform_secret::PlatformSecret;

/// The generation in the encryption context of a grant that is not confirmed: no integration's
/// credential has it.
const UNCONFIRMED: u64 = 0;

#[derive(Debug, Clone)]
pub(crate) struct Consents {
    pub(crate) consents: ConsentsTable,
    pub(crate) integrations: IntegrationsTable,
    pub(crate) organizations: OrganizationsTable,
    pub(crate) cipher: TokenCipher,
    pub(crate) oauth: OAuthClient,
    pub(crate) secret: PlatformSecret,
    pub(crate) audit: AuditTable,
    pub(crate) clock: Clock,
}

impl Consents {
    pub(crate) async fn take(
        &self,
        request: ConsentRequest,
    ) -> Result<ConsentOutcome, ConsentError> {
        match request {
            ConsentRequest::Begin(begin) => self.begin(begin).await,
            ConsentRequest::Finish(finish) => self.finish(finish).await,
            ConsentRequest::Confirm(confirm) => self.confirm(confirm).await,
        }
    }

    async fn begin(&self, begin: Begin) -> Result<ConsentOutcome, ConsentError> {
        let Begin {
            integration,
            platform,
            user,
            browser,
            redirect_uri,
        } = begin;
        let found = self.integrations.find(&integration).await?;
        let stored = found.row().map(|row| row.platform);
        let is_other = stored.is_some() && platform.is_some() && stored != platform;
        let Some(platform) = stored.or(platform).filter(|_| !is_other) else {
            return Ok(refusal(ConsentRefusal::Platform, Some(integration)));
        };
        let (state, verifier) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(digest::sha256_of(verifier.as_bytes()));
        let clients = self.secret.clients().await?;
        let before = found.row();
        let had_refresh_token = before.map(|row| {
            // A disconnected one has no tokens, and still the end of one.
            row.credential.refresh_token.is_some() || row.expiry.refresh_token.is_some()
        });
        let visit = Visit {
            redirect_uri: &redirect_uri,
            state: &state,
            code_challenge: &challenge,
            email: before.and_then(|row| email(&row.account.username)),
        };
        let url = self
            .oauth
            .consent_url(platform, had_refresh_token, &clients, visit);
        let Some(url) = url else {
            return Ok(refusal(ConsentRefusal::NotSetUp, Some(integration)));
        };
        let consent = Consent {
            id: id_of(&state),
            integration,
            platform,
            had_refresh_token,
            user,
            browser,
            redirect_uri,
            verifier,
            expires_at: self.clock.now() + LIFETIME,
            steps: 0,
            grant: None,
        };
        self.consents.store(&consent).await?;
        Ok(ConsentOutcome::Begun { url })
    }

    async fn finish(&self, finish: Finish) -> Result<ConsentOutcome, ConsentError> {
        let now = self.clock.now();
        let found = self.consents.find(&id_of(&finish.state)).await?;
        let begun = found.filter(|consent| consent.steps == 0 && now < consent.expires_at);
        let Some(mut consent) = begun else {
            return Ok(refusal(ConsentRefusal::Unknown, None));
        };
        let integration = Some(consent.integration.clone());
        if consent.browser != finish.browser {
            return Ok(refusal(ConsentRefusal::Foreign, integration));
        }
        consent.steps = 1;
        if !self.consents.store(&consent).await? {
            return Ok(refusal(ConsentRefusal::Unknown, None));
        }
        if !self.may_still_manage(&consent).await? {
            return Ok(refusal(ConsentRefusal::Forbidden, integration));
        }
        let platform = consent.platform;
        let had_refresh_token = consent.had_refresh_token;
        let Some(code) = finish.code else {
            // Who comes back with nothing has turned round there.
            let reason = finish
                .error
                .as_deref()
                .map_or(ConsentRefusal::Denied, |error| {
                    platform.consent(had_refresh_token).refusal(error)
                });
            return Ok(refusal(reason, integration));
        };
        let code = ConsentCode {
            code: code.into(),
            verifier: consent.verifier.clone().into(),
            redirect_uri: consent.redirect_uri.clone(),
        };
        let clients = self.secret.clients().await?;
        let granted = self
            .oauth
            .exchange(platform, had_refresh_token, &clients, &code);
        let mut granted = match granted.await {
            Ok(granted) => granted,
            Err(failure) => {
                let Err(unsuccessful) = failure.result;
                tracing::warn!(
                    %platform,
                    verdict = unsuccessful.verdict.name(),
                    code = unsuccessful.code,
                    request_id = failure.request_id,
                    "the code of a consent brought no grant"
                );
                let reason = ConsentRefusal::of_exchange(&unsuccessful.verdict);
                return Ok(refusal(reason, integration));
            }
        };
        let found = self.integrations.find(&consent.integration).await?;
        let before = found.row();
        let is_identified = !granted.accounts.is_empty();
        match before {
            _ if is_identified => {}
            // The person may know that it is the same.
            Some(before) => granted.accounts.push(before.account.clone()),
            None => {
                let reason = ConsentRefusal::of_identity(granted.unnamed.as_ref());
                return Ok(refusal(reason, integration));
            }
        }
        let grant = self.seal(&consent, granted, is_identified).await?;
        match grant.account_for(before) {
            Ok(account) => self.connect(&consent, &grant, account).await,
            Err(missing_scopes) => {
                let question = Question {
                    consent: consent.id.clone(),
                    is_identified,
                    accounts: grant.accounts.clone(),
                    before: before.map(|before| before.account.clone()),
                    missing_scopes,
                };
                consent.steps = 2;
                consent.grant = Some(grant);
                self.consents.store(&consent).await?;
                Ok(ConsentOutcome::Asks {
                    integration: consent.integration,
                    question,
                })
            }
        }
    }

    async fn confirm(&self, confirm: Confirm) -> Result<ConsentOutcome, ConsentError> {
        let Confirm {
            integration,
            consent: id,
            user,
            account_id,
        } = confirm;
        let now = self.clock.now();
        let asked = self.consents.find(&id).await?;
        let asked = asked.filter(|consent| consent.steps == 2 && now < consent.expires_at);
        let Some(mut consent) = asked else {
            return Ok(refusal(ConsentRefusal::Unknown, Some(integration)));
        };
        if consent.user != user || consent.integration != integration {
            return Ok(refusal(ConsentRefusal::Foreign, Some(integration)));
        }
        let Some(grant) = consent.grant.take() else {
            return Ok(refusal(ConsentRefusal::Unknown, Some(integration)));
        };
        let mut accounts = grant.accounts.iter();
        let Some(account) = accounts.find(|account| account.id == account_id).cloned() else {
            return Ok(refusal(ConsentRefusal::NoAccount, Some(integration)));
        };
        consent.steps = 3;
        if !self.consents.store(&consent).await? {
            return Ok(refusal(ConsentRefusal::Unknown, Some(integration)));
        }
        self.connect(&consent, &grant, account).await
    }

    /// Whether whoever began a consent may still manage integrations: that may have changed while
    /// they were away.
    async fn may_still_manage(&self, consent: &Consent) -> Result<bool, ConsentError> {
        let Consent {
            user, integration, ..
        } = consent;
        let membership = self.organizations.membership(&integration.org_id, user);
        let membership = membership.await?;
        Ok(membership.is_some_and(|membership| membership.may_manage()))
    }

    async fn seal(
        &self,
        consent: &Consent,
        granted: Granted,
        is_identified: bool,
    ) -> Result<UnconfirmedGrant, ConsentError> {
        let now = self.clock.now();
        let Granted {
            response,
            probed,
            accounts,
            unnamed: _,
        } = granted;
        let platform = consent.platform;
        let tokens = response.tokens;
        let has_refresh_token = tokens.refresh_token.is_some();
        let model = platform.refresh_model(has_refresh_token, true);
        let lives = response.lifetimes;
        let (lives, _) = lives.plausible(platform, model, has_refresh_token);
        let probed = probed.map(|probed| probed.plausible(platform, now).0);
        let end = |ends: Ends| match ends {
            Ends::At(end) => Some(end),
            Ends::Never | Ends::NotSaid => None,
        };
        let probed_end = probed.as_ref().and_then(|probed| end(probed.access));
        let never = probed
            .as_ref()
            .is_some_and(|probed| probed.access == Ends::Never);
        let access_expires_at = lives.access.map(|life| now + life).filter(|_| !never);
        let scopes = match (lives.scopes, &probed) {
            (scopes, Some(probed)) if scopes.is_empty() => probed.scopes.clone(),
            (scopes, _) => scopes,
        };
        let names_scopes = response.names_scopes || !scopes.is_empty();
        let refresh_token = match &tokens.refresh_token {
            Some(token) => {
                let context = context(&consent.integration, SealedField::RefreshToken);
                Some(self.cipher.seal(context, token).await?)
            }
            None => None,
        };
        let context = context(&consent.integration, SealedField::AccessToken);
        Ok(UnconfirmedGrant {
            access_token: self.cipher.seal(context, &tokens.access_token).await?,
            refresh_token,
            issued_at: now,
            access_expires_at: probed_end.or(access_expires_at),
            refresh_expires_at: lives.refresh.map(|life| now + life),
            data_access_expires_at: probed.and_then(|probed| end(probed.data_access)),
            scopes: names_scopes.then_some(scopes),
            accounts,
            is_identified,
        })
    }

    /// Stores a grant as the integration's credential. It wins over a refresh that is under way.
    async fn connect(
        &self,
        consent: &Consent,
        grant: &UnconfirmedGrant,
        account: Account,
    ) -> Result<ConsentOutcome, ConsentError> {
        let key = &consent.integration;
        let now = self.clock.now();
        let access = context(key, SealedField::AccessToken);
        let access_token = self.cipher.open(access, &grant.access_token).await?;
        let refresh_token = match &grant.refresh_token {
            Some(sealed) => {
                let refresh = context(key, SealedField::RefreshToken);
                Some(self.cipher.open(refresh, sealed).await?)
            }
            None => None,
        };
        let found = self.integrations.find(key).await?;
        let registration = Registration {
            platform: consent.platform,
            username: username(&account, found.row()),
            account_id: account.id,
            access_token: Some(access_token),
            refresh_token,
            token_issued_at: Some(grant.issued_at),
            token_expires_at: grant.access_expires_at,
            refresh_token_expires_at: grant.refresh_expires_at,
            data_access_expires_at: grant.data_access_expires_at,
            scopes: grant.scopes.clone().unwrap_or_default(),
            metadata: None,
        };
        let stored = registration
            .store(
                key,
                &consent.user,
                Origin::Issued,
                &self.integrations,
                &self.cipher,
                now,
            )
            .await?;
        let action = match stored.change {
            Change::Created => Action::Registered,
            Change::Replaced | Change::Unchanged => Action::Replaced,
        };
        let by = consent.user.clone();
        let recorded = self
            .audit
            .record_action(key.clone(), MemberAction { action, by });
        if let Err(error) = recorded.await {
            tracing::error!(%error, "the audit row of a consent could not be written");
        }
        Ok(ConsentOutcome::Connected {
            integration: key.clone(),
        })
    }
}

/// The platform's name of the account, or the one that it had.
fn username(account: &Account, before: Option<&Integration>) -> String {
    let same = before.filter(|before| before.account.id == account.id);
    match (&*account.username, same) {
        ("", Some(before)) => before.account.username.clone(),
        ("", None) => account.id.clone(),
        (username, _) => username.to_owned(),
    }
}

const fn refusal(reason: ConsentRefusal, integration: Option<IntegrationKey>) -> ConsentOutcome {
    ConsentOutcome::Refused {
        reason,
        integration,
    }
}

const fn context(key: &IntegrationKey, field: SealedField) -> EncryptionContext<'_> {
    EncryptionContext {
        org_id: &key.org_id,
        integration_id: &key.integration_id,
        field,
        generation: UNCONFIRMED,
    }
}

/// Returns the id of the consent with this state: whoever reads the table learns no state.
fn id_of(state: &str) -> String {
    digest::hex128(&[state])
}

/// Returns 256 random bits in letters that need no encoding.
fn random() -> String {
    (0..4).map(|_| random_id()).collect()
}
