//! The credential fallback, with the permissions of the function.

use shared::aws::credential_fallback::CredentialFallback;
use shared::domain::integration::Sealed;
use shared::domain::refresh::{Lifetimes, Renewed};

use crate::world::{World, key};

#[tokio::test]
async fn what_is_in_the_fallback_is_found_until_it_is_removed() {
    let world = World::new().await;
    let sdk = world
        .stack
        .environment()
        .sdk_config_of("CheckTokensFunction");
    let fallback = CredentialFallback::new(
        &sdk,
        world.variable("CheckTokensFunction", "FALLBACK_BUCKET"),
    );
    let key = key("acme", "tw");
    let renewed = Renewed {
        rotated: true,
        access_token: Sealed(vec![1, 2, 3]),
        refresh_token: Some(Sealed(vec![4])),
        lifetimes: Lifetimes::default(),
        sent_at: world.now(),
    };
    assert_eq!(fallback.find(&key, 2).await.unwrap(), None);
    fallback.put(&key, 2, &renewed).await.unwrap();
    assert_eq!(fallback.find(&key, 2).await.unwrap(), Some(renewed));
    assert_eq!(fallback.find(&key, 3).await.unwrap(), None);
    fallback.remove(&key, 2).await.unwrap();
    assert_eq!(fallback.find(&key, 2).await.unwrap(), None);
}
