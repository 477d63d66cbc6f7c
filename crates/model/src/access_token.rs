//! Access tokens: a signed JWT (RFC 7519, HS512) for one credential, valid for 24 hours or until the
//! credential ends.
//!
//! The shape is the one that the browser SDK reads: claims in a fixed order, integer times, and a
//! payload of plain ASCII, so that `atob` can read its base64url text.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{self, CryptoProvider};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Generator, Secret, TelephonyCredentialId, Timestamp};

/// How long a token lives when its credential does not end sooner.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How far the clock of the node that signed may run ahead of ours.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// Longest text that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

const AUDIENCE_AND_ISSUER: &str = "telnyx_telephony";
const TYPE: &str = "access";
/// `{"alg":"HS512","typ":"JWT"}`: the only header we write and the only one we read.
const HEADER: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
const SIGNATURE_LEN: usize = 86;
const TEL_TOKEN_BYTES: usize = 48;

/// A key that signs tokens. It is stored before its first use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Names the key on our side; it never travels in a token.
    pub id: Uuid,
    secret: Secret<Vec<u8>>,
}

impl SigningKey {
    /// Bytes of a secret: as many as SHA-512 puts out (RFC 7518 §3.2).
    pub const SECRET_LEN: usize = 64;

    /// Makes a fresh key.
    pub fn generate(rng: &mut Generator) -> Self {
        let mut secret = vec![0; Self::SECRET_LEN];
        rng.fill(&mut secret);
        Self {
            id: rng.uuid(),
            secret: Secret::new(secret),
        }
    }

    /// Takes a key back from storage; nothing if the secret does not have 64 bytes.
    pub fn from_parts(id: Uuid, secret: Secret<Vec<u8>>) -> Option<Self> {
        (secret.expose().len() == Self::SECRET_LEN).then_some(Self { id, secret })
    }

    /// Reads the secret, to store it sealed.
    pub fn secret(&self) -> &[u8] {
        self.secret.expose()
    }
}

/// What a verified token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenClaims {
    /// The credential it was made for.
    pub subject: TelephonyCredentialId,
    /// When it was made, in whole seconds.
    pub issued_at: Timestamp,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
    /// Its own id (`jti`).
    pub id: Uuid,
}

/// Why a token is refused, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no key to sign with.
    #[error("there is no key to sign with")]
    NoKey,
    /// It is longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// It is not three parts of strict base64url with our claims inside.
    #[error("the token is malformed")]
    Malformed,
    /// Its header is not the one we write: another algorithm, or more fields.
    #[error("the token's header is not ours")]
    Header,
    /// None of our keys signed it.
    #[error("the token's signature is not ours")]
    Signature,
    /// Audience, issuer or type are not ours.
    #[error("the token is for another purpose")]
    Purpose,
    /// It begins in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
}

/// The claims in the order in which they are written.
#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    iat: i64,
    iss: &'a str,
    jti: Uuid,
    nbf: i64,
    sub: TelephonyCredentialId,
    tel_token: &'a str,
    typ: &'a str,
}

/// Signs a token for a credential with the first of the active keys, which is the newest.
/// `credential_end` cuts its life short.
///
/// `tel_token`, which clients carry around unread, is random and holds no secret.
///
/// # Errors
/// [`TokenError::NoKey`] without a key, [`TokenError::Expired`] for a credential that has ended.
pub fn sign(
    keys: &[SigningKey],
    subject: TelephonyCredentialId,
    now: Timestamp,
    credential_end: Option<Timestamp>,
    rng: &mut Generator,
) -> Result<String, TokenError> {
    let key = keys.first().ok_or(TokenError::NoKey)?;
    if credential_end.is_some_and(|end| end <= now) {
        return Err(TokenError::Expired);
    }
    let iat = now.as_secs();
    let full = (now + TOKEN_LIFETIME).as_secs();
    let mut opaque = [0; TEL_TOKEN_BYTES];
    rng.fill(&mut opaque);
    let claims = Claims {
        aud: AUDIENCE_AND_ISSUER,
        exp: credential_end.map_or(full, |end| full.min(end.as_secs())),
        iat,
        iss: AUDIENCE_AND_ISSUER,
        jti: rng.uuid(),
        nbf: iat - 1,
        sub: subject,
        tel_token: &URL_SAFE_NO_PAD.encode(opaque),
        typ: TYPE,
    };
    let payload =
        serde_json::to_vec(&claims).expect("numbers, ids and plain text always serialize");
    let mut token = String::with_capacity(640);
    token.push_str(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    choose_crypto();
    let signature = crypto::sign(
        token.as_bytes(),
        &EncodingKey::from_secret(key.secret()),
        Algorithm::HS512,
    )
    .expect("HMAC takes a key of any length");
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// Checks a token against the active keys (at most two are asked) and returns what it says.
///
/// Times are compared with `now`: [`CLOCK_LEEWAY`] is granted to the beginning, none to the end. That
/// the credential still exists and is not expired is a separate question.
///
/// # Errors
/// Says what was found wrong first; nothing inside is read before the signature is known to be ours.
pub fn verify(keys: &[SigningKey], token: &str, now: Timestamp) -> Result<TokenClaims, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
    if header != HEADER {
        return Err(if decode(header).is_some() {
            TokenError::Header
        } else {
            TokenError::Malformed
        });
    }
    let payload = decode(payload).ok_or(TokenError::Malformed)?;
    if signature.len() != SIGNATURE_LEN || decode(signature).is_none() {
        return Err(TokenError::Malformed);
    }
    choose_crypto();
    let ours = keys.iter().take(2).any(|key| {
        let key = DecodingKey::from_secret(key.secret());
        crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS512).unwrap_or(false)
    });
    if !ours {
        return Err(TokenError::Signature);
    }
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
    if claims.aud != AUDIENCE_AND_ISSUER || claims.iss != AUDIENCE_AND_ISSUER || claims.typ != TYPE
    {
        return Err(TokenError::Purpose);
    }
    let latest_start = (now + CLOCK_LEEWAY).as_secs();
    if claims.nbf > latest_start || claims.iat > latest_start {
        return Err(TokenError::NotYetValid);
    }
    if claims.exp <= now.as_secs() {
        return Err(TokenError::Expired);
    }
    Ok(TokenClaims {
        subject: claims.sub,
        issued_at: Timestamp::from_secs(claims.iat),
        expires_at: Timestamp::from_secs(claims.exp),
        id: claims.jti,
    })
}

/// Reads strict base64url: no padding, no stray bits, no other alphabet.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Names the library's backend: it panics at first use when a build unifies its features so that none
/// or several are compiled in. A second call, or an earlier choice of the program, changes nothing.
fn choose_crypto() {
    let _already_chosen = CryptoProvider::install_default(&crypto::aws_lc::DEFAULT_PROVIDER);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_250_000);

    fn key(seed: u8) -> SigningKey {
        SigningKey::generate(&mut Generator::from_seed([seed; 32]))
    }

    fn subject() -> TelephonyCredentialId {
        TelephonyCredentialId::generate(&mut Generator::from_seed([77; 32]))
    }

    fn token(end: Option<Timestamp>) -> String {
        let mut rng = Generator::from_seed([2; 32]);
        sign(&[key(1)], subject(), NOW, end, &mut rng).unwrap()
    }

    fn token_until(secs: i64) -> String {
        token(Some(after(secs)))
    }

    /// Signs any header and payload with any HMAC, as a forger who knows a key would.
    fn forge(header: &str, payload: &str, key: &[u8], algorithm: Algorithm) -> String {
        choose_crypto();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = crypto::sign(
            message.as_bytes(),
            &EncodingKey::from_secret(key),
            algorithm,
        )
        .unwrap();
        format!("{message}.{signature}")
    }

    fn payload_of(token: &str) -> String {
        let part = token.split('.').nth(1).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn after(secs: i64) -> Timestamp {
        Timestamp::from_secs(NOW.as_secs() + secs)
    }

    #[test]
    fn header_claims_and_order_are_those_of_the_contract() {
        let token = token(None);
        let header = URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        assert_eq!(header, br#"{"alg":"HS512","typ":"JWT"}"#);
        let payload = payload_of(&token);
        let names: Vec<_> = payload.split('"').skip(1).step_by(2).collect();
        let (aud, iss) = ("telnyx_telephony", "telnyx_telephony");
        assert_eq!(names[..5], ["aud", aud, "exp", "iat", "iss"]);
        assert_eq!(names[5..8], [iss, "jti", names[7]]);
        assert_eq!(names[8..10], ["nbf", "sub"]);
        assert_eq!(names[11], "tel_token");
        assert_eq!(names[13..], ["typ", "access"]);
        let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
        let secs = NOW.as_secs();
        assert_eq!(
            (value["iat"].as_i64(), value["nbf"].as_i64()),
            (Some(secs), Some(secs - 1))
        );
        assert_eq!(value["exp"].as_i64(), Some(secs + 86_400));
        assert_eq!(value["sub"], subject().to_string());
        assert_eq!(value["tel_token"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn payload_text_is_plain_base64_too() {
        for seed in 0..50 {
            let mut rng = Generator::from_seed([seed; 32]);
            let subject = TelephonyCredentialId::generate(&mut rng);
            let token = sign(&[key(1)], subject, NOW, None, &mut rng).unwrap();
            let part = token.split('.').nth(1).unwrap();
            assert!(!part.contains(['-', '_']), "{part}");
            assert!(payload_of(&token).is_ascii());
        }
    }

    #[test]
    fn a_token_is_good_from_its_start_to_its_end() {
        let token = token(None);
        let claims = verify(&[key(1)], &token, NOW).unwrap();
        assert_eq!(claims.subject, subject());
        assert_eq!(
            (claims.issued_at, claims.expires_at),
            (after(0), after(86_400))
        );
        assert!(verify(&[key(1)], &token, after(86_399)).is_ok());
        assert_eq!(
            verify(&[key(1)], &token, after(86_400)),
            Err(TokenError::Expired)
        );
        assert!(verify(&[key(1)], &token, after(-60)).is_ok());
        assert_eq!(
            verify(&[key(1)], &token, after(-61)),
            Err(TokenError::NotYetValid)
        );
    }

    #[test]
    fn a_credential_that_ends_sooner_cuts_the_token() {
        let token = token(Some(after(90)));
        assert_eq!(
            verify(&[key(1)], &token, NOW).unwrap().expires_at,
            after(90)
        );
        let late = token_until(1 << 30);
        assert_eq!(
            verify(&[key(1)], &late, NOW).unwrap().expires_at,
            after(86_400)
        );
    }

    #[test]
    fn no_token_is_made_without_a_key_or_for_an_ended_credential() {
        let mut rng = Generator::from_seed([2; 32]);
        assert_eq!(
            sign(&[], subject(), NOW, None, &mut rng),
            Err(TokenError::NoKey)
        );
        let ended = sign(&[key(1)], subject(), NOW, Some(NOW), &mut rng);
        assert_eq!(ended, Err(TokenError::Expired));
    }

    #[test]
    fn two_keys_are_asked_and_no_third() {
        let token = token(None);
        assert!(verify(&[key(8), key(1)], &token, NOW).is_ok());
        assert_eq!(
            verify(&[key(8), key(9), key(1)], &token, NOW),
            Err(TokenError::Signature)
        );
        assert_eq!(verify(&[], &token, NOW), Err(TokenError::Signature));
    }

    #[test]
    fn forged_tokens_are_refused() {
        let keys = [key(1)];
        let good = token(None);
        let payload = payload_of(&good);
        let ours = r#"{"alg":"HS512","typ":"JWT"}"#;
        let check =
            |token: &str, expected| assert_eq!(verify(&keys, token, NOW), Err(expected), "{token}");

        // Algorithms: none, weaker, and extended headers, even when signed with our own secret.
        let body = URL_SAFE_NO_PAD.encode(&payload);
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        check(&format!("{none}.{body}."), TokenError::Header);
        let secret = keys[0].secret();
        for header in [
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"typ":"JWT","alg":"HS512"}"#,
            r#"{"alg":"HS512","typ":"JWT","kid":"1"}"#,
            r#"{"alg":"HS512","typ":"JWT","jku":"http://x"}"#,
        ] {
            check(
                &forge(header, &payload, secret, Algorithm::HS256),
                TokenError::Header,
            );
            check(
                &forge(header, &payload, secret, Algorithm::HS512),
                TokenError::Header,
            );
        }
        // Right header, wrong key or wrong algorithm.
        check(
            &forge(ours, &payload, key(2).secret(), Algorithm::HS512),
            TokenError::Signature,
        );
        check(
            &forge(ours, &payload, b"", Algorithm::HS512),
            TokenError::Signature,
        );
        check(
            &forge(ours, &payload, secret, Algorithm::HS256),
            TokenError::Malformed,
        );
        // Tampered payload under the old signature.
        let longer = payload.replace(&format!("{}", NOW.as_secs() + 86_400), "9999999999");
        let signature = good.rsplit('.').next().unwrap();
        let tampered = format!("{HEADER}.{}.{signature}", URL_SAFE_NO_PAD.encode(longer));
        check(&tampered, TokenError::Signature);
        // Signed by us, but for something else or no access token at all.
        for (from, to) in [
            ("\"aud\":\"telnyx_telephony\"", "\"aud\":\"other\""),
            ("\"iss\":\"telnyx_telephony\"", "\"iss\":\"other\""),
            ("\"access\"", "\"refresh\""),
        ] {
            let payload = payload.replace(from, to);
            check(
                &forge(ours, &payload, secret, Algorithm::HS512),
                TokenError::Purpose,
            );
        }
        check(
            &forge(ours, "{}", secret, Algorithm::HS512),
            TokenError::Malformed,
        );
        check(
            &forge(ours, "[]", secret, Algorithm::HS512),
            TokenError::Malformed,
        );
    }

    #[test]
    fn truncated_padded_and_oversized_texts_are_refused() {
        let keys = [key(1)];
        let good = token(None);
        for len in 0..good.len() {
            assert!(verify(&keys, &good[..len], NOW).is_err(), "{len}");
        }
        for bad in [
            format!("{good}="),
            format!("{good}."),
            format!(" {good}"),
            format!("{good}\n"),
            good.replacen('.', "..", 1),
            format!("x.{good}"),
        ] {
            assert!(verify(&keys, &bad, NOW).is_err(), "{bad}");
        }
        // The last character of 64 bytes carries four unused bits, which must be zero.
        let mut stray = good.clone();
        let last = stray.pop().unwrap();
        let next = char::from(u8::try_from(last).unwrap() + 1);
        stray.push(next);
        assert_eq!(verify(&keys, &stray, NOW), Err(TokenError::Malformed));
        let huge = format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES));
        assert_eq!(verify(&keys, &huge, NOW), Err(TokenError::TooLong));
    }
}
